#!/bin/sh
# The whole check of the project, on a clean machine with cargo, git and a C compiler.
#
#   ./infrastructure/test.sh            everything that must hold before a merge (some ten minutes cold on two idle cores)
#   ./infrastructure/test.sh --quick    format, lints, unit tests
#   ./infrastructure/test.sh --long     everything, with the long runs of the torture tests
#   ./infrastructure/test.sh --mutants  breaks one rule of the protocol after the other and wants a test to notice each
#
# Tests that cannot run on this machine append `NAME: reason` to the file $TACHI_SKIPS instead of passing silently; only
# names listed in infrastructure/skips.txt may do so. Exit codes: 0 all green, 1 something failed, 2 something to install.
set -eu
cd -- "$(dirname -- "$0")/.."
root=$(pwd -P)

mode=full
# For each target.
fuzz_seconds=5
for argument in "$@"; do
    case $argument in
        --quick) mode=quick ;;
        --long) mode=long ;;
        --mutants) exec "$root/infrastructure/mutants.sh" ;;
        *)
            printf 'usage: %s [--quick | --long | --mutants]\n' "$0" >&2
            exit 2
            ;;
    esac
done

say() { printf '\n== %s\n' "$*"; }

need() {
    printf 'test.sh: %s is needed: %s\n' "$1" "$2" >&2
    exit 2
}

# Takes a tool from apt when that is possible; tests that want it skip visibly otherwise.
wish() {
    if command -v "$1" >/dev/null 2>&1; then return 0; fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        printf 'test.sh: installing %s\n' "$2"
        apt-get install -y -q --no-install-recommends "$2" >/dev/null 2>&1 ||
            { apt-get update -q && apt-get install -y -q --no-install-recommends "$2"; } >/dev/null 2>&1 || true
    fi
    command -v "$1" >/dev/null 2>&1 || printf 'test.sh: going on without %s\n' "$1"
}

component() {
    if cargo "$1" --version >/dev/null 2>&1; then return 0; fi
    if command -v rustup >/dev/null 2>&1; then rustup component add "$2"; fi
    cargo "$1" --version >/dev/null 2>&1 || need "cargo $1" "rustup component add $2, or apt install rust-$2"
}

started=$(date +%s)
step() {
    name=$1
    shift
    say "$name"
    begin=$(date +%s)
    "$@" || {
        printf '\n== FAILED: %s (after %s s)\n' "$name" "$(($(date +%s) - begin))"
        exit 1
    }
    printf '== %s: ok (%s s)\n' "$name" "$(($(date +%s) - begin))"
}

command -v cargo >/dev/null 2>&1 || need cargo 'https://rustup.rs, or apt install cargo'
command -v git >/dev/null 2>&1 || need git 'apt install git'
command -v cc >/dev/null 2>&1 || need 'a C compiler' 'apt install gcc libc6-dev'
component fmt rustfmt
component clippy clippy
wish jq jq
wish tmux tmux
wish python3 python3
wish strace strace
wish c++ g++

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
TACHI_SKIPS=$scratch/skips
: >"$TACHI_SKIPS"
export TACHI_SKIPS
# A fleet of the caller must not leak into the tests.
# The simulation of the store, in a build that is quick enough for many seeds.
seeds=10000
unset TACHI_STATE_DIR TACHI_INSTANCE_ID TACHI_INSTANCE_ROLE TACHI_INSTANCE_COUNT TACHI_INCARNATION TACHI_WORKSPACE
if [ "$mode" = long ]; then
    TACHI_LONG=1
    export TACHI_LONG
    seeds=1000000
    fuzz_seconds=120
fi

# Prints what was skipped and how many jobs that were; fails for one that is not listed.
unexpected_skips() {
    sort -u "$TACHI_SKIPS" | while IFS= read -r line; do
        printf 'skipped: %s\n' "$line"
        grep -q -x -F -- "${line%%:*}" "$root/infrastructure/skips.txt" ||
            printf '%s\n' "${line%%:*}" >>"$scratch/unexpected"
    done
    printf '%s of %s jobs that may be skipped were skipped\n' \
        "$(cut -d : -f 1 "$TACHI_SKIPS" | sort -u | grep -c . || true)" "$(grep -c . "$root/infrastructure/skips.txt")"
    if [ -s "$scratch/unexpected" ]; then
        printf 'not listed in infrastructure/skips.txt:\n'
        cat "$scratch/unexpected"
        return 1
    fi
}

step 'format' cargo fmt --all --check
step 'lints' cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
if [ "$mode" = quick ]; then
    step 'unit tests' cargo test --workspace --locked --lib --bins
else
    step 'tests' env TACHI_SEEDS=500 cargo test --workspace --locked
    step "simulation, $seeds seeds" env TACHI_SEEDS="$seeds" \
        cargo test --profile sim --locked -p tachi-shared --test simulation -- --nocapture
    step 'fuzz targets' infrastructure/fuzz.sh all "$fuzz_seconds"
    step 'first run from a fresh clone' infrastructure/first-run.sh
fi
step 'skips are expected' unexpected_skips
printf '\n== all green in %s s\n' "$(($(date +%s) - started))"
