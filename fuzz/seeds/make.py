#!/usr/bin/env python3
"""Writes the seeds: python3 fuzz/seeds/make.py

Those of `index` are what `arbitrary` makes an `Input` of: integers little-endian, in the order of the fields; an
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


def file(target, name, content):
    folder = Path(__file__).parent / target
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)


def edf(signals, *, width=2, reserved="", records=2, said=None, duration="1", onsets=()):
    """Signals are labels and numbers of samples in a record."""
    head = b"\xffBIOSEMI" if width == 3 else b"0       "
    annotations = ("BDF" if width == 3 else "EDF") + " Annotations"
    signals = list(signals) + ([(annotations, 24 // width)] if onsets else [])
    fields = [("X X X X", 80), ("Startdate 02-MAR-2002 X X Device", 80), ("02.03.02", 8), ("14.27.00", 8),
              (256 * (len(signals) + 1), 8), (reserved, 44), (records if said is None else said, 8), (duration, 8),
              (len(signals), 4)]
    for column, length in [(lambda s: s[0], 16), (lambda s: "cup", 80), (lambda s: "uV", 8), (lambda s: -100, 8),
                           (lambda s: 100, 8), (lambda s: -2048, 8), (lambda s: 2047, 8), (lambda s: "HP:0.1Hz", 80),
                           (lambda s: s[1], 8), (lambda s: "", 32)]:
        fields += [(column(signal), length) for signal in signals]
    content = head + b"".join(str(text).ljust(length).encode() for text, length in fields)
    for record in range(records):
        for label, samples in signals:
            if label == annotations:
                text = b"%s\x14\x14\0" % onsets[record].encode()
                content += text.ljust(24 // width * width, b"\0")
            else:
                content += b"".join((record * samples + at).to_bytes(width, "little") for at in range(samples))
    return content


file("edf", "one-signal", edf([("ECG MLII", 4)]))
file("edf", "two-rates", edf([("EEG Cz", 4), ("Temp", 1)]))
file("edf", "plus", edf([("EEG Cz", 4), ("EEG Pz", 4)], reserved="EDF+C", onsets=["+0.5", "+1.5"]))
file("edf", "interrupted", edf([("EEG Cz", 4)], reserved="EDF+D", onsets=["+0", "+7"]))
file("edf", "not-interrupted", edf([("EEG Cz", 4)], reserved="EDF+D", onsets=["+0", "+1"]))
file("edf", "never-finished", edf([("EEG Cz", 4)], said=-1)[:-3])
file("edf", "cut-off", edf([("EEG Cz", 4)], said=3))
file("edf", "bdf", edf([("A1", 4), ("Status", 4)], width=3, reserved="24BIT", duration="0.25"))


def chunk(name, body, said=None):
    return name + struct.pack("<I", len(body) if said is None else said) + body + b"\0" * (len(body) % 2)


def wav(kind, channels, bits, *chunks, name=b"RIFF", extended=None):
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, 8000, 8000 * frame, frame, bits)
    if extended:
        form += struct.pack("<HHIH", 22, bits, 3, extended) + bytes.fromhex("000000001000800000aa00389b71")
    body = b"WAVE" + chunk(b"fmt ", form) + b"".join(chunks)
    return chunk(name, body)


samples = bytes(range(48))
for bits in (8, 16, 24, 32):
    file("wav", f"pcm-{bits}", wav(1, 2, bits, chunk(b"data", samples)))
for bits in (32, 64):
    file("wav", f"float-{bits}", wav(3, 1, bits, chunk(b"LIST", b"odd"), chunk(b"data", samples)))
file("wav", "extensible", wav(0xFFFE, 3, 16, chunk(b"data", samples), extended=1))
file("wav", "streamed", wav(1, 1, 16, chunk(b"data", samples, 0xFFFFFFFF)))
file("wav", "long", wav(1, 1, 16, chunk(b"ds64", struct.pack("<QQQI", 0, 40, 20, 0)),
                        chunk(b"data", samples, 0xFFFFFFFF), name=b"RF64"))
file("wav", "broadcast", wav(1, 2, 16, chunk(b"bext", bytes(320) + b"2002-03-0214:27:00" + bytes(264)),
                             chunk(b"data", samples)))

file("csv", "as-cat-writes-it", b"position,MLII,\"a,b\"\n0,-3,7\n1,4,5\n2,6,-32768\n")
file("csv", "complex", b"position,x.re,x.im\n7,0.1,-2.0\n8,NaN,inf\n")
file("csv", "times", b"time,x\n0.004,1\n0.008,2\n0.012,3\n")
file("csv", "coarse", b"Time (ms),x\n" + b"".join(b"%d,0\n" % (line * 3 // 5) for line in range(48)))
file("csv", "one-column", b"x\n1\n2\n\n3\n\n")
file("csv", "bare", b"1;2\r\n3;4\r\n")
file("csv", "gap", b"t\tx\n0\t1\n1\t2\n3\t4\n")
file("csv", "ragged", b"a,b\n1,2\n\n3\n")
