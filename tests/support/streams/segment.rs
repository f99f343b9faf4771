//! Opens whatever is in a stream's place: a real object whose descriptor, control words, seats, data or size were
//! overwritten, with the checksum put right again or not. Each way to open it gives a handle or an error, and what the
//! handle does is bounded.

use super::peers::{Peers, close_given_up};
use super::script::Script;
use super::{Place, object};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

const PATCHES_MAX: usize = 32;
const STEPS_MAX: usize = 64;

pub fn run(bytes: &[u8], directory: &Path) {
    let mut script = Script::new(bytes);
    let place = Place(directory);
    let mut object = object::specimen(&place, &mut script);
    let mends = script.byte();
    for _ in 0..script.byte() % PATCHES_MAX {
        object::patch(&mut object, &mut script);
    }
    if mends & 1 == 0 {
        object::mend_regions(&mut object, mends & 0x20 != 0);
    }
    if mends & 6 != 2 {
        object::mend_checksum(&mut object);
    }
    let path = place.object();
    fs::write(&path, &object).expect("a file");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
    if mends & 0x18 == 0x18 {
        // As copied by one who leaves out what is zero.
        let cut = fs::File::options().write(true).open(&path).expect("it is ours");
        cut.set_len(object.len() as u64 / 2).expect("a shorter file");
        cut.set_len(object.len() as u64).expect("a longer file");
    }

    let mut peers = Peers::default();
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        let open = || place.open().gate_timeout(Duration::ZERO);
        match script.byte() % 16 {
            0..=5 => peers.attach(&place, &mut script),
            6..=12 => peers.act(&mut script),
            13 => peers.leave(&mut script),
            14 => drop(open().remove().map_err(|error| error.to_string())),
            _ => drop(open().remove_forcibly().map_err(|error| error.to_string())),
        }
    }
    drop(peers);
    close_given_up(&place);
}
