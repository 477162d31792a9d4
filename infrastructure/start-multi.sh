#!/bin/sh
# Builds what is missing or older than its sources, then becomes `tachi up "$@"` in the caller's directory.
#
#   ./infrastructure/start-multi.sh [N] [flags of `tachi up`]
#
# Environment: CARGO_TARGET_DIR is respected; TACHI_STATE_DIR (or --state) chooses another state directory.
# Exit codes: 2 = wrong N or something to install first; otherwise those of cargo or of `tachi up`.
set -eu

# The real place of this script, also when it was called through a symlink.
self=$0
while [ -L "$self" ]; do
    link=$(readlink -- "$self")
    case $link in
        /*) self=$link ;;
        *) self=$(dirname -- "$self")/$link ;;
    esac
done
root=$(CDPATH='' cd -- "$(dirname -- "$self")/.." && pwd -P)

refuse() {
    for line in "$@"; do printf '%s\n' "$line" >&2; done
    exit 2
}

# Judges N before an expensive build; the program judges everything again, with the same words.
check_count() {
    takes_value=no
    for argument in "$@"; do
        if [ "$takes_value" = yes ]; then
            takes_value=no
            continue
        fi
        case $argument in
            --workspace | --goal | --backend | --role | --config | --state | --color) takes_value=yes ;;
            -[0-9]* | [!-]* | '')
                case $argument in
                    *[!0-9]* | '' | ?????*) ;;
                    *) [ "$argument" -lt 1 ] || [ "$argument" -gt 1000 ] || return 0 ;;
                esac
                refuse "tachi: cannot start \"$argument\" instances: the number must be a whole one from 1 to 1000; next: for example \`tachi up 4\`"
                ;;
        esac
    done
}

built() {
    [ -x "$bin/tachi" ] && [ -x "$bin/tachi-worker" ]
}

stale() {
    if ! built || [ ! -e "$stamp" ]; then return 0; fi
    newer=$(find "$root/Cargo.toml" "$root/Cargo.lock" "$root/shared/Cargo.toml" "$root/shared/src" \
        "$root/supervisor/Cargo.toml" "$root/supervisor/src" "$root/worker/Cargo.toml" "$root/worker/src" \
        -newer "$stamp" | head -n 1)
    [ -n "$newer" ]
}

build() {
    command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1 || refuse \
        'tachi: no C compiler found, and the build needs one' \
        'install one first: apt install gcc libc6-dev · apk add build-base · dnf install gcc'
    mkdir -p "$bin"
    # Stamped before the build: a source edited while it runs counts as newer.
    : >"$stamp.new"
    quiet=
    if [ -t 2 ]; then
        printf 'tachi: building (the first time takes a few minutes)\n' >&2
    else
        printf 'tachi: building in %s\n' "$bin" >&2
        quiet=--quiet
    fi
    # In the repository, so that its toolchain and cargo settings count, not the caller's.
    (cd "$root" && CARGO_TARGET_DIR=$target cargo build --release --locked $quiet -p tachi -p tachi-worker >&2)
    if ! built; then
        printf 'tachi: built, but %s/tachi is not there; set CARGO_TARGET_DIR to where cargo builds\n' "$bin" >&2
        exit 1
    fi
    mv "$stamp.new" "$stamp"
}

require_cargo() {
    if command -v cargo >/dev/null 2>&1; then return 0; fi
    if [ -x "${HOME:-/nonexistent}/.cargo/bin/cargo" ]; then
        # shellcheck disable=SC2016 # the text is for the reader to type
        refuse 'tachi: cargo is installed but not on PATH' 'put it there first: . "$HOME/.cargo/env"'
    fi
    refuse 'tachi: cargo (Rust 1.89 or newer) is needed and was not found' \
        "install it first: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
}

target=${CARGO_TARGET_DIR:-$root/target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
bin=$target/release
stamp=$bin/.tachi-built

if stale; then
    check_count "$@"
    require_cargo
    build
fi

# Anywhere inside the repository the state is the repository's own state/; elsewhere tachi looks upwards from there.
if [ -z "${TACHI_STATE_DIR:-}" ]; then
    case $(pwd -P)/ in
        "$root"/*) TACHI_STATE_DIR=$root/state && export TACHI_STATE_DIR ;;
    esac
fi
exec "$bin/tachi" up "$@"
