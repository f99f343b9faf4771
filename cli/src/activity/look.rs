//! A look at all streams, from outside.

use crate::failure::Failure;
use annulus::{Attached, Listed, Role, Scope, Status};
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// All streams at one time: the user's own, and those that users share.
#[derive(Debug)]
pub(crate) struct Look {
    pub(super) at: Instant,
    pub(super) streams: Vec<Listed>,
    troubles: Vec<String>,
}

impl Look {
    /// Fails where neither can be listed.
    pub(crate) fn now() -> Result<Self, Failure> {
        let at = Instant::now();
        let (own, shared) = (annulus::list(Scope::User), annulus::list(Scope::System));
        if let (Err(_), Err(error)) = (&own, &shared) {
            return Err(Failure::Failed(error.to_string()));
        }
        let (mut streams, mut troubles) = (Vec::new(), Vec::new());
        for listed in [own, shared] {
            match listed {
                Ok(listed) => listed.into_iter().for_each(|one| add(&mut streams, one)),
                Err(error) => troubles.push(error.to_string()),
            }
        }
        Ok(Self { at, streams, troubles })
    }

    /// Why not all could be listed.
    pub(crate) fn troubles(&self) -> &[String] {
        &self.troubles
    }

    /// The stream with the object that was at `path`, if it is the very same one, and how long ago this look was.
    pub(super) fn of(&self, path: &Path, instance: &[u8; 16], now: Instant) -> Option<(Counts, Duration)> {
        let same = |status: &&Status| status.info.path == path && status.info.instance == *instance;
        let status = self.streams.iter().filter_map(|one| one.status.as_ref().ok()).find(same)?;
        Some((Counts::of(status), now.saturating_duration_since(self.at)))
    }
}

/// `ANNULUS_DIR` can be the place of both: then an object is found twice, and once by what is not its name.
fn add(streams: &mut Vec<Listed>, one: Listed) {
    let is_named = |one: &Listed| one.status.as_ref().is_ok_and(|status| status.info.full_name() == one.name);
    match streams.iter_mut().find(|other| other.path == one.path) {
        Some(twice) if is_named(&one) => *twice = one,
        Some(_) => {}
        None => streams.push(one),
    }
}

/// Who is attached: a seat, and how often that was taken.
pub(super) type Seat = (u32, u64);

/// What only grows while a stream exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) position: u64,
    pub(super) wakes: u32,
    /// What each reader lost.
    pub(super) lost: HashMap<Seat, u64>,
}

impl Counts {
    pub(super) fn of(status: &Status) -> Self {
        let lost = readers(status).map(|one| (one.seat, one.lost)).collect();
        Self { position: status.position, wakes: status.wakes, lost }
    }

    /// Frames since `before`; `None` if the position went back, which a whole stream's does not.
    pub(super) fn frames(&self, before: &Self) -> Option<u64> {
        self.position.checked_sub(before.position)
    }

    /// Wake-ups since `before`. Their count wraps.
    pub(super) fn wakes(&self, before: &Self) -> u32 {
        self.wakes.wrapping_sub(before.wakes)
    }

    /// What a reader lost since `before`: all of it, if it came only then.
    pub(super) fn lost(&self, seat: Seat, before: &Self) -> u64 {
        let of = |counts: &Self| counts.lost.get(&seat).copied().unwrap_or(0);
        of(self).saturating_sub(of(before))
    }
}

/// All that are attached but producers.
pub(super) fn readers(status: &Status) -> impl Iterator<Item = &Attached> {
    status.attached.iter().filter(|one| one.role != Role::Producer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(position: u64, wakes: u32, lost: &[(Seat, u64)]) -> Counts {
        Counts { position, wakes, lost: lost.iter().copied().collect() }
    }

    #[test]
    fn what_grows_is_counted_over_its_wrap_and_never_backward() {
        let before = counts(1000, u32::MAX - 1, &[]);
        assert_eq!(counts(1360, 3, &[]).frames(&before), Some(360));
        assert_eq!(counts(1360, 3, &[]).wakes(&before), 5);
        assert_eq!(counts(999, 3, &[]).frames(&before), None);
    }

    #[test]
    fn who_sits_in_a_seat_next_has_lost_nothing_of_what_the_last_one_did() {
        let before = counts(0, 0, &[((1, 1), 500), ((2, 7), 10)]);
        let now = counts(0, 0, &[((1, 2), 30), ((2, 7), 15)]);
        assert_eq!((now.lost((1, 2), &before), now.lost((2, 7), &before)), (30, 5));
        assert_eq!(now.lost((1, 1), &before), 0, "it left");
    }
}
