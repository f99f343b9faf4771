//! Names of users and groups, where the system knows them; else their numbers.

#[cfg(target_os = "linux")]
pub(crate) use unix::my_id;
#[cfg(unix)]
pub(crate) use unix::{group, group_id, me, user};
#[cfg(windows)]
pub(crate) use windows::{group, group_id, me, user};

#[cfg(unix)]
mod unix {
    /// The user's name.
    pub(crate) fn user(uid: u32) -> String {
        uzers::get_user_by_uid(uid)
            .map_or_else(|| uid.to_string(), |user| user.name().to_string_lossy().into_owned())
    }

    /// The group's name.
    pub(crate) fn group(gid: u32) -> String {
        uzers::get_group_by_gid(gid)
            .map_or_else(|| gid.to_string(), |group| group.name().to_string_lossy().into_owned())
    }

    /// The number of a group that is given by its name or number.
    pub(crate) fn group_id(group: &str) -> Option<u32> {
        group.parse().ok().or_else(|| uzers::get_group_by_name(group).map(|group| group.gid()))
    }

    /// This process's user.
    #[cfg(target_os = "linux")]
    pub(crate) fn my_id() -> u32 {
        uzers::get_effective_uid()
    }

    /// Whether that is this process's user.
    pub(crate) fn me(uid: u32) -> bool {
        uid == uzers::get_effective_uid()
    }
}

/// There users have no numbers but the last parts of their identities, and streams have no groups.
#[cfg(windows)]
mod windows {
    pub(crate) fn user(number: u32) -> String {
        number.to_string()
    }

    pub(crate) fn group(number: u32) -> String {
        number.to_string()
    }

    pub(crate) fn group_id(group: &str) -> Option<u32> {
        group.parse().ok()
    }

    /// Only its own user may write to a stream.
    pub(crate) fn me(_: u32) -> bool {
        true
    }
}
