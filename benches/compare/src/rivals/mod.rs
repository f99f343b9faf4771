//! Everything that is measured beside the limits, each behind the same few traits.

pub mod annulus;
pub mod crossbeam;
pub mod ringfire;
pub mod rtrb;
