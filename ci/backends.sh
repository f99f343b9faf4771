#!/bin/bash
# The tests of streams, over each of the backends that is not the default one.
source "$(dirname "$0")/common.sh"

suite=(--test streams --test lossless --test waiting --test waitset --test polled --test queues --test processes)
test=(cargo test -p annulus --features portable)
"${test[@]}" --no-run "${suite[@]}" --test backends --test shm
there() { (ipcs -m && ls /dev/shm | grep '^annulus\.') || true; }
before=$(there)
for backend in file system-v portable; do
    say "$backend"
    ANNULUS_TEST_BACKEND=$backend "${test[@]}" -q "${suite[@]}"
done
say "what each has of its own"
"${test[@]}" -q --test backends
say "portable, for its own sake"
"${test[@]}" -q --test shm portable::
[ "$(there)" = "$before" ] || { diff <(echo "$before") <(there); fail "something was left behind"; }
