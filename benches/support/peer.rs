//! The other side of a bench: this program once more, as a process of its own or on a thread.
//!
//! A process is told its job by an environment variable, and from then on does one run for each line on its
//! stdin. It answers with lines of numbers on its stdout, none of which is ever timed.

use super::machine;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

const JOB: &str = "ANNULUS_BENCH_PEER";

/// Where the other side runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Thread,
    Process,
}

/// What the other side hears and says.
pub(crate) struct Line<'a> {
    requests: &'a mut dyn BufRead,
    answers: &'a mut dyn Write,
}

impl Line<'_> {
    /// The next run's length. `None`: no more runs.
    pub(crate) fn request(&mut self) -> Option<u64> {
        let mut line = String::new();
        self.requests.read_line(&mut line).expect("a request");
        line.trim().parse().ok()
    }

    pub(crate) fn say(&mut self, numbers: &[u64]) {
        let words: Vec<String> = numbers.iter().map(u64::to_string).collect();
        // The bench may have panicked and be gone.
        let _ = writeln!(self.answers, "{}", words.join(" ")).and_then(|()| self.answers.flush());
    }

    pub(crate) fn bytes(&mut self) -> [u8; 8] {
        let mut bytes = [0; 8];
        self.requests.read_exact(&mut bytes).expect("eight bytes");
        bytes
    }

    pub(crate) fn send(&mut self, bytes: [u8; 8]) {
        self.answers.write_all(&bytes).and_then(|()| self.answers.flush()).expect("the bench is there");
    }
}

/// What a side does: its job in words, and how it hears and answers.
pub(crate) type Serve = fn(&[&str], Line<'_>);

/// In a process that was started as the other side: does the job, and true.
pub(crate) fn served(serve: Serve) -> bool {
    let Ok(job) = env::var(JOB) else { return false };
    machine::pin(1);
    let (mut requests, mut answers) = (io::stdin().lock(), io::stdout().lock());
    serve(&words(&job), Line { requests: &mut requests, answers: &mut answers });
    true
}

fn words(job: &str) -> Vec<&str> {
    job.split(' ').collect()
}

/// The other side, as this one holds it.
pub(crate) struct Peer {
    requests: Option<Box<dyn Write>>,
    answers: Box<dyn BufRead>,
    runs: Runs,
}

enum Runs {
    Thread(Option<JoinHandle<()>>),
    Process(Child),
}

impl Peer {
    /// Starts it, and waits until it is ready.
    pub(crate) fn start(place: Place, job: String, serve: Serve) -> Self {
        let mut peer = match place {
            Place::Thread => Self::thread(job, serve).expect("two pipes"),
            Place::Process => Self::process(&job).expect("a process"),
        };
        assert!(peer.answer().is_empty(), "the peer is ready");
        peer
    }

    fn thread(job: String, serve: Serve) -> io::Result<Self> {
        let ((hear, requests), (answers, mut say)) = (io::pipe()?, io::pipe()?);
        let thread = thread::spawn(move || {
            machine::pin(1);
            serve(&words(&job), Line { requests: &mut BufReader::new(hear), answers: &mut say });
        });
        let runs = Runs::Thread(Some(thread));
        Ok(Self { requests: Some(Box::new(requests)), answers: Box::new(BufReader::new(answers)), runs })
    }

    fn process(job: &str) -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        let mut child = command.env(JOB, job).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let requests = child.stdin.take().map(|pipe| Box::new(pipe) as Box<dyn Write>);
        let answers = Box::new(BufReader::new(child.stdout.take().expect("its stdout")));
        Ok(Self { requests, answers, runs: Runs::Process(child) })
    }

    /// Asks for a run, and waits until the other side is about to begin with it.
    pub(crate) fn ask(&mut self, length: u64) {
        self.send(format!("{length}\n").as_bytes());
        assert!(self.answer().is_empty(), "the peer begins");
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let requests = self.requests.as_mut().expect("open until dropped");
        requests.write_all(bytes).and_then(|()| requests.flush()).expect("the peer is there");
    }

    pub(crate) fn receive(&mut self) -> [u8; 8] {
        let mut bytes = [0; 8];
        self.answers.read_exact(&mut bytes).expect("the peer is there");
        bytes
    }

    /// What it found out.
    pub(crate) fn answer(&mut self) -> Vec<u64> {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        assert!(line.ends_with('\n'), "the peer is gone: what it said is above");
        line.split_whitespace().map(|word| word.parse().expect("a number")).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.requests = None; // it hears that there are no more runs
        match &mut self.runs {
            Runs::Thread(thread) if !thread::panicking() => {
                let _ = thread.take().map(JoinHandle::join);
            }
            Runs::Thread(_) => {}
            Runs::Process(child) => {
                if thread::panicking() {
                    let _ = child.kill(); // it may be in the middle of a run
                }
                let _ = child.wait();
            }
        }
    }
}
