#!/bin/bash
# asan.sh [cargo test arguments]: the library's tests under AddressSanitizer, with the leaks of each process that ends by
# itself (one that is killed reports nothing). It sees the heap, where the unit tests run the protocol, and what lies
# beside a mapping; inside of a mapping every address is good to it, and there the tests compare what they read.
# rustc has the sanitizer's runtime with it, so only the crates are built for it, not std.
source "$(dirname "$0")/common.sh"

export RUSTC_BOOTSTRAP=1 RUSTFLAGS="${RUSTFLAGS:-} -Zsanitizer=address" CARGO_TARGET_DIR=$TARGET/asan
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# check LEAKS ARGUMENTS...: of cargo test.
check() {
    ASAN_OPTIONS=detect_leaks=$1:${ASAN_OPTIONS:-} \
        cargo test -p annulus --features async --target "$(rustc -vV | sed -n 's/^host: //p')" "${@:2}" 2>&1 | tee -a "$log"
    # Also of a child whose end nobody looked at.
    ! grep -q 'ERROR: [A-Za-z]*Sanitizer' "$log" || fail "the sanitizer found something"
}
if [ $# -gt 0 ]; then
    check 1 "$@"
    exit
fi

tests=(bad_input streams lossless queues waiting waitset polled async processes)
skipped=(
    all_pages_are_there_from_the_start # counts page faults, and the sanitizer's own memory has some
    a_child_forked_while_one_attaches_has_no_seat # forks 3000 times, and each fork copies the sanitizer's page tables: minutes
)
# Forked beside a thread that its process then does not have: what that thread had on its stack is lost to the child, and
# would be called a leak there. So without leaks.
forked=a_forked_child_has_an_event_loop_of_its_own

say "cargo test, with the address sanitizer and its leak detection"
check 1 --lib "${tests[@]/#/--test=}" -- "${skipped[@]/#/--skip=}" --skip=$forked
say "$forked, without leak detection"
check 0 --test waiting -- --exact $forked
awk -v skipped="${#skipped[@]}" '/^test result: ok/ { passed += $4 } END {
    printf "figures | address sanitizer: tests | %d | 0 | of its own and nine files, memory and leaks; %d more cannot run under it\n", passed, skipped
}' "$log"
