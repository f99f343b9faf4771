//! The protocol, explored by loom: every interleaving of small cases, and every stale value that the memory
//! model allows, of the code that ships. `ci/loom.sh` runs it and prints a table.
//!
//! A model that passes says little: it may never have come to the point. So each one states the exact set of
//! outcomes that it reached, and for each fence, ordering and check that it claims to need there is a
//! counter-test here: the same model runs again with that one [`Site`] broken, and must fail by an assertion
//! of its own, a race or a deadlock. Every side of a model runs in a thread of its own, never on the main one,
//! where loom explores next to nothing; but handles attach on the main thread where they can, because a thread
//! that loads a word right before it stores to it hides from loom who else had loaded it.
//!
//! What loom cannot show: load buffering, and fences done by the kernel (`membarrier`), which is why the
//! models take the notifier's full fence.

mod clock;
mod lane;
mod ledger;
mod lossless;
mod queue;
mod wait;

use crate::sync::Site;
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What the executions of a model came to.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeSet<&'static str>>>);

impl Seen {
    fn saw(&self, outcome: &'static str) {
        self.0.lock().unwrap().insert(outcome);
    }
}

/// One model, in one or several explorations.
struct Model {
    name: &'static str,
    bound: Option<usize>,
    seen: Seen,
    executions: Arc<Mutex<u64>>,
    begun: Instant,
}

impl Model {
    fn new(name: &'static str) -> Self {
        let (seen, executions) = (Seen::default(), Arc::default());
        Self { name, bound: None, seen, executions, begun: Instant::now() }
    }

    /// At most so many preemptions in an execution: for models whose full space is out of reach.
    fn preemptions(mut self, bound: usize) -> Self {
        self.bound = Some(bound);
        self
    }

    fn explore(self, sides: impl Fn(&Seen) + Send + Sync + 'static) -> Self {
        let (seen, executions) = (self.seen.clone(), Arc::clone(&self.executions));
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = self.bound;
        builder.check(move || {
            *executions.lock().unwrap() += 1;
            sides(&seen);
        });
        self
    }

    /// Reports, and asserts that these outcomes were reached and no others.
    fn reached(self, outcomes: &[&str]) {
        let (executions, seconds) = (*self.executions.lock().unwrap(), self.begun.elapsed().as_secs_f64());
        eprintln!("model {}: {executions} executions in {seconds:.1} s", self.name);
        let seen = self.seen.0.lock().unwrap();
        assert!(seen.iter().eq(&BTreeSet::from_iter(outcomes.iter().copied())), "{VACUOUS}: {seen:?}");
    }
}

const VACUOUS: &str = "not the outcomes that the model claims to reach";

/// What is broken in a model's own code, where the shipped code has nothing to leave out.
#[derive(Clone, Copy, Debug)]
enum Mutant {
    /// A producer announces before it copies.
    IntentFirst,
    /// What a seat's last holder did happens before what its next one does.
    SeatOrders,
    /// Each stream has an armed word of its own.
    OwnArmed,
    /// A producer writes a gap down before it pushes what comes after.
    GapFirst,
}

impl Mutant {
    fn holds(self) -> bool {
        !std::env::var("ANNULUS_BREAK").is_ok_and(|broken| broken == format!("{self:?}"))
    }
}

macro_rules! counter_tests {
    ($($test:ident: $model:literal needs $($site:ident)* $(, and of its own $($mutant:ident)*)?;)*) => {
        /// Each model, and what it fails without.
        const CLAIMS: &[(&str, &[Site], &[Mutant])] =
            &[$(($model, &[$(Site::$site),*], &[$($(Mutant::$mutant),*)?])),*];

        mod broken {
            $(#[test]
            fn $test() {
                super::fails_without($model);
            })*
        }
    };
}

