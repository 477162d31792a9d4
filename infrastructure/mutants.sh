#!/bin/sh
# Proves that the tests of the protocol can fail: breaks one rule at a time and wants the test of that rule to go red.
#
#   ./infrastructure/mutants.sh [NAME]...      default: every infrastructure/mutants/*.patch; NAME may be a pattern ('no-*')
#
# Each patch says in its first line what it breaks and in its second which test must notice (`test: cargo-arguments filter`).
# Works on a copy under target/mutants, with build results of its own, so nothing broken is left among the real ones.
# Exit codes: 0 every mutant was noticed, 1 one was not (or does not apply or build), 2 something to install.
set -eu
cd -- "$(dirname -- "$0")/.."
root=$(pwd -P)
unset TACHI_STATE_DIR TACHI_INSTANCE_ID TACHI_INSTANCE_ROLE TACHI_INSTANCE_COUNT TACHI_INCARNATION TACHI_WORKSPACE

for tool in cargo git patch timeout; do
    command -v "$tool" >/dev/null 2>&1 || {
        printf 'mutants.sh: %s is needed\n' "$tool" >&2
        exit 2
    }
done

place=${CARGO_TARGET_DIR:-$root/target}/mutants
tree=$place/tree
CARGO_TARGET_DIR=$place/build
export CARGO_TARGET_DIR
# What a broken program may take before that alone counts as noticed.
patience=${TACHI_MUTANT_SECONDS:-120}

if [ $# -gt 0 ]; then
    patches=
    for name in "$@"; do
        # A pattern stands for all it fits.
        for file in infrastructure/mutants/${name%.patch}.patch; do
            [ -f "$file" ] || {
                printf 'mutants.sh: there is no mutant %s\n' "$name" >&2
                exit 2
            }
            patches="$patches $file"
        done
    done
else
    patches=$(printf '%s ' infrastructure/mutants/*.patch)
fi

rm -rf "$tree"
mkdir -p "$tree"
# Every file as of now: an older time than that of an earlier run's build results would pass for unchanged.
git ls-files -z --cached --others --exclude-standard | tar -cf - --null --files-from=- | tar -xmf - -C "$tree"
log=$place/log

# Runs one named test; it must be exactly one.
run() { (cd "$tree" && timeout -k 10 "$1" cargo test --locked --quiet $2) >"$log" 2>&1; }
build() { (cd "$tree" && cargo test --locked --quiet --no-run $1) >"$log" 2>&1; }

failed=0
complain() {
    printf 'NOT OK  %-30s %s\n' "$1" "$2"
    failed=1
}

test_of() { sed -n 's/^test: //p' "$1" | head -n 1; }

# First the unbroken tree, each test once: a test that is red anyway notices nothing.
sound=
for file in $patches; do
    test=$(test_of "$file")
    case $sound in *"|$test|"*) continue ;; esac
    if ! build "${test% *}"; then
        printf 'NOT OK  the unbroken tree does not build\n'
        tail -n 20 "$log"
        exit 1
    fi
    if run 600 "$test" && grep -q '^test result: ok. 1 passed' "$log"; then
        sound="$sound|$test|"
    else
        complain "$(basename "$file" .patch)" "its test ($test) is not green without it, or is not one test"
        tail -n 20 "$log"
    fi
done

for file in $patches; do
    name=$(basename "$file" .patch)
    test=$(test_of "$file")
    begin=$(date +%s)
    case $sound in *"|$test|"*) ;; *) continue ;; esac
    if ! patch -d "$tree" -p1 -s -F3 --no-backup-if-mismatch <"$file" >"$log" 2>&1; then
        complain "$name" "the patch does not apply: bring it up to date"
        cat "$log"
        exit 1
    fi
    if ! build "${test% *}"; then
        complain "$name" "it does not build: bring it up to date"
        grep -m 5 -A 5 '^error' "$log" || true
    elif run "$patience" "$test"; then
        complain "$name" "nobody noticed; $test stayed green"
    else
        printf 'ok      %-30s noticed by %s (%s s)\n' "$name" "${test##* }" "$(($(date +%s) - begin))"
    fi
    patch -d "$tree" -p1 -s -R -F3 --no-backup-if-mismatch <"$file"
done
exit "$failed"
