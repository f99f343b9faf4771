//! `annulus rm`: removes streams, and shared memory of other programs.

use crate::failure::Failure;
use crate::foreign;
use crate::names::Place;
use annulus::shm;
use std::error::Error;

/// Remove streams; refused while a producer or consumer lives. Or other programs' shared memory, with --foreign
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The streams: ecg@v2, or ecg where that is clear
    #[arg(required_unless_present = "foreign", value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    place: Place,
    /// Whoever holds them, and also what is damaged or no stream at all
    #[arg(long, short)]
    force: bool,
    /// Shared memory that is no stream, whoever made it, and without a question: posix:/x, sysv:id=N, sysv:key=K, file:P.
    /// Who has it mapped keeps it until then; the name is free at once
    #[arg(long, value_name = "PLACE", num_args = 1.., value_parser = named, conflicts_with_all = ["names", "system", "force"])]
    foreign: Vec<shm::Place>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let done = each(&args.names, |name| remove(args, name));
    done.and(each(&args.foreign, foreign::remove))
}

/// What can be removed: what has a name.
fn named(text: &str) -> Result<shm::Place, Box<dyn Error + Send + Sync>> {
    match text.parse()? {
        shm::Place::Anonymous => {
            Err("anonymous memory has no name, and goes with the last who has it".into())
        }
        shm::Place::Key(shm::Key::PRIVATE) => {
            Err("key 0 is that of all segments without a key: give the id".into())
        }
        place => Ok(place),
    }
}

/// One that fails does not spare the others; the last failure is the command's.
fn each<T>(all: &[T], remove: impl Fn(&T) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut done = Ok(());
    for one in all {
        if let Err(failure) = remove(one)
            && let Err(earlier) = std::mem::replace(&mut done, Err(failure))
        {
            earlier.report();
        }
    }
    done
}

fn remove(args: &Args, name: &str) -> Result<(), Failure> {
    let stream = args.place.resolve(name)?.open();
    Ok(if args.force { stream.remove_forcibly() } else { stream.remove() }?)
}
