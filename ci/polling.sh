#!/bin/bash
# What other systems than Linux sleep by (src/wait/polling.rs, src/wait/event/pipe.rs), run here: the tests of sleeping,
# waking and event loops, on a copy of the tree that takes those files.
source "$(dirname "$0")/common.sh"

tree=$(mktemp -d /tmp/annulus-polling.XXXXXX)
trap 'rm -rf "$tree"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$tree"
export CARGO_TARGET_DIR
CARGO_TARGET_DIR=$(realpath -m "$TARGET") # what it depends on is built there already
cd "$tree"

chosen='target_os = "linux"'
grep -q "$chosen" src/wait/mod.rs && grep -q "$chosen" src/wait/event.rs || fail "src/wait chooses its files otherwise by now"
sed -i "s/$chosen/any()/" src/wait/mod.rs src/wait/event.rs
say "cargo test, asleep by polling"
tests=(waiting waitset polled async queues streams)
# One test counts descriptors, of which a pipe is two.
cargo test -p annulus --features async "${tests[@]/#/--test=}" -- --skip=handles_that_leave_take_everything_along
