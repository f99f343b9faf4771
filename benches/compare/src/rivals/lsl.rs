//! Lab Streaming Layer (liblsl 1.16 or later) on loopback, loaded where it is installed or where `LIBLSL` names its file (the Python
//! wheel `pylsl` brings one along): an outlet with a thread and a TCP stream for each inlet, words as `int64` channels.
//!
//! It never waits for a reader, and drops what does not fit into its queue. [`Lossless`] therefore counts what was received, in
//! memory that both sides share, and lets no more be under way than the capacity; [`Fan`] is LSL as it is. Streams are looked for
//! on this machine only, in a session of their own. A receiver waits asleep in the library.
//!
//! What it does not do that annulus does: share memory, let a late reader see the past, tell of losses.

use crate::link::{Attach, Link, Rx, Tx};
use crate::payload::Frame;
use crate::side::{Place, STUCK, Shared, unique};
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_ulong, c_void};
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{env, mem, ptr};

type Object = *mut c_void;

macro_rules! library {
    ($($field:ident = $symbol:literal ($($parameter:ty),*) $(-> $result:ty)?;)*) => {
        /// What is used of the library.
        struct Library {
            $($field: unsafe extern "C" fn($($parameter),*) $(-> $result)?,)*
        }

        impl Library {
            fn find(symbol: impl Fn(&CStr) -> Option<Object>) -> Option<Self> {
                // SAFETY: each is a function of just these parameters (lsl_c.h).
                Some(unsafe { Self { $($field: mem::transmute_copy(&symbol($symbol)?),)* } })
            }
        }
    };
}

library! {
    version = c"lsl_library_version" () -> c_int;
    configure = c"lsl_set_config_content" (*const c_char);
    make_info = c"lsl_create_streaminfo" (*const c_char, *const c_char, i32, f64, c_int, *const c_char) -> Object;
    drop_info = c"lsl_destroy_streaminfo" (Object);
    make_outlet = c"lsl_create_outlet" (Object, i32, i32) -> Object;
    drop_outlet = c"lsl_destroy_outlet" (Object);
    wait_for_consumers = c"lsl_wait_for_consumers" (Object, f64) -> i32;
    push = c"lsl_push_sample_l" (Object, *const i64) -> i32;
    push_all = c"lsl_push_chunk_l" (Object, *const i64, c_ulong) -> i32;
    resolve = c"lsl_resolve_byprop" (*mut Object, u32, *const c_char, *const c_char, i32, f64) -> i32;
    make_inlet = c"lsl_create_inlet" (Object, i32, i32, i32) -> Object;
    drop_inlet = c"lsl_destroy_inlet" (Object);
    open = c"lsl_open_stream" (Object, f64, *mut i32);
    pull = c"lsl_pull_sample_l" (Object, *mut i64, i32, f64, *mut i32) -> f64;
    pull_some = c"lsl_pull_chunk_l" (Object, *mut i64, *mut f64, c_ulong, c_ulong, f64, *mut i32) -> c_ulong;
}

impl Library {
    fn load() -> Option<Self> {
        let named = env::var("LIBLSL").ok();
        let names = named.as_deref().into_iter().chain(["liblsl.so.2", "liblsl.so"]);
        let library = names.map(|name| CString::new(name).expect("a name")).find_map(|name| {
            // SAFETY: a name; what the library does when it is loaded is its own matter.
            let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
            (!library.is_null()).then_some(library)
        })?;
        Self::find(|name| {
            // SAFETY: an open library, which is never closed, and a name.
            let symbol = unsafe { libc::dlsym(library, name.as_ptr()) };
            (!symbol.is_null()).then_some(symbol)
        })
    }

    fn get() -> Option<&'static Self> {
        static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
        LIBRARY.get_or_init(Self::load).as_ref()
    }
}

/// Its version, where there is one.
pub fn version() -> Option<String> {
    // SAFETY: it is loaded.
    let version = unsafe { (Library::get()?.version)() };
    Some(format!("{}.{}", version / 100, version % 100))
}

/// `int64` channels.
const FORMAT: c_int = 7;
/// Queues are told in hundreds of samples.
const QUEUE: i32 = 10_000;

/// A stream's name, in a session of its own.
struct Name {
    library: &'static Library,
    name: CString,
}

impl Name {
    fn new() -> Self {
        let library = Library::get().expect("liblsl: ask for its `version` first");
        Self { library, name: CString::new(unique("lsl")).expect("a name") }
    }

