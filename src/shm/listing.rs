//! What there is on this machine, whoever made it.

use super::place::Place;
use super::status::Status;
use super::{Error, native};

/// An object that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Where: a POSIX name, or a System V id.
    pub place: Place,
    /// What it is, and whose.
    pub status: Status,
    /// The key of a System V segment.
    pub key: Option<super::Key>,
}

/// All POSIX objects and System V segments that this process can see, by name and by id: those of other programs, and of
/// other users too. Files can be anywhere, and anonymous memory has no name.
///
/// ```
/// use annulus::shm;
/// # #[cfg(target_os = "linux")]
/// # fn main() -> Result<(), shm::Error> {
/// for one in shm::list()? {
///     println!("{} {} bytes, of user {}", one.place, one.status.size, one.status.owner);
/// }
/// # Ok(()) }
/// # #[cfg(not(target_os = "linux"))]
/// # fn main() {}
/// ```
///
/// # Errors
/// [`Unsupported`](super::ErrorKind::Unsupported) where the system does not tell; and what it says.
pub fn list() -> Result<Vec<Listed>, Error> {
    native::list()
}
