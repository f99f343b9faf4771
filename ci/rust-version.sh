#!/bin/bash
# The promise of Cargo.toml's rust-version: with that compiler, if rustup has it; always by lint, and by asking
# what the dependencies promise themselves.
source "$(dirname "$0")/common.sh"

promised=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
[ -n "$promised" ] || fail "Cargo.toml promises no rust-version"

toolchain=$(rustup toolchain list 2>/dev/null | grep -oE "^$promised(\.[0-9]+)?-[^ ]+" | head -1 || true)
if [ -n "$toolchain" ]; then
    say "cargo +$toolchain check"
    CARGO_TARGET_DIR=$TARGET/rust-version cargo "+$toolchain" check --workspace --locked
else
    say "rustup has no $promised here, so younger language features go unnoticed: younger library features do not"
fi

say "clippy: nothing of the standard library that is younger than $promised"
cargo clippy --workspace -- -D clippy::incompatible_msrv

say "no dependency asks for more than $promised"
cargo metadata --format-version 1 --locked | python3 -c '
import json, sys

def version(text):
    return tuple(map(int, (text.split("-")[0].split(".") + ["0", "0"])[:3]))

promised = sys.argv[1]
metadata = json.load(sys.stdin)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
todo, seen = list(metadata["workspace_members"]), set()
while todo:
    here = todo.pop()
    if here in seen:
        continue
    seen.add(here)
    for dependency in nodes[here]["deps"]:
        if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
            todo.append(dependency["pkg"])
asking = [(package["rust_version"], package["name"], package["version"])
          for package in map(packages.get, seen) if package["rust_version"]]
more = [one for one in asking if version(one[0]) > version(promised)]
for needs, name, its in more:
    print(f"{name} {its} needs Rust {needs}", file=sys.stderr)
most = max(asking, key=lambda one: version(one[0]))
print(f"{len(seen)} packages, of which {len(asking)} name a version; the youngest is {most[0]} ({most[1]} {most[2]})")
sys.exit(1 if more or len(seen) < 2 else 0)
' "$promised"
