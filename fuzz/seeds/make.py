#!/usr/bin/env python3
"""Writes the seeds of the target `index`: python3 fuzz/seeds/make.py

The bytes are what `arbitrary` makes an `Input` of: integers little-endian, in the order of the fields; an
operation is preceded by a byte 1, and by its number scaled to 32 bits.
"""

import struct
from pathlib import Path

PUSH, DIE, OBSERVE, SEEK, TAKE = range(5)


def operation(kind, *numbers):
    scaled = -(-(kind << 32) // 5)
    return struct.pack(f"<BI{len(numbers)}H", 1, scaled, *numbers)


def seed(name, operations, *, requested=0, frame=0, page=12, position=0, ahead=0, count=0, divisor=0, value=0):
    fields = struct.pack("<6QIQ", requested, frame, page, position, ahead, count, divisor, value)
    path = Path(__file__).parent / "index" / name
    path.write_bytes(fields + b"".join(operation(*one) for one in operations))


# In the target a frame has 1 + frame % limit bytes, and the model's lane 8 + requested % 250 frames.
# An even divisor makes the model's ring a broadcast, an odd one an spsc.
laps = [(PUSH, 5), (OBSERVE, 4, 0, 0)] * 12
seed("wrap-every-other-push", laps, requested=8, frame=0, ahead=5, count=3, divisor=2, value=8)
seed("whole-lane-at-once", [(PUSH, 8), (OBSERVE, 8, 0, 0)] * 5, requested=250, frame=7, ahead=8, count=8)
seed("frames-of-30-bytes", [(PUSH, 7), (OBSERVE, 9, 3, 2)] * 8, requested=5000, frame=29, ahead=77, count=9,
     divisor=30, value=30 * 143_165_577)
seed("odd-frame-plain-mapping", [(PUSH, 3), (SEEK, 4), (OBSERVE, 2, 1, 1)] * 4, requested=10, frame=4098,
     ahead=9, count=5, divisor=4099, value=4099 * 4099)
seed("near-2-to-63", [(PUSH, 9), (OBSERVE, 20, 4, 3)] * 6, requested=48_000, frame=255, position=(1 << 63) - 48_001,
     ahead=48_000, count=(1 << 63) - 1)
seed("last-position", [(PUSH, 2), (OBSERVE, 2, 0, 0)], requested=8, frame=7, position=(1 << 63) - 9, ahead=8,
     count=(1 << 64) - 1)
seed("observer-lapped-in-its-copy", [(PUSH, 40), (OBSERVE, 30, 11, 25), (OBSERVE, 40, 5, 90)] * 4, requested=32,
     frame=11, ahead=32, count=16)
seed("producer-dies-in-a-push", [(PUSH, 30), (DIE, 8, 5), (OBSERVE, 30, 10, 2), (DIE, 6, 6), (PUSH, 12)] * 3,
     requested=28, frame=2, ahead=6, count=20)
seed("spsc-full-and-drained", [(PUSH, 16), (PUSH, 1), (TAKE, 1), (PUSH, 1), (TAKE, 9), (OBSERVE, 16, 4, 5), (TAKE, 64)] * 4,
     requested=8, frame=15, ahead=16, count=16, divisor=3, value=3 * 1_431_655_765)
seed("spsc-single-frames", [(PUSH, 1), (PUSH, 1), (TAKE, 1)] * 24, requested=80, frame=3, ahead=1, count=1, divisor=1,
     value=(1 << 32) - 1)
seed("huge-pages", [], requested=3_000_000, frame=191, page=21, position=1 << 40, ahead=1 << 20, count=1 << 41,
     divisor=(1 << 32) - 1, value=(1 << 64) - 1)
seed("largest-lane", [], requested=1 << 18, frame=(1 << 26) - 1, page=12, position=(1 << 63) - (1 << 18) - 1,
     ahead=1 << 18, count=1 << 62, divisor=1 << 31, value=1 << 63)
