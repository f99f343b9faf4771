//! The viewing half: shows the newest data of `acquisition`, twenty times a second, and survives its restarts.

use annulus::{ReadError, Strategy, Wait};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wait = Wait::new().frames(25).timeout(Duration::from_secs(1)).strategy(Strategy::Block);
    'open: loop {
        let mut viewer = annulus::open("example").appear_within(Duration::from_secs(10)).observer::<i16>()?;
        let channels = viewer.info().channels.clone();
        let mut samples = vec![0; 500 * channels.len()];
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
                Err(ReadError::Lapped { lost }) => println!("{lost} frames lost: too slow"),
                Err(ReadError::Timeout) => println!("nothing new"),
                Err(ReadError::ProducerGone { pid, .. }) => {
                    println!("process {pid} died; waiting for the next");
                }
                Err(ReadError::Replaced) => continue 'open, // perhaps with other channels
                Err(ReadError::Ended { position }) => break 'open println!("ended after {position} frames"),
                Err(other) => return Err(other.into()),
            }
        }
    }
    Ok(())
}