    /// Each process says once, before it uses it, how the library is to be.
    fn configure(&self) {
        let name = self.name.to_string_lossy();
        let text =
            format!("[multicast]\nResolveScope = machine\n[lab]\nSessionID = {name}\n[log]\nlevel = -3\n");
        let text = CString::new(text).expect("text");
        // SAFETY: a text that it copies.
        unsafe { (self.library.configure)(text.as_ptr()) };
    }

    fn outlet<const N: usize>(&self) -> Outlet {
        self.configure();
        let (library, name) = (self.library, self.name.as_ptr());
        // SAFETY: texts that it copies; the description is dropped when the outlet has it.
        let outlet = unsafe {
            let info = (library.make_info)(name, c"compare".as_ptr(), N as i32, 0.0, FORMAT, name);
            let outlet = (library.make_outlet)(info, 0, QUEUE);
            (library.drop_info)(info);
            outlet
        };
        assert!(!outlet.is_null(), "an outlet");
        Outlet { library, outlet, met: false }
    }

    fn inlet<const N: usize>(&self) -> Inlet<N> {
        self.configure();
        let library = self.library;
        let mut info = ptr::null_mut();
        // SAFETY: room for one description, texts, and then the description that was found.
        let (inlet, error) = unsafe {
            let found =
                (library.resolve)(&mut info, 1, c"name".as_ptr(), self.name.as_ptr(), 1, STUCK.as_secs_f64());
            assert_eq!(found, 1, "streams of that name");
            let inlet = (library.make_inlet)(info, QUEUE, 0, 0);
            (library.drop_info)(info);
            let mut error = 0;
            (library.open)(inlet, STUCK.as_secs_f64(), &mut error);
            (inlet, error)
        };
        assert!(!inlet.is_null() && error == 0, "an inlet that is open: {error}");
        Inlet { library, inlet, block: Vec::new() }
    }
}

struct Outlet {
    library: &'static Library,
    outlet: Object,
    /// Somebody listens: what is pushed before is lost.
    met: bool,
}

impl Outlet {
    fn meet(&mut self) {
        if !self.met {
            // SAFETY: an outlet.
            let consumers = unsafe { (self.library.wait_for_consumers)(self.outlet, STUCK.as_secs_f64()) };
            assert!(consumers > 0, "somebody who listens");
            self.met = true;
        }
    }

    fn push<const N: usize>(&mut self, frames: &[Frame<N>]) {
        self.meet();
        let (words, count) = (frames.as_ptr().cast(), frames.as_flattened().len());
        // SAFETY: an outlet of so many channels, and so many words.
        let error = unsafe {
            if frames.len() == 1 {
                (self.library.push)(self.outlet, words)
            } else {
                (self.library.push_all)(self.outlet, words, count as c_ulong)
            }
        };
        assert_eq!(error, 0, "pushed");
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        // SAFETY: an outlet that nobody uses any more.
        unsafe { (self.library.drop_outlet)(self.outlet) };
    }
}

struct Inlet<const N: usize> {
    library: &'static Library,
    inlet: Object,
    block: Vec<Frame<N>>,
}

impl<const N: usize> Inlet<N> {
    fn pull(&mut self, most: usize, wait: f64, mut look: impl FnMut(&Frame<N>)) -> usize {
        if self.block.len() < most {
            self.block.resize(most, [0; N]);
        }
        let words = self.block.as_mut_ptr().cast();
        let mut error = 0;
        // SAFETY: an inlet of so many channels, and room for so many frames.
        let frames = unsafe {
            if most == 1 {
                usize::from((self.library.pull)(self.inlet, words, N as i32, wait, &mut error) != 0.0)
            } else {
                let room = (most * N) as c_ulong;
                let none = ptr::null_mut();
                (self.library.pull_some)(self.inlet, words, none, room, 0, wait, &mut error) as usize / N
            }
        };
        assert_eq!(error, 0, "pulled");
        self.block[..frames].iter().for_each(&mut look);
        frames
    }
}

impl<const N: usize> Drop for Inlet<N> {
    fn drop(&mut self) {
        // SAFETY: an inlet that nobody uses any more.
        unsafe { (self.library.drop_inlet)(self.inlet) };
    }
}

/// Nothing is lost: no more is under way than the capacity.
pub struct Lossless<const N: usize> {
    name: Name,
    received: Arc<Shared>,
    capacity: u64,
}

