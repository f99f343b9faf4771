#!/bin/bash
# The comparison with others runs, everybody receives what was sent, and the report is whole: one short round. For figures:
# cargo run --release in benches/compare.
source "$(dirname "$0")/common.sh"

need g++ libboost-dev libclang-dev libconcurrentqueue-dev libreaderwriterqueue-dev python3-minimal libxml2-utils

say "one round of benches/compare"
export CARGO_TARGET_DIR=$TARGET
CARGO_TARGET_DIR=$(realpath -m "$TARGET")/compare
cargo build --release --manifest-path benches/compare/Cargo.toml
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$CARGO_TARGET_DIR/release/annulus-compare" --rounds 1 --out "$out" >/dev/null
xmllint --noout "$out/compare.svg"
python3 - "$out/compare.json" <<'P'
import json, sys
rows = {row["id"]: row for row in json.load(open(sys.argv[1]))["rows"]}
assert len(rows) == 15, sorted(rows)
names = {entry["name"].split(",")[0].split(" (")[0] for row in rows.values() for entry in row["entries"]}
missing = {"annulus", "ringfire", "rtrb", "iceoryx2", "Boost spsc_queue", "Boost message_queue"} - names
assert not missing, f"not compared with: {missing}"
P
grep -c '^### ' "$out/compare.md"
[ -z "$(ls /dev/shm | grep -E '^compare-' || true)" ] || fail "something is left: $(ls /dev/shm)"
