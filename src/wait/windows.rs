//! Windows' part of sleeping: named events, since `WaitOnAddress` is for the threads of one process.
//!
//! Each sequence has four events, one for each remainder of its value by four. One who sleeps while it is `expected` sleeps on
//! that value's event, and is woken when the sequence has moved on from there; so all who sleep are woken by one call, and
//! there is no limit to how many they are. Whoever notifies sets the events of the two values before, and clears that of the
//! value after, which was set turns ago. A notifier that was stopped in between may set an event too late: one who finds
//! the sequence unchanged clears it. At worst a wake-up is lost, which costs a slice.
//!
//! Which events those are, `shm` knows.

use crate::shm::system::{self, NamedEvent, sequence};
use crate::sync::Ordering::SeqCst;
use crate::sync::{Address, EventWord};
use core::time::Duration;
use std::time::Instant;

pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Sleeps while the sequence is `expected`, for `longest` at most. Comes back for any reason or none.
pub(crate) fn sleep(word: &EventWord, expected: u32, longest: Duration) {
    if longest.is_zero() || word.value(SeqCst) != expected {
        return;
    }
    let Some(events) = sequence::events(word.address()) else {
        return std::thread::sleep(longest.min(NAP));
    };
    let event = events.of(expected);
    if system::wait_for_any(&[event], longest) && word.value(SeqCst) == expected {
        event.clear(); // set too late, by one who was stopped
    }
}

/// As [`sleep`], on any of several words. They may be gone when it is called: then it does not sleep. On as many as the
/// system lets it; if there are more it looks again after `if_refused`.
pub(crate) fn sleep_on_any(words: &[(Address, u32)], longest: Duration, if_refused: Duration) {
    if longest.is_zero() {
        return;
    }
    let mut events = Vec::with_capacity(words.len());
    for &(address, expected) in words {
        if sequence::value(address).is_some_and(|value| value != expected) {
            return;
        }
        match sequence::events(address) {
            Some(found) => events.push((found, expected)),
            None => return std::thread::sleep(longest.min(NAP)),
        }
    }
    let handles: Vec<&NamedEvent> =
        events.iter().take(system::MOST_EVENTS).map(|(of, expected)| of.of(*expected)).collect();
    let longest = if handles.len() < events.len() { longest.min(if_refused) } else { longest };
    if handles.is_empty() {
        std::thread::sleep(longest);
    } else if system::wait_for_any(&handles, longest) {
        for (&(address, expected), event) in words.iter().zip(handles) {
            if sequence::value(address) == Some(expected) {
                event.clear();
            }
        }
    }
}

pub(crate) fn wake_all(word: &EventWord) {
    let events = sequence::events(word.address());
    if let Some(events) = events {
        let value = word.value(SeqCst);
        events.of(value.wrapping_add(1)).clear();
        events.of(value.wrapping_sub(1)).set();
        events.of(value.wrapping_sub(2)).set(); // two may have moved it on before either came here
    }
}

/// Nobody can be woken alone: all are, and those who find nothing sleep again.
pub(crate) fn wake_one(word: &EventWord) {
    wake_all(word);
}

/// Notifiers fence themselves.
pub(crate) fn register_membarrier() -> bool {
    false
}

/// All of them do: there is nothing left to do for them.
pub(crate) fn membarrier() -> bool {
    true
}

/// How late one notices whose event cannot be had.
const NAP: Duration = Duration::from_millis(1);
