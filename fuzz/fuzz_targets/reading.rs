//! Whatever the bytes of a file are: frames or an error, the same frames in blocks of any size, and as many as were
//! announced.

use crate::files::{Error, Reader};

/// Reads all of it three times.
pub fn check<R: Reader>(opened: Result<R, Error>, length: usize) {
    let Ok(mut file) = opened else { return };
    let frame = file.recording().frame_bytes();
    assert!(frame > 0 && !file.recording().channels.is_empty());
    assert!(file.recording().rate.is_finite() && file.recording().rate > 0.0);
    assert!(
        file.recording().channels.iter().all(|channel| {
            channel.scale.is_finite() && channel.scale != 0.0 && channel.offset.is_finite()
        })
    );
    let frames = file.recording().frames;

    let (mut whole, broken) = all(&mut file, usize::MAX);
    // A sample of 8 bytes may have been text of one digit and a separator.
    assert!(whole.len() <= 8 * length.max(8));
    if broken.is_none() {
        assert_eq!(whole.len() % frame, 0);
        if let Some(frames) = frames {
            assert_eq!(whole.len() as u64, frames * frame as u64);
        }
    }
    whole.truncate(whole.len() / frame * frame);
    let markers = file.markers().to_vec();
    assert!(markers.is_empty() || file.is_marked());
    if broken.is_none() {
        let read = (whole.len() / frame) as u64;
        assert!(markers.iter().filter_map(|marker| marker.position).is_sorted_by(|one, next| one <= next));
        assert!(markers.iter().all(|marker| marker.position.is_none_or(|position| position <= read)));
    }
    for most in [1, 7] {
        let Ok(()) = file.rewind() else { panic!("a file in memory can be read again") };
        let (mut parts, again) = all(&mut file, most);
        parts.truncate(parts.len() / frame * frame);
        assert_eq!(broken, again);
        assert_eq!(whole, parts);
        assert_eq!(markers, file.markers());
    }
}

/// All frames, and what ended them if that was no end.
fn all(file: &mut impl Reader, most: usize) -> (Vec<u8>, Option<String>) {
    let mut all = Vec::new();
    loop {
        let before = all.len();
        match file.read(most, &mut all) {
            Ok(()) if all.len() == before => return (all, None),
            Ok(()) => {}
            Err(error) => return (all, Some(format!("{error:?}"))),
        }
    }
}
