#!/bin/bash
# shows.sh [SECONDS]: 64 channels of f32 at 48 kHz (12 MB/s), for so long (default 20), to three readers at once;
# then as fast as it goes to one that may miss nothing. Every byte is checked, by its hash.
source "$(dirname "$0")/common.sh"
seconds=${1:-20}
frames=$((seconds * 48000))

annulus=$(annulus_binary)
scratch

# What the counter is at 64 channels of f32: channel c of frame p holds p + c, c from 0, exact below 2^24.
expected=$(python3 - "$frames" <<'P'
import array, hashlib, sys
frames = int(sys.argv[1])
assert frames + 64 <= 1 << 24
counted = memoryview(array.array("f", range(frames + 64)).tobytes())
hash = hashlib.sha256()
for start in range(0, frames, 10_000):
    hash.update(b"".join(counted[p * 4:(p + 64) * 4] for p in range(start, min(start + 10_000, frames))))
print(hash.hexdigest())
P
)
shape=(--wave counter --channels 64 --type f32 --rate 48000 --duration "${seconds}s")

# read_all NAME ID: leaves the hash of all that the stream ever held, and what cat said, in $SCRATCH.
read_all() {
    "$annulus" cat "$1" --from oldest --format raw 2>"$SCRATCH/$1.$2.said" | sha256sum | cut -d' ' -f1 >"$SCRATCH/$1.$2.hash"
}
verify() {
    local said
    said=$(grep -E ' frames, ' "$SCRATCH/$1.$2.said" || true)
    printf '   reader %s: %s\n' "$2" "$said"
    grep -qE ": $frames frames, 0 lost" <<<"$said" || { cat "$SCRATCH/$1.$2.said"; fail "reader $2 did not get $frames frames"; }
    [ "$(cat "$SCRATCH/$1.$2.hash")" = "$expected" ] || fail "reader $2 got other bytes than were pushed"
}

say "64 channels x f32 x 48 kHz for $seconds s, three readers: $frames frames each"
"$annulus" gen --name shows "${shape[@]}" 2>"$SCRATCH/gen.said" &
producer=$!
wait_for 5 "$annulus" info shows
readers=()
for id in 1 2 3; do
    read_all shows $id &
    readers+=($!)
done
wait $producer || fail "$(cat "$SCRATCH/gen.said")"
wait "${readers[@]}"
sed 's/^/   gen: /' "$SCRATCH/gen.said"
for id in 1 2 3; do verify shows $id; done

say "--speed max --lossless, a ring of 1 s: $frames frames, in order"
"$annulus" gen --name lossless "${shape[@]}" --speed max --lossless --retain 1s 2>"$SCRATCH/gen.said" &
producer=$!
wait_for 5 "$annulus" info lossless
read_all lossless 1
wait $producer || fail "$(cat "$SCRATCH/gen.said")"
sed 's/^/   gen: /' "$SCRATCH/gen.said"
verify lossless 1
left=$(find "$SCRATCH" -maxdepth 1 ! -name '*.said' ! -name '*.hash' -type f)
[ -z "$left" ] || fail "left behind: $left"
say "nothing was left behind"
