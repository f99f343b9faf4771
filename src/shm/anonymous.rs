//! Memory without a name: sealed, unless its size is to change; inherited by children, or passed as a descriptor.

use super::memory::Object;
use super::options::Options;
use super::Access;
use super::{Error, ErrorKind, file, native};
use std::fs::File;
use std::os::fd::OwnedFd;

/// Makes it.
pub(super) fn make(options: &mut Options<'_>) -> Result<File, Error> {
    let place = options.place.clone();
    let fail = |error| Error::os("create", &place, error);
    if let Some(why) = native::no_anonymous() {
        return Err(Error::unsupported("create", &place, "anonymous memory", why));
    }
    let size = options.size.unwrap_or(0);
    let huge = if options.huge_pages { in_huge_pages(size) } else { None };
    let file = match huge {
        Some(file) => file,
        None => native::anonymous(false).map_err(fail)?,
    };
    file::prepare(&file, options)?;
    if !options.resizable {
        native::seal_size(&file).map_err(|error| Error::os("seal", &place, error))?;
    }
    if options.read_only { native::reopen(&file, None, Access::ReadOnly).map_err(fail) } else { Ok(file) }
}

/// Whole huge pages only, or the size would be another; and as many as are left.
fn in_huge_pages(size: u64) -> Option<File> {
    let file = native::anonymous(true).ok()?;
    let page = native::huge_page_bytes(&file)?;
    (size.is_multiple_of(page) && native::grow(&file, 0, size).is_ok()).then_some(file)
}

/// What a descriptor is of that somebody passed.
pub(super) fn take_over(options: &Options<'_>, descriptor: OwnedFd) -> Result<Object, Error> {
    let refuse = |why| Err(Error::new("take over", &options.place, ErrorKind::NotMemory { why }, None));
    let file = File::from(descriptor);
    let found = file.metadata().map_err(|error| Error::os("look at", &options.place, error))?;
    if !found.is_file() {
        return refuse("the descriptor is none of memory");
    }
    match native::is_sealed(&file) {
        _ if options.resizable => {}
        Some(true) => {}
        Some(false) => return refuse("its size is not sealed: resizable() accepts that"),
        None => return refuse("it cannot be sealed, so it is no anonymous memory: resizable() accepts that"),
    }
    Ok(Object::File(file))
}
