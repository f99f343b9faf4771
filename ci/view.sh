#!/bin/bash
# What it costs to watch 256 channels at 30 kHz: the viewer's share of a processor, in a terminal of 120 x 40, and
# what the producer has of it.
source "$(dirname "$0")/common.sh"

annulus=$(annulus_binary)
scratch
seconds=8
shape=(--wave noise --channels 256 --rate 30000 --type f32 --retain 2s)

# pace NAME: frames a second that the generator pushed, as it says at its end.
pace() { sed -n 's/.*(\([0-9.]*\) Hz).*/\1/p' "$SCRATCH/$1"; }

say "gen alone, as a yardstick"
"$annulus" gen --name alone "${shape[@]}" --duration 4s 2>"$SCRATCH/alone"

say "view, for $seconds s"
"$annulus" gen --name a "${shape[@]}" 2>"$SCRATCH/watched" &
producer=$!
wait_for 5 "$annulus" info a
python3 - "$annulus" $seconds $producer <<'P'
import fcntl, os, pty, re, select, struct, sys, termios, time

annulus, seconds, producer = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
tick = os.sysconf("SC_CLK_TCK")

def used(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / tick

begun, before = time.monotonic(), used(producer)
time.sleep(seconds / 2)
alone = (used(producer) - before) / (time.monotonic() - begun)
viewer, terminal = pty.fork()
if viewer == 0:
    os.execv(annulus, [annulus, "view", "a"])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

screen = b""
def show(until):
    global screen
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                screen += os.read(terminal, 1 << 16)
            except OSError:
                return # the viewer has closed its side

show(time.monotonic() + 2)
begun, before = time.monotonic(), [used(pid) for pid in (viewer, producer)]
drawn = len(screen)
show(begun + seconds)
elapsed = time.monotonic() - begun
of_viewer, of_producer = ((used(pid) - old) / elapsed for pid, old in zip((viewer, producer), before))
os.write(terminal, b"q")
show(time.monotonic() + 0.3)
status = os.waitpid(viewer, 0)[1]
text = screen.decode(errors="replace")
lost = re.findall(r"lost (\d+)", text)
print(f"   the viewer took {100 * of_viewer:.1f} % of a processor, the producer {100 * of_producer:.1f} %, {100 * alone:.1f} % before; lost: {lost[-1] if lost else 'none shown'}")
# It was there, and drew: dots of the signal, all the time.
drew = len(screen) > drawn and sum("\u2800" <= c <= "\u28ff" for c in text) > 1000
sys.exit(0 if status == 0 and drew and of_viewer < 0.5 else 1)
P
kill -INT $producer
wait $producer || true
printf '   pushed at %s Hz alone, %s Hz watched\n' "$(pace alone)" "$(pace watched)"
awk -v alone="$(pace alone)" -v watched="$(pace watched)" 'BEGIN { exit !(watched > 0.99 * alone && alone > 29000) }' ||
    fail "the producer is slower when it is watched"
