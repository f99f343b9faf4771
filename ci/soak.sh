#!/bin/bash
# soak.sh [SECONDS]: processes that create, read and remove one stream, killed again and again (default 30 s).
source "$(dirname "$0")/common.sh"

say "cargo test --test processes killed_again, for ${1:-30} s"
ANNULUS_SOAK=${1:-30} cargo test -p annulus --test processes killed_again -- --nocapture
