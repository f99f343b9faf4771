//! [`Offset`]: what stands in shared memory in the place of a pointer.

#![allow(unsafe_code)]

use super::Error;
use super::mapping::Mapping;
use bytemuck::{Pod, Zeroable};
use core::fmt;
use core::marker::PhantomData;

/// The place of a `T` in an object: a count of bytes from the object's beginning, 64 bits wide in memory.
///
/// Each process has the object at another address, so what is in it points by offsets. It is plain data itself, and so is
/// what it points to: what Boost asks of objects in shared memory (no pointers, no references, nothing virtual), the
/// compiler checks.
///
/// ```
/// use annulus::bytemuck::{Pod, Zeroable};
/// use annulus::shm::{self, Offset, Place};
///
/// #[derive(Clone, Copy, Pod, Zeroable)]
/// #[repr(C)]
/// struct Node {
///     value: u64,
///     next: Offset<Node>,
/// }
///
/// # fn main() -> Result<(), shm::Error> {
/// # let place = Place::posix(format!("/annulus-doc-offset-{}", std::process::id()));
/// # let memory = shm::at(&place).size(4096).create_new()?;
/// let mapping = memory.map()?;
/// let first = Offset::<Node>::new(64);
/// let second = first.element(10).expect("it is not that large");
/// first.set(&mapping, Node { value: 1, next: second })?;
/// second.set(&mapping, Node { value: 2, next: Offset::NONE })?;
///
/// let (mut sum, mut at) = (0, first);
/// while !at.is_none() {
///     let node = at.get(&mapping)?;
///     sum += node.value;
///     at = node.next;
/// }
/// assert_eq!(sum, 3);
/// # memory.remove()?;
/// # Ok(()) }
/// ```
#[repr(transparent)]
pub struct Offset<T> {
    bytes: u64,
    of: PhantomData<fn() -> T>,
}

// SAFETY: 64 bits, all of whose values are offsets, and nothing besides.
unsafe impl<T> Zeroable for Offset<T> {}
// SAFETY: as above; it has no padding, and no other fields than the marker, which has no bytes.
unsafe impl<T: Pod> Pod for Offset<T> {}

impl<T: Pod> Offset<T> {
    /// No place: what a null pointer is elsewhere.
    pub const NONE: Self = Self::new(u64::MAX);

    /// So many bytes from the object's beginning.
    pub const fn new(bytes: u64) -> Self {
        Self { bytes, of: PhantomData }
    }

    /// So many bytes from the object's beginning; of [`NONE`](Self::NONE), `u64::MAX`.
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// Whether it is no place.
    pub const fn is_none(self) -> bool {
        self.bytes == u64::MAX
    }

    /// The place of the `index`th of the values that lie in a row from here on. `None` if there can be none.
    pub fn element(self, index: u64) -> Option<Self> {
        let bytes = self.bytes.checked_add(index.checked_mul(size_of::<T>() as u64)?)?;
        (!self.is_none() && bytes != u64::MAX).then_some(Self::new(bytes))
    }

    /// The same place, of another type.
    pub const fn cast<U: Pod>(self) -> Offset<U> {
        Offset::new(self.bytes)
    }

    /// The value there.
    ///
    /// # Errors
    /// [`OutOfRange`](super::ErrorKind::OutOfRange) unless it lies in the mapping, whole.
    pub fn get(self, mapping: &Mapping) -> Result<T, Error> {
        mapping.get(self.within(mapping))
    }

    /// Stores a value there.
    ///
    /// # Errors
    /// [`OutOfRange`](super::ErrorKind::OutOfRange) unless it lies in the mapping, whole;
    /// [`ReadOnly`](super::ErrorKind::ReadOnly).
    pub fn set(self, mapping: &Mapping, value: T) -> Result<(), Error> {
        mapping.set(self.within(mapping), value)
    }

    /// Counted from the mapping's beginning; out of its range if it lies before.
    pub fn within(self, mapping: &Mapping) -> u64 {
        self.bytes.checked_sub(mapping.offset()).unwrap_or(u64::MAX)
    }
}

impl<T> Clone for Offset<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Offset<T> {}

impl<T> PartialEq for Offset<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T> Eq for Offset<T> {}

impl<T> fmt::Debug for Offset<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes {
            u64::MAX => f.write_str("Offset(none)"),
            bytes => write!(f, "Offset({bytes})"),
        }
    }
}