impl<const N: usize> Link<N> for Lossless<N> {
    const PLACE: Place = Place::Process;
    type Tx = LosslessTx;
    type Rx = LosslessRx<N>;

    fn new(capacity: usize) -> Self {
        Self { name: Name::new(), received: Arc::new(Shared::new(4096)), capacity: capacity as u64 }
    }

    fn tx(&self) -> LosslessTx {
        let (outlet, received) = (self.name.outlet::<N>(), Arc::clone(&self.received));
        LosslessTx { outlet, received, sent: 0, limit: self.capacity, capacity: self.capacity }
    }

    fn rx(&self) -> LosslessRx<N> {
        LosslessRx { inlet: self.name.inlet(), received: Arc::clone(&self.received) }
    }
}

fn count(received: &Shared) -> &AtomicU64 {
    &received.words(0, 1)[0]
}

pub struct LosslessTx {
    outlet: Outlet,
    received: Arc<Shared>,
    sent: u64,
    limit: u64,
    capacity: u64,
}

impl<const N: usize> Tx<N> for LosslessTx {
    fn send(&mut self, frame: &Frame<N>) -> bool {
        self.send_all(std::slice::from_ref(frame))
    }

    fn send_all(&mut self, frames: &[Frame<N>]) -> bool {
        let sent = self.sent + frames.len() as u64;
        if sent > self.limit {
            self.limit = count(&self.received).load(Acquire) + self.capacity;
            if sent > self.limit {
                return false;
            }
        }
        self.outlet.push(frames);
        self.sent = sent;
        true
    }
}

pub struct LosslessRx<const N: usize> {
    inlet: Inlet<N>,
    received: Arc<Shared>,
}

impl<const N: usize> LosslessRx<N> {
    fn pull(&mut self, most: usize, wait: f64, look: impl FnMut(&Frame<N>)) -> usize {
        let frames = self.inlet.pull(most, wait, look);
        if frames > 0 {
            let received = count(&self.received);
            received.store(received.load(Relaxed) + frames as u64, Release);
        }
        frames
    }
}

impl<const N: usize> Rx<N> for LosslessRx<N> {
    fn receive(&mut self, most: usize, look: impl FnMut(&Frame<N>)) -> usize {
        self.pull(most, 0.0, look)
    }

    fn sleep_for(&mut self, look: impl FnMut(&Frame<N>)) {
        assert_eq!(self.pull(1, STUCK.as_secs_f64(), look), 1, "a frame");
    }
}

/// LSL as it is: an outlet that waits for nobody.
pub struct Fan<const N: usize>(Name);

impl<const N: usize> Link<N> for Fan<N> {
    const PLACE: Place = Place::Process;
    type Tx = FanTx;
    type Rx = FanRx<N>;

    fn new(_: usize) -> Self {
        Self(Name::new())
    }

    fn tx(&self) -> FanTx {
        FanTx(self.0.outlet::<N>())
    }

    fn rx(&self) -> FanRx<N> {
        FanRx(self.0.inlet())
    }
}

pub struct FanTx(Outlet);

impl<const N: usize> Tx<N> for FanTx {
    fn send(&mut self, frame: &Frame<N>) -> bool {
        self.0.met = true; // also when nobody is there
        self.0.push(std::slice::from_ref(frame));
        true
    }
}

pub struct FanRx<const N: usize>(Inlet<N>);

impl<const N: usize> Rx<N> for FanRx<N> {
    fn receive(&mut self, most: usize, look: impl FnMut(&Frame<N>)) -> usize {
        self.0.pull(most, 0.0, look)
    }
}

/// Finding a stream on this machine, and opening an inlet. Its first frame is the next that is pushed, so that is in it.
pub struct AttachStream {
    outlet: RefCell<Outlet>,
    name: Name,
}

impl Attach for AttachStream {
    fn new() -> Self {
        let name = Name::new();
        Self { outlet: RefCell::new(name.outlet::<8>()), name }
    }

    fn once(&self) -> Duration {
        let start = Instant::now();
        let mut inlet = self.name.inlet::<8>();
        let mut outlet = self.outlet.borrow_mut();
        outlet.met = false;
        outlet.push(&[[1u64; 8]]);
        assert_eq!(inlet.pull(1, STUCK.as_secs_f64(), |frame| assert_eq!(*frame, [1; 8])), 1);
        start.elapsed()
    }
}
