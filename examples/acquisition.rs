//! The acquiring half: pushes two channels of a sine wave at 500 Hz until it is stopped.
//!
//! Run it, and `viewer` in another terminal: `cargo run --release --example acquisition`.

use annulus::Channel;
use std::time::{Duration, Instant};

const RATE: f64 = 500.0;
const BLOCK: usize = 5; // frames: 10 ms

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut producer = annulus::create("example")
        .channels([Channel::new("sine").unit("mV").scaled(0.001, 0.0), Channel::new("cosine")])
        .rate(RATE)
        .retain(Duration::from_secs(10))
        .producer::<i16>()?;
    println!("pushing {} from position {}", producer.info().full_name(), producer.position());

    let start = Instant::now();
    for block in 1u32.. {
        let mut samples = Vec::with_capacity(2 * BLOCK);
        for frame in 0..BLOCK as u64 {
            let phase = (producer.position() + frame) as f64 / RATE * std::f64::consts::TAU;
            samples.push((1000.0 * phase.sin()) as i16);
            samples.push((1000.0 * phase.cos()) as i16);
        }
        producer.push(&samples)?; // never waits, whoever is watching
        let due = start + Duration::from_millis(10) * block;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}
