#!/bin/sh
# The store's fuzz targets (shared/fuzz/), guided by coverage: libFuzzer on the stable compiler. Without sanitizers: our code has
# nothing unsafe for them to watch; what is looked for is a panic, a hang, or a property that does not hold.
#
#   ./infrastructure/fuzz.sh [TARGET|all] [SECONDS]      default: all, 60 seconds each
#
# Targets: records, repair, resume, snapshots, import. Inputs that lead somewhere new are kept in target/fuzz/corpus/TARGET and
# serve the next run; one that breaks something is written to target/fuzz/found/ and its name printed. Put what is worth it
# into shared/fuzz/corpus/TARGET: every test run replays that. Built once with `cargo` and a C++ compiler, about a minute.
# Exit codes: 0 nothing found, 1 something was found or does not build, 2 something to install.
set -eu
cd -- "$(dirname -- "$0")/.."
root=$(pwd -P)
wanted=${1:-all}
seconds=${2:-60}
targets='records repair resume snapshots import'
case " all $targets " in
    *" $wanted "*) ;;
    *)
        printf 'usage: %s [all | %s] [SECONDS]\n' "$0" "$(printf '%s' "$targets" | sed 's/ / | /g')" >&2
        exit 2
        ;;
esac
[ "$wanted" = all ] || targets=$wanted

if ! command -v "${CXX:-c++}" >/dev/null 2>&1; then
    printf 'fuzz.sh: a C++ compiler is needed to build libFuzzer: apt install g++\n'
    # As part of a test run this is a skip, and counted as one.
    [ -n "${TACHI_SKIPS:-}" ] || exit 2
    printf 'fuzz: no C++ compiler\n' >>"$TACHI_SKIPS"
    exit 0
fi

place=${CARGO_TARGET_DIR:-$root/target}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
mkdir -p "$place/found"
# What libFuzzer wants to know of the program; a target is named so that build scripts are left alone.
flags='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters'
flags="$flags -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS="${RUSTFLAGS:-} $flags" cargo build --release --locked --quiet \
    --manifest-path shared/fuzz/Cargo.toml --target "$host" --target-dir "$place"

failed=0
for target in $targets; do
    mkdir -p "$place/corpus/$target"
    log=$place/$target.log
    if "$place/$host/release/$target" -max_total_time="$seconds" -max_len=8192 -timeout=20 -rss_limit_mb=1024 \
        -print_final_stats=1 -artifact_prefix="$place/found/$target-" \
        "$place/corpus/$target" "shared/fuzz/corpus/$target" >"$log" 2>&1; then
        printf '%-10s %s\n' "$target" "$(sed -n 's/^#\([0-9]*\).*DONE *\(cov: [0-9]*\).*\(corp: [^ ]*\).*/\1 inputs, \2, \3, nothing found/p' "$log")"
    else
        failed=1
        printf '%-10s FAILED\n' "$target"
        grep -E 'panicked|ERROR|Test unit written' -A 2 "$log" | head -n 20
        printf 'again with %s/release/%s FILE; the whole log is %s\n' "$place/$host" "$target" "$log"
    fi
done
exit "$failed"
