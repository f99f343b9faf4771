//! ipc-channel 0.23, as bytes (its typed channels serialise first): a Unix socket of packets between two processes, and a new
//! allocation for each message that comes. The sender waits in the kernel; a look without waiting is three system calls.
//!
//! What it does not do that annulus does: anything without a system call, several readers, history, batches.

use crate::link::{Link, Rx, Tx};
use crate::payload::Frame;
use crate::side::Place;
use ipc_channel::TryRecvError;
use ipc_channel::ipc::{IpcBytesReceiver, IpcBytesSender, bytes_channel};
use std::slice;
use std::sync::Mutex;

pub struct IpcChannel {
    sender: Mutex<IpcBytesSender>,
    receiver: Mutex<Option<IpcBytesReceiver>>,
}

impl<const N: usize> Link<N> for IpcChannel {
    const PLACE: Place = Place::Process;
    type Tx = IpcBytesSender;
    type Rx = IpcBytesReceiver;

    fn new(_: usize) -> Self {
        let (sender, receiver) = bytes_channel().expect("a channel");
        Self { sender: Mutex::new(sender), receiver: Mutex::new(Some(receiver)) }
    }

    fn tx(&self) -> IpcBytesSender {
        self.sender.lock().unwrap().clone()
    }

    fn rx(&self) -> IpcBytesReceiver {
        self.receiver.lock().unwrap().take().unwrap()
    }
}

impl<const N: usize> Tx<N> for IpcBytesSender {
    fn send(&mut self, frame: &Frame<N>) -> bool {
        // SAFETY: words are bytes, all of them set.
        let bytes = unsafe { slice::from_raw_parts(frame.as_ptr().cast(), size_of_val(frame)) };
        IpcBytesSender::send(self, bytes).expect("sent");
        true
    }
}

fn show<const N: usize>(bytes: &[u8], mut look: impl FnMut(&Frame<N>)) {
    assert_eq!(bytes.len(), size_of::<Frame<N>>(), "bytes in a message");
    // SAFETY: as long as a frame, and any bytes are words.
    look(&unsafe { bytes.as_ptr().cast::<Frame<N>>().read_unaligned() });
}

impl<const N: usize> Rx<N> for IpcBytesReceiver {
    fn receive(&mut self, most: usize, mut look: impl FnMut(&Frame<N>)) -> usize {
        for taken in 0..most {
            match self.try_recv() {
                Ok(bytes) => show(&bytes, &mut look),
                Err(TryRecvError::Empty) => return taken,
                Err(error) => panic!("{error}"),
            }
        }
        most
    }

    fn sleep_for(&mut self, look: impl FnMut(&Frame<N>)) {
        show(&self.recv().expect("a message"), look);
    }
}
