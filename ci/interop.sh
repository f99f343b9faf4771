#!/bin/bash
# interop.sh: shared memory between us and programs that use Boost.Interprocess (C++), or Python's
# multiprocessing.shared_memory: both ways. PYTHON names another interpreter than python3: what keeps its resource tracker
# from our objects is another call from 3.13 on.
source "$(dirname "$0")/common.sh"

need g++ libboost-dev
if [ -z "${PYTHON:-}" ]; then
    need python3
    PYTHON=/usr/bin/python3
fi

built=$(realpath "$TARGET")/interop
mkdir -p "$built"
say "g++ tests/interop/boost.cpp, with Boost $(dpkg-query -W -f='${Version}' libboost-dev)"
g++ -std=c++14 -Wall -Wextra -O1 -o "$built/boost" tests/interop/boost.cpp -lrt -pthread

export ANNULUS_INTEROP_BOOST=$built/boost ANNULUS_INTEROP_PYTHON=$PYTHON
say "cargo test --test interop, with $("$PYTHON" --version)"
log=$built/log
cargo test -q -p annulus --test interop 2>&1 | tee "$log"
! grep -q 'NOT RUN' "$log" || fail "some tests were not run"
