//! A stream and a timer in one task: counts what comes, and says so once a second.
//!
//! `cargo run --release --features async --example tokio [NAME [SECONDS]]`, beside `--example acquisition` (NAME
//! `example`) or any stream of i16. `read_async` needs no runtime of its own; this is tokio's.

use annulus::{ReadError, Wait};
use std::time::Duration;
use tokio::time::{Instant, interval, sleep_until};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "example".into());
    let seconds = arguments.next().map_or(Ok(u64::MAX >> 32), |text| text.parse())?;

    let mut viewer = annulus::open(&name).appear_within(Duration::from_secs(10)).observer::<i16>()?;
    let channels = viewer.info().channels.len();
    let mut samples = vec![0; 4096 * channels];
    let wait = Wait::new().frames((viewer.info().rate / 50.0).min(4096.0) as u64); // 20 ms
    let mut second = interval(Duration::from_secs(1));
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut frames, mut wakes, mut ticks) = (0, 0, 0);
    loop {
        tokio::select! {
            read = viewer.read_async(&mut samples, wait) => match read {
                Ok(read) => {
                    frames += read.frames;
                    wakes += 1;
                }
                Err(ReadError::ProducerGone { pid, .. }) => println!("process {pid} died; waiting for the next"),
                Err(stop) => break println!("{stop}"),
            },
            _ = second.tick() => {
                println!("{ticks} s: {frames} frames, woken {wakes} times");
                ticks += 1;
            }
            () = sleep_until(end) => break,
        }
    }
    println!("in all {frames} frames, woken {wakes} times, {ticks} ticks");
    Ok(())
}
