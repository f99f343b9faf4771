//! Bytes that processes share: where they are named, how they are mapped, how a byte of them is locked.
//!
//! | file | what |
//! |---|---|
//! | `directory` | the private directory of a user's objects on tmpfs; create without a name, link, open, unlink |
//! | `home` | where an object is found again: under a name in a directory, or nowhere |
//! | `linux`, `macos` | what each system does for that in its own way: the same functions in each |
//! | `lock` | open-file-description locks on single bytes, and what happens to them at `fork` |
//! | `map` | a reservation of address space, and pieces of an object mapped over it |
//! | `heap` | memory of one process in the place of an object, for tests |

pub(crate) mod directory;
#[cfg(test)]
pub(crate) mod heap;
pub(crate) mod home;
pub(crate) mod leader;
pub(crate) mod lock;
pub(crate) mod map;
pub(crate) mod store;

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
pub(crate) mod system;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
pub(crate) mod system;
