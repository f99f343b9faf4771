//! Times and texts beside the samples: in each record when it begins, and then what there is to tell.

use std::collections::VecDeque;

/// Of each record. Divides by 2 and by 3, and has room for the time and a gap.
pub(super) const BYTES: usize = 120;

/// What is to be told, each as the bytes that tell it.
#[derive(Debug, Default)]
pub(super) struct Annotations(VecDeque<Vec<u8>>);

impl Annotations {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are. Each has room in a record of its own.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds one, as much of its text as a record has room for.
    pub(super) fn add(&mut self, seconds: f64, duration: Option<f64>, text: &str) {
        self.0.push_back(told(seconds, duration, text));
    }

    /// As [`add`](Self::add), before all others.
    pub(super) fn add_first(&mut self, seconds: f64, duration: Option<f64>, text: &str) {
        self.0.push_front(told(seconds, duration, text));
    }
    /// Appends what goes into a record that begins then.
    pub(super) fn put(&mut self, seconds: f64, out: &mut Vec<u8>) {
        let mut area = [0; BYTES];
        let time = format!("{}\x14\x14", onset(seconds));
        area[..time.len()].copy_from_slice(time.as_bytes());
        self.put_into(&mut area);
        out.extend_from_slice(&area);
    }

    /// Puts as many as have room after what is there. False: none.
    pub(super) fn put_into(&mut self, area: &mut [u8; BYTES]) -> bool {
        let mut any = false;
        while let Some(next) = self.0.front() {
            let used = area.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 2);
            if used + next.len() > BYTES {
                break;
            }
            area[used..used + next.len()].copy_from_slice(next);
            self.0.pop_front();
            any = true;
        }
        any
    }
}

fn told(seconds: f64, duration: Option<f64>, text: &str) -> Vec<u8> {
    let mut bytes = onset(seconds).into_bytes();
    // The time of the record that it will be in is about as long.
    let time = bytes.len() + 6;
    if let Some(duration) = duration {
        bytes.push(0x15);
        bytes.extend_from_slice(decimal(duration).as_bytes());
    }
    bytes.push(0x14);
    // Control characters would end it, or be taken for more.
    let text = text.replace(|letter: char| letter.is_control(), " ");
    let mut room = BYTES.saturating_sub(time + bytes.len() + 2).min(text.len());
    while !text.is_char_boundary(room) {
        room -= 1;
    }
    bytes.extend_from_slice(&text.as_bytes()[..room]);
    bytes.extend_from_slice(&[0x14, 0]);
    bytes
}

/// `+0.25`
fn onset(seconds: f64) -> String {
    format!("+{}", decimal(seconds))
}

/// To a ten-millionth, which readers count in.
fn decimal(seconds: f64) -> String {
    let text = format!("{seconds:.7}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_tells_its_time_and_what_has_room() {
        let mut annotations = Annotations::default();
        annotations.add(1.5, Some(0.25), "lights off");
        annotations.add(2.0, None, &"\u{e4}".repeat(100));
        let mut out = Vec::new();
        for record in 0..3 {
            annotations.put(f64::from(record) / 10.0, &mut out);
        }
        assert!(annotations.is_empty());
        let records: Vec<&[u8]> = out.chunks(BYTES).collect();
        assert!(records[0].starts_with(b"+0\x14\x14\0+1.5\x150.25\x14lights off\x14\0\0"));
        let text = String::from_utf8(records[1].to_vec()).unwrap();
        assert!(text.starts_with("+0.1\x14\x14\0+2\x14\u{e4}\u{e4}"), "{text:?}");
        assert!(text.contains("\u{e4}\x14\0"), "{text:?}");
        assert!(records[2].starts_with(b"+0.2\x14\x14\0\0"));
    }
}
