#!/bin/sh
# The fleet by the verbs of classic cluster scripts; each is one call of `tachi`.
#
#   ./infrastructure/cluster.sh start [N]      in the background, returns when all are ready
#   ./infrastructure/cluster.sh start ID       one instance that was stopped
#   ./infrastructure/cluster.sh stop [ID]      everything, or one instance (it stays down)
#   ./infrastructure/cluster.sh restart [ID]   all instances, or one
#   ./infrastructure/cluster.sh status
#   ./infrastructure/cluster.sh logs [ID]
#
# Exit codes: those of `tachi`; 2 = unknown verb, or nothing built yet.
set -eu

self=$0
while [ -L "$self" ]; do
    link=$(readlink -- "$self")
    case $link in
        /*) self=$link ;;
        *) self=$(dirname -- "$self")/$link ;;
    esac
done
root=$(CDPATH='' cd -- "$(dirname -- "$self")/.." && pwd -P)
start=$root/infrastructure/start-multi.sh

tachi() {
    bin=${CARGO_TARGET_DIR:-$root/target}/release/tachi
    if [ ! -x "$bin" ]; then
        printf 'tachi: %s is not built yet; start the fleet first: %s\n' "$bin" "$start" >&2
        exit 2
    fi
    if [ -z "${TACHI_STATE_DIR:-}" ]; then
        case $(pwd -P)/ in
            "$root"/*) TACHI_STATE_DIR=$root/state && export TACHI_STATE_DIR ;;
        esac
    fi
    exec "$bin" "$@"
}

verb=${1:-}
[ $# -eq 0 ] || shift
case $verb in
    start)
        case ${1:-} in
            '' | -* | [0-9]*) exec "$start" "$@" --detach ;;
            *) tachi start "$@" ;;
        esac
        ;;
    stop)
        case ${1:-} in
            '' | -*) tachi down "$@" ;;
            *) tachi stop "$@" ;;
        esac
        ;;
    restart)
        case ${1:-} in
            '' | -*) tachi restart all "$@" ;;
            *) tachi restart "$@" ;;
        esac
        ;;
    status | logs) tachi "$verb" "$@" ;;
    *)
        printf 'usage: %s start|stop|restart|status|logs [id]\n' "$0" >&2
        exit 2
        ;;
esac
