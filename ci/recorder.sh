#!/bin/bash
# recorder.sh [SECONDS]: 64 channels of i16 at 96 kHz (12.3 MB/s) to one recorder in a lossless seat and ten viewers,
# each of which is stopped for so long (default 1.5) in turn, through a ring of 1 s. Then the recorder itself is stopped,
# with both policies, and killed. Every byte that the recorder got is checked, by its hash; what it lost, on both sides.
source "$(dirname "$0")/common.sh"
pause=${1:-1.5}

annulus=$(annulus_binary)
scratch
shape=(--wave counter --channels 64 --type i16 --rate 96000 --retain 1s)

# json NAME EXPRESSION: of what info says of the stream, as python's d.
json() { "$annulus" info --json "$1" | python3 -c "import json, sys; d = json.load(sys.stdin); print($2)"; }
# Frames, and frames lost, as cat tells at its end.
frames() { sed -n 's/.*: \([0-9]*\) frames, \([0-9]*\) lost.*/\1/p' "$1"; }
lost() { sed -n 's/.*: \([0-9]*\) frames, \([0-9]*\) lost.*/\2/p' "$1"; }
# The hash of the first so many frames: channel c of frame p holds (p + c) modulo 2^15.
expected() {
    python3 - "$1" <<'P'
import array, hashlib, sys
period, left = 1 << 15, int(sys.argv[1])
counted = memoryview(array.array("h", [i % period for i in range(period + 64)]).tobytes())
block = b"".join(counted[p * 2:(p + 64) * 2] for p in range(period))
hash = hashlib.sha256()
while left:
    frames = min(left, period)
    hash.update(block[:frames * 128])
    left -= frames
print(hash.hexdigest())
P
}
# start NAME OPTION...: a producer and its recorder. Sets $producer and $recorder.
start() {
    local name=$1
    shift
    "$annulus" gen --name "$name" "${shape[@]}" --recorders 1 "$@" 2>"$SCRATCH/$name.gen" &
    producer=$!
    wait_for 5 "$annulus" info "$name"
    mkfifo "$SCRATCH/$name.pipe"
    sha256sum <"$SCRATCH/$name.pipe" >"$SCRATCH/$name.hash" &
    hashing=$!
    "$annulus" cat "$name" --recorder --from oldest --format raw >"$SCRATCH/$name.pipe" 2>"$SCRATCH/$name.cat" &
    recorder=$!
    wait_for 5 eval "[ \"\$(json $name \"[a for a in d['attached'] if a['role'] == 'lossless'][0]['position'] > 0\")\" = True ]"
}
# finish NAME: ends the producer, waits for the recorder, and shows what both said.
finish() {
    kill -INT "$producer"
    wait "$producer" || fail "$(cat "$SCRATCH/$1.gen")"
    wait "$recorder" || fail "$(cat "$SCRATCH/$1.cat")"
    wait "$hashing"
    sed 's/^/   gen:      /' "$SCRATCH/$1.gen"
    sed 's/^/   recorder: /' "$SCRATCH/$1.cat"
}
# whole NAME: the recorder got every frame.
whole() {
    local position
    position=$(sed -n 's/.* ended at position \([0-9]*\).*/\1/p' "$SCRATCH/$1.gen")
    [ "$(lost "$SCRATCH/$1.cat")" = 0 ] && [ "$(frames "$SCRATCH/$1.cat")" = "$position" ] || fail "the recorder missed some of $position"
    [ "$(cut -d' ' -f1 "$SCRATCH/$1.hash")" = "$(expected "$position")" ] || fail "the recorder got other bytes than were pushed"
    echo "   every byte of $position frames is there"
}

say "one recorder, ten viewers, each stopped for $pause s in turn, in a ring of 1 s"
start all
viewers=()
for id in 1 2 3 4 5 6 7 8 9 10; do
    "$annulus" cat all --chunk 20ms --format raw >/dev/null 2>"$SCRATCH/viewer.$id" &
    viewers+=($!)
done
wait_for 10 eval "[ \"\$(json all \"len(d['attached'])\")\" = 12 ]"
behind=0
for viewer in "${viewers[@]}"; do
    kill -STOP "$viewer"
    until=$(python3 -c "import time; print(time.monotonic() + $pause)")
    while python3 -c "import sys, time; sys.exit(time.monotonic() >= $until)"; do
        now=$(json all "[a for a in d['attached'] if a['role'] == 'lossless'][0]['behind']")
        [ "$now" -le $behind ] || behind=$now
        sleep 0.05
    done
    kill -CONT "$viewer"
done
finish all
wait "${viewers[@]}"
whole all
printf '   the recorder was at most %d frames (%d ms) behind when we looked\n' $behind $((behind / 96))
for id in 1 2 3 4 5 6 7 8 9 10; do
    missed=$(lost "$SCRATCH/viewer.$id")
    printf '   viewer %-2d: %d frames, lost %d\n' $id "$(frames "$SCRATCH/viewer.$id")" "$missed"
    [ "$missed" -gt 0 ] || fail "viewer $id was stopped and lost nothing: this shows nothing"
done

say "the recorder stopped for 3 s, --at-limit full"
start full --at-limit full
kill -STOP "$recorder"
sleep 3
stuck=$(json full "d['position']")
sleep 0.3
[ "$(json full "d['position']")" = "$stuck" ] || fail "the producer went on"
kill -CONT "$recorder"
wait_for 10 eval "[ \"\$(json full \"d['position'] > $stuck + 96000\")\" = True ]"
finish full
grep -q 'waiting for its recorder' "$SCRATCH/full.gen" || fail "gen did not say that it waits"
whole full

say "the recorder stopped for 3 s, --at-limit overwrite"
start over --at-limit overwrite
kill -STOP "$recorder"
sleep 3
"$annulus" ls | grep -v broken: | sed 's/^/   /' # beside the streams lie this script's files
kill -CONT "$recorder"
wait_for 10 eval "[ \"\$(json over \"[a for a in d['attached'] if a['role'] == 'lossless'][0]['lost'] > 0\")\" = True ]"
finish over
missed=$(lost "$SCRATCH/over.cat")
grep -q "recorders lost $missed frames" "$SCRATCH/over.gen" || fail "the recorder says that it lost $missed"
position=$(sed -n 's/.* ended at position \([0-9]*\).*/\1/p' "$SCRATCH/over.gen")
[ $(($(frames "$SCRATCH/over.cat") + missed)) -eq "$position" ] || fail "frames are missing that nobody tells of"
printf '   %d frames read and %d lost are the %d that were pushed, on both sides\n' "$(frames "$SCRATCH/over.cat")" "$missed" "$position"

say "the recorder killed while the producer waits for it, --at-limit full"
start dead --at-limit full
kill -STOP "$recorder"
wait_for 10 grep -qs 'waiting for its recorder' "$SCRATCH/dead.gen"
python3 - "$recorder" "$annulus" <<'P'
import json, os, signal, subprocess, sys, time
def position():
    return json.loads(subprocess.check_output([sys.argv[2], "info", "--json", "dead"]))["position"]
stuck = position()
begun = time.monotonic()
os.kill(int(sys.argv[1]), signal.SIGKILL)
while position() == stuck:
    assert time.monotonic() < begun + 10, "the dead are waited for"
print(f"   the producer went on {1000 * (time.monotonic() - begun):.0f} ms after that, as we saw it (a wait slice is 100 ms)")
P
{ wait "$recorder" || true; } 2>/dev/null
kill -INT "$producer"
wait "$producer" || fail "$(cat "$SCRATCH/dead.gen")"
sed 's/^/   gen:      /' "$SCRATCH/dead.gen"
