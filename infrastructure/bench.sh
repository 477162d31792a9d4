#!/bin/sh
# Three rows that matter, each as ratios inside one run: send, restart, survey. Judge the ratios; milliseconds drift.
#
#   ./infrastructure/bench.sh [send] [restart] [survey]      default: these three
#   ./infrastructure/bench.sh fleet                          what keeping 4 and 100 processes alive costs, about three minutes
#   ./infrastructure/bench.sh store                          sends, and everything else the store promises, beside its targets
#
# Peers are fetched by their ordinary clients (SQLite by cargo, supervisord by pip and runit by apt-get into a temporary folder,
# where nothing is installed and nothing is left), Redis is started where
# it is installed (apt install redis-server), on loopback; what cannot be had is left out, and the table says so. TACHI_BENCH_TREE names another tree for the survey.
set -eu
cd -- "$(dirname -- "$0")/.."
root=$(pwd -P)
[ $# -gt 0 ] || set -- send restart survey

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
unset TACHI_STATE_DIR

# The tree: the sources of everything this project depends on, more than 10,000 files.
tree() {
    [ -z "${TACHI_BENCH_TREE:-}" ] || return 0
    TACHI_BENCH_TREE=$scratch/tree
    export TACHI_BENCH_TREE
    cargo vendor --locked --quiet "$TACHI_BENCH_TREE" >/dev/null || {
        printf 'bench.sh: cargo vendor failed; taking what cargo has unpacked already\n'
        cp -R "${CARGO_HOME:-$HOME/.cargo}/registry/src" "$TACHI_BENCH_TREE"
    }
}

peer() {
    [ -z "${TACHI_BENCH_SUPERVISORD:-}" ] || return 0
    if python3 -m venv "$scratch/venv" >/dev/null 2>&1 &&
        "$scratch/venv/bin/pip" install --quiet supervisor setuptools >/dev/null 2>&1 &&
        [ -x "$scratch/venv/bin/supervisord" ]; then
        TACHI_BENCH_SUPERVISORD=$scratch/venv/bin/supervisord
        export TACHI_BENCH_SUPERVISORD
    fi
}

# The programs alone, unpacked: installing the package would make services of them.
runit() {
    [ -z "${TACHI_BENCH_RUNSVDIR:-}" ] || return 0
    mkdir "$scratch/runit"
    if (cd "$scratch/runit" && apt-get download -q runit && dpkg -x runit_*.deb .) >/dev/null 2>&1; then
        TACHI_BENCH_RUNSVDIR=$(find "$scratch/runit" -name runsvdir -type f | head -n 1)
    else
        TACHI_BENCH_RUNSVDIR=$(command -v runsvdir || true)
    fi
    if [ -n "$TACHI_BENCH_RUNSVDIR" ]; then export TACHI_BENCH_RUNSVDIR; else unset TACHI_BENCH_RUNSVDIR; fi
}

printf 'building\n'
cargo build --release --locked --quiet
for bench in "$@"; do
    printf '\n'
    case $bench in
        send) cargo bench --locked --quiet -p tachi-shared --features bench-peers --bench send ;;
        store)
            cargo bench --locked --quiet -p tachi-shared --features bench-peers --bench send
            cargo bench --locked --quiet -p tachi-shared --features bench-peers --bench store
            ;;
        restart | fleet)
            peer
            [ -n "${TACHI_BENCH_RUNSVDIR:-}" ] || [ -d "$scratch/runit" ] || runit
            cargo bench --locked --quiet -p tachi --bench "$bench"
            ;;
        survey)
            tree
            cargo bench --locked --quiet -p tachi --bench survey
            ;;
        *)
            printf 'usage: %s [send] [store] [restart] [fleet] [survey]\n' "$0" >&2
            exit 2
            ;;
    esac
done

printf '\nbinaries: '
(cd "${CARGO_TARGET_DIR:-$root/target}/release" && wc -c tachi tachi-worker | awk 'NR < 3 {printf "%s %.1f MB  ", $2, $1 / 1e6}')
printf '\n'
