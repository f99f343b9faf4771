#!/bin/bash
# Streams that several users share: takes root, because only root can be several users.
source "$(dirname "$0")/common.sh"

[ "$(id -u)" -eq 0 ] || fail "must be run as root, or it shows nothing: sudo --preserve-env=PATH ci/users.sh"
need util-linux
say "cargo test --test users -- --ignored"
cargo test -p annulus-cli --test users -- --ignored
