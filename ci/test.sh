#!/bin/bash
# All tests, by the README's command.
source "$(dirname "$0")/common.sh"

say "cargo test"
cargo test
