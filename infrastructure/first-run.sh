#!/bin/sh
# The README's first screen, followed in a fresh clone with the shipped binaries: start, look, kill one, stop.
# Builds once into target/first-run; called by test.sh, and runs alone too. Exit codes: 0 all held, 1 something did not.
set -eu
cd -- "$(dirname -- "$0")/.."
root=$(pwd -P)

if ! command -v jq >/dev/null 2>&1; then
    printf 'first-run: jq is not installed\n' >>"${TACHI_SKIPS:-/dev/stderr}"
    exit 0
fi

scratch=$(mktemp -d)
clone=$scratch/tachi
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/first-run
export CARGO_TARGET_DIR
unset TACHI_STATE_DIR
tachi=$CARGO_TARGET_DIR/release/tachi

finish() {
    status=$?
    trap - EXIT
    if [ "$status" -ne 0 ] && [ -d "$clone/state/logs" ]; then
        printf -- '-- what the fleet said last\n'
        (cd "$clone" && "$tachi" events 2>/dev/null | tail -n 20; tail -n 5 state/logs/*.log 2>/dev/null) || true
    fi
    (cd "$clone" 2>/dev/null && "$tachi" down >/dev/null 2>&1) || true
    rm -rf "$scratch"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

fail() {
    printf 'first-run: %s\n' "$*"
    exit 1
}

held() { printf '   held: %s\n' "$*"; }

# Looks every 50 ms, at most 60 s, until the command succeeds.
await() {
    left=1200
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.05
    done
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

registry() { jq -r "$@" state/registry.json; }
all_ready() { [ "$(registry '[.instances[] | select(.status == "ready")] | length')" = 4 ]; }
restarted() { [ "$(registry '.instances[] | select(.instance_id == "instance_2") | [.status, .restarts] | join(" ")')" = 'ready 1' ]; }

# Processes that carry this state directory in their environment.
left_over() {
    for environ in /proc/[0-9]*/environ; do
        if { tr '\0' '\n' <"$environ"; } 2>/dev/null | grep -q -x -F "TACHI_STATE_DIR=$clone/state"; then
            printf '%s\n' "$environ"
        fi
    done
}

git clone -q "$root" "$clone"
# What is not committed yet is tested too.
git ls-files -z -mo --exclude-standard --deduplicate | tar -c --null --ignore-failed-read -T - 2>/dev/null | tar -x -C "$clone"
cd "$clone"

./infrastructure/start-multi.sh 4 --detach
all_ready || fail "up --detach returned before all four were ready: $(registry -c '[.instances[].status]')"
[ "$(registry -r '[.instances[].role] | join(" ")')" = 'explorer builder reflector coordinator' ] ||
    fail "wrong roles: $(registry -c '[.instances[].role]')"
held 'M1 a fresh clone builds and starts four instances'

await test -e state/artifacts/survey.json || fail 'no survey after 60 s'
files=$(git ls-files -z -co --exclude-standard --deduplicate -- ':!state' | tr -dc '\0' | wc -c)
[ "$(jq .totals.files state/artifacts/survey.json)" = "$files" ] ||
    fail "the survey counted $(jq .totals.files state/artifacts/survey.json) files, git ls-files $files"
held "M4 the survey is there and counts the same $files files as git"

others=$(registry '[.instances[] | select(.instance_id != "instance_2") | .pid] | join(" ")')
kill -9 "$(registry '.instances[] | select(.instance_id == "instance_2") | .pid')"
await restarted || fail "instance_2 did not come back: $(registry -c '.instances[1]')"
[ "$(registry '.instances[] | select(.instance_id == "instance_2") | .last_death.signal')" = SIGKILL ] ||
    fail "the death is not told: $(registry -c '.instances[1].last_death')"
[ "$(registry '[.instances[] | select(.instance_id != "instance_2") | .pid] | join(" ")')" = "$others" ] ||
    fail 'the others did not keep their pids'
held 'M6 kill -9 of one: it is back, the others kept their pids'

"$tachi" down >/dev/null || fail "down failed with $?"
[ -z "$(left_over)" ] || fail "left running after down: $(left_over)"
held 'M9 down leaves nothing running'

best=
for round in 1 2 3 4 5; do
    begin=$(now_ms)
    ./infrastructure/start-multi.sh 4 --detach >/dev/null || fail "start $round failed with $?"
    took=$(($(now_ms) - begin))
    all_ready || fail 'not all ready after a second start'
    "$tachi" down >/dev/null || fail "down failed with $?"
    if [ -z "$best" ] || [ "$took" -lt "$best" ]; then best=$took; fi
done
[ "$best" -le 150 ] || fail "a second start took $best ms at best, 150 are allowed"
held "M1 a second start skips the build; four ready after $best ms (best of five, script included)"

[ -z "$(git status --porcelain -- state)" ] || fail 'run-time files of state/ are not ignored'
held 'run-time files of state/ are ignored by git'
