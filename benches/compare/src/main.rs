mod limits; mod link; mod payload; mod rivals; mod side; mod workload;
use std::time::Duration;
fn main() {
    let t = Duration::from_millis(100);
    for _ in 0..3 {
        let show = |n: &str, s: Option<workload::Sample>| println!("{n:<28} {s:.3?}");
        use workload::*; use rivals::*;
        show("rt two atomics", alone(|| Sample { value: limits::two_atomics(200_000), ..Default::default() }));
        show("rt one line", alone(|| round_trip::<8, limits::OneLine>(t)));
        show("rt annulus spsc", alone(|| round_trip::<8, annulus::Spsc<8>>(t)));
        show("rt annulus broadcast", alone(|| round_trip::<8, annulus::Broadcast<8>>(t)));
        show("rt rtrb", alone(|| round_trip::<8, rtrb::Rtrb<8>>(t)));
        show("sleep futex", alone(|| round_trip_asleep::<8, limits::OneLine>([limits::OneLine::asleep(), limits::OneLine::asleep()], t)));
        show("sleep annulus", alone(|| round_trip_asleep::<8, annulus::Spsc<8>>([link::Link::<8>::new(64), link::Link::<8>::new(64)], t)));
        show("256 bare", alone(|| stream::<32, limits::Bare<32>>(4096, 1, 64, t)));
        show("256 annulus", alone(|| stream::<32, annulus::Spsc<32>>(4096, 1, 64, t)));
        show("256 annulus 1 at a time", alone(|| stream::<32, annulus::Spsc<32>>(4096, 1, 1, t)));
        show("256 rtrb", alone(|| stream::<32, rtrb::Rtrb<32>>(4096, 1, 64, t)));
        show("16k pipeline", alone(|| stream::<2048, limits::Pipeline<2048>>(64, 1, 1, t)));
        show("16k bare", alone(|| stream::<2048, limits::Bare<2048>>(64, 1, 1, t)));
        show("16k annulus", alone(|| stream::<2048, annulus::Spsc<2048>>(64, 1, 2, t)));
        show("16k rtrb", alone(|| stream::<2048, rtrb::Rtrb<2048>>(64, 1, 2, t)));
        show("8 slot", alone(|| stream::<1, limits::SlotSequence>(4096, 1, 1, t)));
        show("8 bare", alone(|| stream::<1, limits::Bare<1>>(4096, 1, 1, t)));
        show("8 annulus", alone(|| stream::<1, annulus::Spsc<1>>(4096, 1, 1, t)));
        show("8 rtrb", alone(|| stream::<1, rtrb::Rtrb<1>>(4096, 1, 1, t)));
        show("8x64 bare", alone(|| stream::<1, limits::Bare<1>>(4096, 64, 64, t)));
        show("8x64 annulus", alone(|| stream::<1, annulus::Spsc<1>>(4096, 64, 64, t)));
        show("8x64 rtrb", alone(|| stream::<1, rtrb::Rtrb<1>>(4096, 64, 64, t)));
    }
}
