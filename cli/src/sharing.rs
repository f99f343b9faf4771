//! With whom a stream that is created is shared, and what its memory is.

use crate::failure::Failure;
use crate::users;
use annulus::{Backend, Builder, Scope};

/// Options of those commands that create streams.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Sharing {
    /// Share the stream with other users, instead of keeping it among one's own
    #[arg(long)]
    system: bool,
    /// Who may read it: a group, by its name or number [default: one's own]
    #[arg(long, requires = "system")]
    group: Option<String>,
    /// What others may do, as for chmod: 640, the group reads; 644, all read; 660, the group pushes and takes, too
    /// [default: 640]
    #[arg(long, requires = "system", value_parser = mode)]
    mode: Option<u32>,
    /// What its memory is. A file lies in the directory that ANNULUS_DIR says, which may be on any disk
    #[arg(long, value_enum, default_value_t = Memory::USUAL)]
    backend: Memory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Memory {
    /// A POSIX object: a file on a tmpfs
    #[cfg(unix)]
    Posix,
    /// A file
    File,
    /// A System V segment
    #[cfg(unix)]
    SystemV,
    /// An object of the crate shared_memory
    #[cfg(all(unix, feature = "portable"))]
    Portable,
    /// A section of Windows' page file
    #[cfg(windows)]
    PageFile,
}

impl Memory {
    #[cfg(unix)]
    const USUAL: Self = Self::Posix;
    #[cfg(windows)]
    const USUAL: Self = Self::PageFile;
}

impl Sharing {
    /// The stream, shared as the user wants.
    pub(crate) fn apply(&self, mut builder: Builder) -> Result<Builder, Failure> {
        if self.system {
            builder = builder.scope(Scope::System);
        }
        builder = match self.backend {
            Memory::USUAL => builder,
            #[cfg(unix)]
            Memory::SystemV => builder.backend(Backend::SystemV),
            #[cfg(all(unix, feature = "portable"))]
            Memory::Portable => builder.backend(Backend::Portable),
            Memory::File => {
                let missing =
                    || Failure::Usage("--backend file: say in ANNULUS_DIR in which directory".to_owned());
                let directory =
                    std::env::var_os("ANNULUS_DIR").filter(|path| !path.is_empty()).ok_or_else(missing)?;
                builder.backend(Backend::File).directory(directory)
            }
        };
        if let Some(group) = &self.group {
            let gid = users::group_id(group);
            builder = builder
                .group(gid.ok_or_else(|| Failure::Usage(format!("--group: there is no group '{group}'")))?);
        }
        if let Some(mode) = self.mode {
            builder = builder.mode(mode);
        }
        Ok(builder)
    }
}

fn mode(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8).map_err(|_| "give an octal mode like 640".to_owned())
}
