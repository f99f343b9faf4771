#!/bin/bash
# The documentation: no dead link, nothing undocumented; what is private too.
source "$(dirname "$0")/common.sh"

export RUSTDOCFLAGS="-D warnings"
say "cargo doc, with what is private"
cargo doc -p annulus --all-features --no-deps --document-private-items
say "cargo doc, as users see it"
cargo doc -p annulus --all-features --no-deps
