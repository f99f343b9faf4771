#!/bin/bash
# What users of the library compile: few crates, and the README lists exactly these, in the sentence that names
# the command: "... (`cargo tree -p annulus -e normal`): annulus, ..., num-traits."
source "$(dirname "$0")/common.sh"
most=12

say "cargo tree -p annulus -e normal: at most $most crates"
crates=$(cargo tree -p annulus -e normal --prefix none --locked | sed 's/ (.*//' | sort -u)
sed 's/^/   /' <<<"$crates"
count=$(wc -l <<<"$crates")
say "$count crates, annulus itself included"
[ "$count" -le $most ] || fail "$count crates are more than $most"

say "README.md lists exactly these"
[ -f README.md ] || fail "there is no README.md"
listed=$(tr '\n' ' ' <README.md | grep -oP '`cargo tree -p annulus -e normal`\):? \K[^.]*' | tr -s ', ' '\n\n' | sed '/^$/d' | sort -u || true)
[ -n "$listed" ] || fail "README.md has no such sentence"
diff <(cut -d' ' -f1 <<<"$crates" | sort -u) - <<<"$listed" || fail "the lists differ (<: compiled, >: listed)"
