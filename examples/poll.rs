//! A stream and standard input in one event loop, by `poll`: each line that comes in is answered with what has come.
//!
//! `cargo run --release --example poll [NAME]`, beside `--example acquisition` (NAME `example`) or any stream.

use annulus::ReadError;
use rustix::event::{PollFd, PollFlags, poll};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "example".into());
    let viewer = annulus::open(&name).appear_within(Duration::from_secs(10)).observer_bytes()?;
    let blocks_of = (viewer.info().rate / 50.0).clamp(1.0, 4096.0) as u64; // 20 ms
    let mut viewer = viewer.polled(blocks_of)?;
    let mut bytes = vec![0; 4096 * viewer.info().frame_bytes];
    let (mut frames, mut wakes) = (0, 0);
    println!("reading {}; press Enter", viewer.info().full_name());
    let stdin = std::io::stdin();
    let end = 'events: loop {
        let mut both = [PollFd::new(&viewer, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
        poll(&mut both, None)?;
        let [stream, input] = both.map(|one| !one.revents().is_empty());
        if stream {
            wakes += 1;
            // Until nothing is left: then the descriptor tells of what comes next.
            loop {
                match viewer.try_read(&mut bytes) {
                    Ok(read) => frames += read.frames,
                    Err(ReadError::Empty) => break,
                    Err(ReadError::ProducerGone { pid, .. }) => {
                        println!("process {pid} died; waiting for the next");
                    }
                    Err(stop) => break 'events stop.to_string(),
                }
            }
        }
        if input {
            match rustix::io::read(&stdin, &mut [0; 1024])? {
                0 => break "no more input".to_string(),
                _ => println!("{frames} frames, told {wakes} times"),
            }
        }
    };
    println!("{end}; in all {frames} frames, told {wakes} times");
    Ok(())
}
