#!/bin/bash
# shm.sh [ROUNDS]: shared memory for its own sake, the long form. All of tests/shm.rs as root, where nothing of it may be
# left out (other users, namespaces with small limits, ipcs and ipcrm); ten processes at one place at once, so many times
# (default 10000) for each kind; makers killed at any moment. Nothing may be left afterwards.
source "$(dirname "$0")/common.sh"
rounds=${1:-10000}

[ "$(id -u)" -eq 0 ] || fail "must be run as root, or it shows only a part: sudo --preserve-env=PATH ci/shm.sh"
need util-linux

# Test directories and POSIX objects of processes that are gone, companions that nobody uses, and segments.
left() {
    local name pid
    for name in /dev/shm/annulus-test-*; do
        pid=${name#/dev/shm/annulus-test-}
        [ ! -e "$name" ] || [ -d "/proc/${pid%%-*}" ] || echo "$name"
    done
    tail -n +2 /proc/sysvipc/shm | while read -r key id _ _ pid _; do
        [ -d "/proc/$pid" ] || echo "segment $id, key $key"
    done
}
before=$(left)

export ANNULUS_ALL_TESTS=1
say "cargo test --test shm, nothing left out"
cargo test -q -p annulus --features portable --test shm -- --nocapture

pages=/proc/sys/vm/nr_hugepages
reserved=$(cat $pages)
trap 'echo "$reserved" >$pages' EXIT
if echo $((reserved + 8)) 2>/dev/null >$pages && [ "$(cat $pages)" -eq $((reserved + 8)) ]; then
    say "with 8 huge pages: objects that are made of them"
    ANNULUS_HUGE_PAGES=1 cargo test -q -p annulus --features portable --test shm ::pages -- --test-threads 1
    echo "$reserved" >$pages
else
    say "no huge pages can be reserved here (a container?): not shown"
fi
say "ten processes at one place, $rounds times for each kind"
ANNULUS_SHM_ROUNDS=$rounds cargo test -q -p annulus --features portable --test shm filled_exactly_once
say "makers killed at any moment, $((rounds / 20)) times for each kind"
ANNULUS_SHM_ROUNDS=$((rounds / 20)) cargo test -q -p annulus --features portable --test shm makers_killed

new=$(comm -13 <(sort <<<"$before") <(left | sort))
[ -z "$new" ] || fail "left behind: $new"
printf 'figures | shared memory: objects left behind | 0 | 0 | POSIX, file, System V, portable, and companions\n'
