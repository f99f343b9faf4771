//! Whose turn it is to make an object: one process of a user at a time, for one place.
//!
//! Of what is built without a name the link decides in the end, so there a turn only spares work: that the same content is
//! made twice. For System V segments, which are seen before they are whole, it is what the protocol stands on (`sysv.rs`).

use super::companion::Companion;
use super::directory::COMPANION;
use super::place::Place;
use super::Error;
#[cfg(unix)]
use super::native;
use core::time::Duration;
use std::io;
use std::time::Instant;

/// How long one who makes an object is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The bytes of a companion: one for each of 2^32 places (two that share one wait for each other without need).
const TURNS: u64 = 1 << 32;

#[derive(Debug)]
pub(super) struct Turn {
    _companion: Companion, // whose byte is locked
}

impl Turn {
    /// `None`: somebody has had it for too long. Or, for what is built without a name, there is no private directory to have
    /// a companion in.
    pub(super) fn take(place: &Place) -> Result<Option<Self>, Error> {
        match (Self::until(place, Instant::now() + PATIENCE), place) {
            (Ok(turn), _) => Ok(turn),
            (Err(error), Place::Key(_)) => Err(Error::os("lock the companion file of", place, error)),
            (Err(_), _) => Ok(None),
        }
    }

    fn until(place: &Place, deadline: Instant) -> io::Result<Option<Self>> {
        let name = match place {
            #[cfg(unix)]
            Place::Key(_) => native::companion_of_segments(),
            _ => COMPANION.into(),
        };
        let Some(companion) = Companion::open(name, deadline)? else { return Ok(None) };
        let digest = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&identity(place)?);
        let is_ours = companion.lock_until(TURNS + u64::from(digest), deadline)?;
        Ok(is_ours.then_some(Self { _companion: companion }))
    }
}

/// The same for all who mean the same object, as far as one can say.
fn identity(place: &Place) -> io::Result<Vec<u8>> {
    Ok(match place {
        Place::Posix(name) => {
            let name = name.as_encoded_bytes();
            [b"posix:", name.strip_prefix(b"/").unwrap_or(name)].concat()
        }
        Place::File(path) => {
            let path = std::path::absolute(path)?;
            let directory = path.parent().and_then(|parent| parent.canonicalize().ok());
            let path = directory.map_or(path.clone(), |directory| directory.join(path.file_name().unwrap_or_default()));
            [b"file:", path.as_os_str().as_encoded_bytes()].concat()
        }
        other => other.to_string().into_bytes(),
    })
}