counter_tests! {
    observed_plainly: "lane::observed_plainly" needs TailRelease TailAcquire IntentRelease IntentAcquire IntentCheck IntentNotTail;
    observer: "lane::observer" needs TailRelease TailAcquire IntentRelease IntentAcquire IntentCheck IntentNotTail,
        and of its own IntentFirst;
    successor: "lane::successor" needs IntentKept EpochRelease TailRelease TailAcquire, and of its own SeatOrders;
    exclusive: "lane::exclusive" needs TailRelease TailAcquire SpaceCheck;
    taken_plainly: "lane::taken_plainly" needs TailRelease TailAcquire SpaceCheck;
    lent: "lane::lent" needs TailRelease TailAcquire HeadRelease HeadAcquire SpaceCheck;
    resumed: "lane::resumed" needs ResumeAcquire HeadRelease;
    group: "lane::group" needs GroupCas GroupCopyFirst GroupHead TailRelease TailAcquire HeadRelease SpaceCheck;
    group_lent: "lane::group_lent" needs TailRelease TailAcquire HeadRelease HeadAcquire SpaceCheck;
    one_sleeper: "wait::one_sleeper" needs NotifyFence ArmFence ArmRecheck SeqBump;
    two_sleepers: "wait::two_sleepers" needs NotifyFence ArmFence ArmRecheck SeqBump SwapBeforeBump SeqBeforeArm ArmMin;
    space: "wait::space" needs SpaceNotify SpaceDisarm;
    batches: "wait::batches" needs SpaceClause;
    again: "wait::again" needs SpaceClause;
    polled: "wait::polled" needs FullArms FullFence ArmFence SpaceClause;
    drained: "wait::drained" needs SpaceClause SpaceNotify;
    finish: "wait::finish" needs FinishKick EndRelease VerdictReload;
    gone: "wait::gone" needs VerdictReload;
    retired: "wait::retired" needs VerdictReload;
    passed_on: "queue::passed_on" needs GroupRearm GroupFence GroupPassOn NotifyFence ArmFence ArmRecheck SeqBump;
    two_lanes: "queue::two_lanes" needs GroupArmsAll NotifyFence ArmFence ArmRecheck SeqBump;
    queue_space: "queue::space" needs SpaceNotify GroupCas;
    ended: "queue::ended" needs EndsFirst;
    two_by_two: "queue::two_by_two" needs GroupArmsAll NotifyFence ArmFence ArmRecheck SeqBump;
    queue_finish: "queue::finish" needs FinishKick EndRelease VerdictReload;
    two_streams: "wait::two_streams" needs ArmEach SleepOnEach NotifyFence ArmFence ArmRecheck SeqBump,
        and of its own OwnArmed;
    attach: "lossless::attach" needs LeaseFence LeaseRescan GateFence GateCheck SpaceCheck TailRelease TailAcquire;
    kept: "lossless::kept" needs HeadRelease LeaseFence SpaceCheck TailRelease TailAcquire;
    passed: "lossless::passed" needs HeadRelease HeadAcquire;
    overtaken: "lossless::overtaken" needs BreachMoves CursorCas TailRelease TailAcquire;
    late: "lossless::late" needs LeaseFence GateFence GateCheck BreachMoves;
    heir: "lossless::heir" needs LeaseAnnounced, and of its own SeatOrders;
    recorder: "lossless::recorder" needs SpaceNotify SpaceClause ArmFence NotifyFence ArmRecheck;
    two_recorders: "lossless::two_recorders" needs SpaceNotify ArmRecheck;
    leaving: "lossless::leaving" needs ArmRecheck SpaceNotify;
    told: "clock::told" needs FlipRelease FlipAcquire FillsIdle RefillRelease RefillAcquire RefillCheck ClockRetry;
    cut_short: "clock::cut_short" needs FillsIdle FlipRelease FlipAcquire RefillRelease RefillAcquire RefillCheck,
        and of its own SeatOrders;
    ledger_told: "ledger::told" needs LedgerRelease LedgerAcquire EntryRelease EntryAcquire EntryCheck;
    ledger_cut_short: "ledger::cut_short" needs LedgerRelease EntryRelease EntryAcquire EntryCheck,
        and of its own SeatOrders;
    ledger_behind: "ledger::behind" needs TailRelease TailAcquire, and of its own GapFirst;
}

/// Runs the model again, in a process of its own, with each thing that it claims to need broken in turn, and
/// asserts that it fails each time, and as a model does.
fn fails_without(model: &str) {
    let (_, sites, mutants) = CLAIMS.iter().find(|claim| claim.0 == model).unwrap();
    let breaks = sites
        .iter()
        .map(|site| format!("{site:?}"))
        .chain(mutants.iter().map(|mutant| format!("{mutant:?}")));
    let (mut caught, mut all) = (0, 0);
    for broken in breaks {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("models::{model}"), "--nocapture", "--test-threads=1"])
            .env("ANNULUS_BREAK", &broken)
            .env("LOOM_MAX_DURATION", "60") // seconds, after which it counts as passed
            .output()
            .unwrap();
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(stdout.contains("running 1 test\n"), "there is no model {model}:\n{stdout}{stderr}");
        // The line after "thread ... panicked at file:line:"; the first, since unwinding may panic again.
        let why =
            stderr.split_once("panicked at ").and_then(|(_, rest)| rest.lines().nth(1)).unwrap_or_default();
        let as_a_model =
            !why.is_empty() && !why.contains(VACUOUS) && !why.contains("maximum number of branches");
        let brief: String = why.chars().take(80).collect();
        all += 1;
        if !output.status.success() && as_a_model {
            caught += 1;
            eprintln!("broken {model}: {broken}: {brief}");
        } else {
            eprintln!("broken {model}: {broken}: NOT CAUGHT ({}) {brief}", output.status);
        }
    }
    eprintln!("caught {model}: {caught}/{all}");
    assert_eq!(caught, all, "the model {model} does not need all that it claims to need");
}

macro_rules! every_site {
    ($($site:ident)*) => {
        /// All sites. The match is what keeps it complete.
        fn every_site() -> Vec<Site> {
            let listed = |site| match site {
                $(Site::$site)|* => site,
            };
            [$(Site::$site),*].map(listed).to_vec()
        }
    };
}

every_site! {
    TailRelease TailAcquire IntentRelease IntentAcquire IntentCheck IntentNotTail IntentKept HeadRelease HeadAcquire
    ResumeAcquire SpaceCheck GroupHead GroupCas GroupCopyFirst EndRelease EpochRelease VerdictReload NotifyFence ArmFence ArmRecheck SeqBump
    SwapBeforeBump SeqBeforeArm ArmMin SpaceNotify SpaceClause FullArms FullFence SpaceDisarm FinishKick
    GroupArmsAll GroupRearm GroupFence GroupPassOn EndsFirst
    ArmEach SleepOnEach
    LeaseFence LeaseRescan LeaseAnnounced GateFence GateCheck BreachMoves CursorCas
    FlipRelease FlipAcquire FillsIdle RefillRelease RefillAcquire RefillCheck ClockRetry
    LedgerRelease LedgerAcquire EntryRelease EntryAcquire EntryCheck
}

#[test]
fn some_model_needs_each_site() {
    for site in every_site() {
        assert!(CLAIMS.iter().any(|(_, sites, _)| sites.contains(&site)), "no model needs {site:?}");
    }
}
