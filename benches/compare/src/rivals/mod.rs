//! Everything that is measured beside the limits, each behind the same few traits.

pub mod annulus;
pub mod cpp;
pub mod crossbeam;
pub mod iceoryx2;
pub mod ipc_channel;
pub mod lsl;
pub mod naive;
pub mod ringfire;
pub mod rtrb;
pub mod shmem_ipc;
pub mod system;
