#!/usr/bin/env python3
"""Writes the seeds: python3 fuzz/seeds/make.py

Those of `operations`, `segment` and `scribble` are numbers in the order in which the target's `Script` asks for them.
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


def edf(signals, *, width=2, reserved="", records=2, said=None, duration="1", onsets=(), room=24):
    """Signals are labels and numbers of samples in a record."""
    head = b"\xffBIOSEMI" if width == 3 else b"0       "
    annotations = ("BDF" if width == 3 else "EDF") + " Annotations"
    signals = list(signals) + ([(annotations, room // width)] if onsets else [])
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
                content += text.ljust(room // width * width, b"\0")
            else:
                content += b"".join((record * samples + at).to_bytes(width, "little") for at in range(samples))
    return content


file("edf", "one-signal", edf([("ECG MLII", 4)]))
file("edf", "two-rates", edf([("EEG Cz", 4), ("Temp", 1)]))
file("edf", "plus", edf([("EEG Cz", 4), ("EEG Pz", 4)], reserved="EDF+C", onsets=["+0.5", "+1.5"]))
file("edf", "interrupted", edf([("EEG Cz", 4)], reserved="EDF+D", onsets=["+0", "+7"]))
file("edf", "not-interrupted", edf([("EEG Cz", 4)], reserved="EDF+D", onsets=["+0", "+1"]))
file("edf", "skipped", edf([("EEG Cz", 4)], reserved="EDF+D", onsets=["+0\x14\x14\0+0.5\x150.75\x14BAD_ACQ_SKIP", "+1"], room=48))
file("edf", "marked", edf([("EEG Cz", 4)], reserved="EDF+D", onsets=["+0\x14\x14\0+0.5\x150.75\x14a (7)\x14b", "+3\x14\x14\0+2\x14c"], room=48))
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
labelled = chunk(b"cue ", struct.pack("<7I", 1, 1, 3, 0, 0, 0, 3)) + chunk(
    b"LIST", b"adtl" + chunk(b"labl", struct.pack("<I", 1) + b"47 frames missing: lapped\0"))
file("wav", "gap", wav(1, 1, 16, chunk(b"data", samples), labelled))
marked = chunk(b"cue ", struct.pack("<7I", 1, 1, 3, 0, 0, 0, 3)) + chunk(b"LIST", b"adtl" + chunk(
    b"labl", struct.pack("<I", 1) + b"a (7)\0") + chunk(b"ltxt", struct.pack("<II", 1, 2) + b"rgn " + bytes(8)))
file("wav", "marked", wav(1, 1, 16, chunk(b"data", samples), marked))
file("wav", "broadcast", wav(1, 2, 16, chunk(b"bext", bytes(320) + b"2002-03-0214:27:00" + bytes(264)),
                             chunk(b"data", samples)))



def xdf_chunk(tag, content):
    return struct.pack("<BIH", 4, len(content) + 2, tag) + content


def xdf(number, rate, desc, *samples, name="a"):
    """Samples are stamps, or None, and the bytes of two numbers."""
    info = (f"<info><name>{name}</name><channel_count>2</channel_count><nominal_srate>{rate}</nominal_srate>"
            f"<channel_format>{number}</channel_format><desc>{desc}</desc></info>")
    body = b"".join((b"\0" if stamp is None else struct.pack("<Bd", 8, stamp)) + values for stamp, values in samples)
    return xdf_chunk(2, struct.pack("<I", 1) + info.encode()) + xdf_chunk(3, struct.pack("<IBB", 1, 1, len(samples)) + body)


exact = "<synchronization><can_drop_samples>true</can_drop_samples></synchronization>"
file("xdf", "two-frames", b"XDF:" + xdf_chunk(1, b"<info/>") + xdf("int16", 100, "", (5.0, b"abcd"), (None, b"efgh")))
file("xdf", "gap", b"XDF:" + xdf("int16", 100, exact, (5.0, b"abcd"), (5.5, b"efgh")))
file("xdf", "complex", b"XDF:" + xdf("int16", 100, "<annulus><sample_format>cu8</sample_format></annulus><channels>"
                                     "<channel><label>x.re</label></channel></channels>", (5.0, b"abcd")))
file("xdf", "two-streams", b"XDF:" + xdf("double64", 10, "", (1.0, bytes(16))) + xdf_chunk(5, bytes(16)) + xdf("string", 0, ""))
file("xdf", "marked", b"XDF:" + xdf("int16", 100, exact, (5.0, b"abcd"), (5.5, b"efgh"))
     + xdf("string", 0, "", (-95.0, b"\1\1a\1\1b"), (None, b"\1\0\1\1c"), name="a markers").replace(b"\1\0\0\0", b"\2\0\0\0")
     + xdf_chunk(4, struct.pack("<Idd", 2, -95.0, 100.5)))
file("xdf", "cut-off", (b"XDF:" + xdf("float32", 10, "", (1.0, bytes(8))))[:-3])
file("sigmf", "gap", b'{"global":{"core:datatype":"ri16_le","core:sample_rate":10,"core:num_channels":2},"captures":'
     b'[{"core:sample_start":0,"core:global_index":0,"core:datetime":"2002-03-02T14:27:00.5Z"},'
     b'{"core:sample_start":1,"core:global_index":9}],"annotations":[{}]}\0abcdefgh')
file("sigmf", "marked", b'{"global":{"core:datatype":"ri16_le","core:sample_rate":10},"annotations":'
     b'[{"core:sample_start":1,"core:sample_count":2,"core:label":"a","core:comment":"b (7)"},{}]}\0abcdefgh')
file("sigmf", "complex", b'{"global":{"core:datatype":"cf32_be","core:sample_rate":10,"annulus:channels":'
     b'[{"label":"x","scale":0.5,"offset":1,"digital_range":[0,1],"physical_range":[0,1]}]}}\0abcdefgh')

file("csv", "as-cat-writes-it", b"position,MLII,\"a,b\"\n0,-3,7\n1,4,5\n2,6,-32768\n")
file("csv", "complex", b"position,x.re,x.im\n7,0.1,-2.0\n8,NaN,inf\n")
file("csv", "times", b"time,x\n0.004,1\n0.008,2\n0.012,3\n")
file("csv", "coarse", b"Time (ms),x\n" + b"".join(b"%d,0\n" % (line * 3 // 5) for line in range(48)))
file("csv", "one-column", b"x\n1\n2\n\n3\n\n")
file("csv", "bare", b"1;2\r\n3;4\r\n")
file("csv", "gap", b"t\tx\n0\t1\n1\t2\n3\t4\n")
file("csv", "ragged", b"a,b\n1,2\n\n3\n")


# Shapes: the frame's size as an index, keep, requested frames, and kind.
KINDS = {"spsc": 0, "spsc-in-place": 1, "queue-1": 2, "queue-2": 3, "queue-4": 5, "queue-unobserved": 6, "broadcast": 7,
         "overtakes": 8, "waits": 9}


def shape(kind, *, frame=0, keep=0, requested=0):
    return struct.pack("<BBHB", frame, keep, requested, KINDS[kind])


(CREATE, OPEN, CONSUME, OBSERVER, _, PUSHES, _, _, PUSH_WAIT, RESERVE, _, DRAIN, READ, _, CHUNK, SHARE, _, LOOK, _, _,
 SEEKS, LEAVE, FINISH, REMOVE) = range(24)


def steps(*those):
    return b"".join(struct.pack("<BBH", *(step + (0,) * (3 - len(step)))) for step in those)


begin = [(CREATE, 2), (CONSUME, 1), (OBSERVER, 17), (OBSERVER, 18, 1), (OBSERVER, 16 + 48, 4)]
work = [(PUSHES, 0, 41), (PUSHES, 1, 83), (LOOK, 0, 30), (READ, 0, 8), (READ, 0, 8), (READ, 32, 67), (CHUNK, 32, 37),
        (CHUNK, 96, 1553), (SHARE, 0, 40), (SHARE, 17, 7), (RESERVE, 0x30, 58), (RESERVE, 0x10, 90), (RESERVE, 0x70, 66),
        (LOOK, 33, 1321), (PUSH_WAIT, 0, 511), (SEEKS, 16), (LOOK, 1, 99), (SEEKS, 33, 77), (LOOK, 1, 500), (DRAIN, 0)]
leave = [(LEAVE, 0, 1), (CONSUME, 0), (LEAVE, 0, 0), (OPEN,), (PUSHES, 0, 21), (LOOK, 0, 9), (READ, 0, 9), (SHARE, 0, 9)]
end = [(FINISH, 0, 3), (OPEN,), (LOOK, 0, 999), (READ, 0, 999), (SHARE, 0, 999), (SHARE, 0, 999), (LOOK, 0, 9), (READ, 0, 9),
       (SHARE, 0, 9), (CREATE, 2), (PUSHES, 0, 9), (LEAVE, 0, 2), (REMOVE, 0)]
for number, kind in enumerate(KINDS):
    second = [(CREATE, 3), (CREATE, 1), (CREATE, 0), (CONSUME, 0)]
    for frame in (0, number + 1):
        head = shape(kind, frame=frame, keep=number % 3, requested=40 * frame)
        file("operations", f"{kind}-{frame}", head + steps(*begin, *second, *work * 3, *leave, *work, *end, *work))
for kind in ("spsc", "queue-2", "broadcast", "waits", "overtakes"):
    lapped = [(PUSHES, 0, 401), (PUSHES, 0, 402), (PUSHES, 0, 403), (LOOK, 0, 700), (LOOK, 1, 700), (LOOK, 2, 3)]
    file("operations", f"{kind}-lapped", shape(kind, frame=4) + steps(*begin, *lapped * 6))
    # It dies in a large write, and its successor makes a small one.
    announced = [(PUSHES, 0, 2002)] * 2 + [(RESERVE, 0x10, 1202), (LEAVE, 0, 0), (CREATE, 2), (PUSHES, 0, 4), (OBSERVER, 16, 2)]
    file("operations", f"{kind}-announced", shape(kind) + steps(*begin, *announced, (LOOK, 2, 900)))
    # To the very last frame that fits.
    exact = [(CREATE, 2), (OBSERVER, 0), (CONSUME, 1), (PUSHES, 0, 2002), (PUSHES, 0, 49), (PUSHES, 0, 4), (LOOK, 0, 9)]
    file("operations", f"{kind}-exact", shape(kind) + steps(*exact, *exact[3:]))
    forced = [*begin, *work, (REMOVE, 1), *work, (CREATE, 2), *work]
    file("operations", f"{kind}-removed-by-force", shape(kind, frame=1) + steps(*forced))
    replaced = [*begin, (PUSHES, 0, 41), (LEAVE, 0, 1), (LEAVE, 0, 0), (CREATE, 1), (LOOK, 0, 40), (LOOK, 0, 40), (CREATE, 2, 17)]
    file("operations", f"{kind}-replaced", shape(kind, frame=2, keep=1) + steps(*replaced))

# Words: of all eight bytes, or one that is found near to what is there.
FIELD, RECORD, CONTROL, BYTE, SIZE = 0, 3, 4, 6, 7


def all_of(value):
    return struct.pack("<BQ", 7, value)


def plus(value):
    return struct.pack("<Bh", 5, value)


starts = {0: [1], 1: [0], 2: [1, 0], 4: [1], 5: [2, 1, 0, 0], 13: [0]}
attach = b"".join(bytes([0, way, *starts.get(way, [])]) for way in range(16))
act = b"".join(bytes([6, what, who, amount, way, 0, 0]) for way in range(8) for what in range(4) for who, amount in [(0, 3), (1, 200)])
leaving = bytes([13, 0, 0, 13, 4, 0, 14, 15])
fields = {"magic": 0, "layout": 1, "features": 3, "total": 4, "length": 5, "page": 6, "line": 7, "kind": 8, "lanes": 9,
          "frame": 10, "word": 11, "capacity": 12, "producers": 14, "readers": 15, "data": 16, "stride": 17,
          "consumers": 18, "lossless": 19, "observers": 20, "flags": 21, "sample": 23, "channels": 24, "table": 26,
          "rate": 27, "start": 28, "name": 31, "text": 33}
MENDED, MISFIT, UNSEALED, HOLES = 0, 1, 2, 0x18
for number, (name, field) in enumerate(fields.items()):
    for mends, value in ((MENDED, plus(1)), (MISFIT, all_of(1 << 40)), (MISFIT, plus(-1))):
        patch = bytes([FIELD, field]) + value
        head = bytes([number % 10, number % 4, mends, 1])
        file("segment", f"{name}-{mends}-{value[0]}-{len(value)}-{value[1]}", head + patch + attach + act + leaving)
for kind in range(10):
    head = bytes([kind, kind % 4])
    file("segment", f"whole-{kind}", head + bytes([MENDED, 0]) + attach + act + attach + leaving)
    for what in range(8):
        patch = bytes([CONTROL, what, kind, what, 0]) + (all_of(1 << 63) if kind % 2 else plus(-7))
        file("segment", f"control-{kind}-{what}", head + bytes([MENDED, 1]) + patch + attach + act + leaving)
for name, mends, size in (("cut", MISFIT, plus(-4096)), ("cut-mended", MENDED, plus(-300)), ("long", MISFIT, plus(9)),
                          ("empty", MISFIT, all_of(0)), ("header-only", MISFIT, all_of(512))):
    file("segment", f"size-{name}", bytes([3, 1, mends, 1, SIZE]) + size + attach + act)
for at in range(6):
    head = bytes([7 + at % 3, at % 4, MENDED, 1, CONTROL, 0, at, 0, 0, 0])
    file("segment", f"largest-{at}", head + attach + act)
for factor in (2, 64):
    patch = bytes([FIELD, 12]) + all_of(512 * factor)
    file("segment", f"lanes-too-short-{factor}", bytes([7, 0, 0x20, 1]) + patch + attach + act)
file("segment", "holes", bytes([7, 1, HOLES, 0]) + attach)
file("segment", "unsealed", bytes([7, 1, UNSEALED, 1, FIELD, 28]) + plus(1) + attach)
file("segment", "many-lanes", bytes([3, 0, MENDED, 2, FIELD, 9]) + all_of(40) + bytes([FIELD, 20]) + all_of(4096) + attach + act)
file("segment", "large-frames", bytes([7, 0, MENDED, 2, FIELD, 10]) + all_of(1 << 14) + bytes([FIELD, 23]) + all_of(0) + attach + act)

WORK, SCRIBBLE = 7, 0
CONCURRENT, UNRESTORED = 3, 4
for number, kind in enumerate(KINDS):
    works = b"".join(bytes([WORK, what, who, amount, way, 0, 0]) for way in range(6) for what in range(4)
                     for who, amount in [(number, 5), (1, 190)])
    for what in range(8):
        word = all_of((1 << 63) - number) if what % 2 else plus(-9 * number - 1)
        scribble = bytes([SCRIBBLE, 1 + what % 7, what, number, 0, 0]) + word
        content = (scribble + works[: 7 * 12]) * 3 + bytes([15, what, 0, 14, 10, 14, 6, 14, 8]) + works
        file("scribble", f"{kind}-{what}", shape(kind, frame=what) + bytes([UNRESTORED * (what % 2)]) + content)
    # The capacity in the descriptor, which nobody may read twice; and a tail that is far ahead of what there can be.
    whole = b"".join(bytes([WORK, what, who, 255, 0]) for what in range(4) for who in range(2)) * 2
    for name, word in (("capacity", bytes([SCRIBBLE, 0, 1, 0x48, 0]) + all_of(4)),
                       ("tail", bytes([SCRIBBLE, 1, 0, 0, 0, 0]) + all_of(1 << 40))):
        file("scribble", f"{kind}-{name}", shape(kind) + bytes([0]) + word + whole)
    beside = shape(kind, frame=number) + bytes([CONCURRENT + UNRESTORED]) + all_of(number + 1)
    file("scribble", f"{kind}-beside", beside + works * 3)
