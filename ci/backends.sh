#!/bin/bash
# The tests of streams, over each of the backends that is not the default one.
source "$(dirname "$0")/common.sh"

suite=(--test streams --test lossless --test waiting --test waitset --test polled --test queues --test processes)
cargo test -p annulus --no-run "${suite[@]}" --test backends
before=$(ipcs -m | wc -l)
for backend in file system-v; do
    say "$backend"
    ANNULUS_TEST_BACKEND=$backend cargo test -q -p annulus "${suite[@]}"
done
cargo test -q -p annulus --test backends
[ "$(ipcs -m | wc -l)" -eq "$before" ] || { ipcs -m; fail "segments were left behind"; }
