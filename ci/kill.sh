#!/bin/bash
# kill.sh [POINTS] [STOPS]: a victim in each role is killed, and stopped, at every instruction of what is short, and of
# what is long at each point that others can tell apart and some more (tests/kill.rs; default 400 and 16 points a scene,
# `all`: every instruction of everything, which takes days).
source "$(dirname "$0")/common.sh"

say "cargo test --release --test kill"
ANNULUS_KILL_POINTS=${1:-400} ANNULUS_STOP_POINTS=${2:-16} \
    cargo test --release -q -p annulus --test kill -- --test-threads 1
