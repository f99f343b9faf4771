//! What each process of the demo says in the end, and what follows from both together.

use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};
use serde::{Deserialize, Serialize};

static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// One side's account.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) frames: u64,
    pub(crate) lost: u64,
    /// CRC-32 of all sample bytes.
    pub(crate) checksum: u32,
    /// For each push or read: the position after it, and when (monotonic ns, the same clock in both processes). The
    /// acquisition looks at the clock just before it pushes, the viewer just after it has read.
    pub(crate) times: Vec<(u64, u64)>,
}

/// A report in the making.
pub(crate) struct Account {
    report: Report,
    digest: Digest<'static, u32, Table<1>>,
}

impl Account {
    pub(crate) fn new() -> Self {
        Self { report: Report::default(), digest: CRC.digest() }
    }

    /// Frames of one sample each, up to `end`, were pushed or read at `time`.
    pub(crate) fn add(&mut self, samples: &[i16], end: u64, time: u64) {
        self.report.frames += samples.len() as u64;
        self.report.times.push((end, time));
        for sample in samples {
            self.digest.update(&sample.to_le_bytes());
        }
    }

    pub(crate) fn lose(&mut self, frames: u64) {
        self.report.lost += frames;
    }

    pub(crate) fn close(mut self) -> Report {
        self.report.checksum = self.digest.finalize();
        self.report
    }
}

/// How long each push took to be read: from its clock to that of the first read that got as far. Sorted.
fn latencies(sent: &Report, received: &Report) -> Vec<u64> {
    let mut reads = received.times.iter().peekable();
    let mut latencies = Vec::with_capacity(sent.times.len());
    for &(end, pushed) in &sent.times {
        while reads.next_if(|(reached, _)| *reached < end).is_some() {}
        if let Some((_, read)) = reads.peek() {
            latencies.push(read.saturating_sub(pushed));
        }
    }
    latencies.sort_unstable();
    latencies
}

/// The lines that the demo prints.
pub(crate) fn summary(sent: &Report, received: &Report) -> String {
    let latencies = latencies(sent, received);
    let percentile = |percent: usize| match latencies.len() {
        0 => "-".to_owned(),
        length => format!("{:.1} us", latencies[(length - 1) * percent / 100] as f64 / 1e3),
    };
    let equal = if sent.checksum == received.checksum { "yes" } else { "no" };
    format!(
        "MIT-BIH record 208, ECG at 360 Hz, from one process to another through shared memory\n\
         frames sent      {}\n\
         frames received  {}\n\
         frames lost      {}\n\
         checksum equal   {equal} ({:08x})\n\
         latency p50      {}\n\
         latency p99      {}\n",
        sent.frames,
        received.frames,
        received.lost,
        received.checksum,
        percentile(50),
        percentile(99),
    )
}

/// Whether all that was sent arrived as it was.
pub(crate) fn verdict(sent: &Report, received: &Report) -> Result<(), String> {
    if received.lost > 0 || received.frames != sent.frames {
        return Err(format!("{} frames were sent, {} received", sent.frames, received.frames));
    }
    if received.checksum != sent.checksum {
        return Err("the frames that arrived are not those that were sent".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(blocks: &[(&[i16], u64, u64)]) -> Report {
        let mut account = Account::new();
        for &(samples, end, time) in blocks {
            account.add(samples, end, time);
        }
        account.close()
    }

    #[test]
    fn each_push_is_timed_to_the_read_that_reached_it() {
        let sent = account(&[(&[1, 2], 2, 1000), (&[3, 4], 4, 2000), (&[5], 5, 3000)]);
        let received = account(&[(&[1], 1, 1400), (&[2, 3], 3, 1500), (&[4, 5], 5, 3600)]);
        assert_eq!(latencies(&sent, &received), [500, 600, 1600]);
        assert_eq!(sent.checksum, received.checksum);
        assert_eq!(verdict(&sent, &received), Ok(()));
        assert!(summary(&sent, &received).contains("latency p50      0.6 us\n"));
    }

    #[test]
    fn loss_and_damage_are_failures() {
        let sent = account(&[(&[1, 2], 2, 1000)]);
        assert!(verdict(&sent, &account(&[(&[1], 1, 1400)])).is_err());
        assert!(verdict(&sent, &account(&[(&[1, 3], 2, 1400)])).is_err());
        let mut lossy = Account::new();
        lossy.add(&[1, 2], 2, 1400);
        lossy.lose(1);
        assert!(verdict(&sent, &lossy.close()).is_err());
        assert!(summary(&sent, &account(&[])).contains("latency p50      -\n"));
    }

    #[test]
    fn a_report_survives_its_way_to_the_parent() {
        let report = account(&[(&[1, 2], u64::MAX, u64::MAX)]);
        assert_eq!(serde_json::from_str::<Report>(&serde_json::to_string(&report).unwrap()).unwrap(), report);
    }
}
