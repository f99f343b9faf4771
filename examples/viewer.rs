//! The viewing half: shows the newest data of `acquisition`, twenty times a second, and survives its restarts.

use annulus::{ReadError, Strategy, Wait};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let patience = Duration::from_secs(10);
    let mut viewer = annulus::open("example").appear_within(patience).observer::<i16>()?;
    let channels = viewer.info().channels.clone();
    let mut samples = vec![0; 500 * channels.len()];
    let wait = Wait::new().frames(25).timeout(Duration::from_secs(1)).strategy(Strategy::Block);
    loop {
        match viewer.read(&mut samples, wait) {
            Ok(read) => {
                let newest = &samples[(read.frames - 1) * channels.len()..read.frames * channels.len()];
                let mut line = format!("{:>8}", read.first_position);
                for (channel, raw) in channels.iter().zip(newest) {
                    let value = channel.to_physical(f64::from(*raw));
                    line += &format!("  {} {value:+9.3} {}", channel.label, channel.unit);
                }
                println!("{line}  ({} lost)", read.lost_before);
            }
            Err(ReadError::ProducerGone { pid, .. }) => println!("process {pid} died; waiting for the next"),
            Err(ReadError::Timeout) => println!("nothing new"),
            Err(ReadError::Replaced) => {
                viewer = annulus::open("example").appear_within(patience).observer::<i16>()?;
            }
            Err(ReadError::Ended { position }) => break println!("ended after {position} frames"),
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}
