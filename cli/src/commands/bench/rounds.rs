//! Rounds: each case's turn comes again and again, so that what changes on the machine meanwhile meets them all.

use super::machine::Used;
use super::peer::{Bench, interrupted};
use crate::failure::Failure;
use serde_json::{Value, json};
use std::time::Duration;

/// How many rounds count.
const ROUNDS: u32 = 5;

/// How often the disturbed ones of them are repeated.
const REPEATS: u32 = 2;

/// A round is disturbed if a side that is timed had to wait longer for its processor than this share of the round.
const DISTURBED: f64 = 0.02;

/// What is measured, again and again.
pub(super) trait Case<F> {
    /// Measures once, for about that long.
    fn run(&mut self, length: Duration) -> Result<Round<F>, Failure>;
}

#[derive(Debug)]
pub(super) struct Round<F> {
    pub(super) figures: F,
    /// The share of the time in which a side had to wait for its processor; `None` where the system does not tell.
    pub(super) waited: Option<f64>,
}

impl<F> Round<F> {
    fn is_disturbed(&self) -> bool {
        self.waited.is_some_and(|share| share > DISTURBED)
    }
}

/// The rounds of one case that count: the least disturbed.
#[derive(Debug)]
pub(super) struct Rounds<F>(Vec<Round<F>>);

/// Runs all cases in turn: once to warm up, then what counts, then once more those that others disturbed, in `time`
/// altogether.
pub(super) fn measure<F>(
    cases: &mut [Box<dyn Case<F> + '_>],
    time: Duration,
    bench: &Bench,
) -> Result<Vec<Rounds<F>>, Failure> {
    let length = time / (cases.len() as u32 * (1 + ROUNDS + REPEATS));
    let run = |case: &mut Box<dyn Case<F> + '_>| {
        if bench.stop.raised() {
            return Err(interrupted());
        }
        let round = case.run(length)?;
        // Two sides that share a processor wait for each other.
        let waited = if bench.used == Used::Shared { None } else { round.waited };
        Ok(Round { waited, ..round })
    };
    for case in cases.iter_mut() {
        run(case)?;
    }
    let mut all: Vec<Rounds<F>> = cases.iter().map(|_| Rounds(Vec::new())).collect();
    for _ in 0..ROUNDS {
        for (case, rounds) in cases.iter_mut().zip(&mut all) {
            rounds.0.push(run(case)?);
        }
    }
    for _ in 0..REPEATS {
        for (case, rounds) in cases.iter_mut().zip(&mut all) {
            if let Some(worst) = rounds.worst().filter(|worst| worst.is_disturbed()) {
                let again = run(case)?;
                if again.waited < worst.waited {
                    *worst = again;
                }
            }
        }
    }
    Ok(all)
}

impl<F> Rounds<F> {
    fn worst(&mut self) -> Option<&mut Round<F>> {
        self.0.iter_mut().max_by(|a, b| a.waited.partial_cmp(&b.waited).unwrap_or(std::cmp::Ordering::Equal))
    }

    pub(super) fn figures(&self) -> impl Iterator<Item = &F> {
        self.0.iter().map(|round| &round.figures)
    }

    pub(super) fn spread(&self, figure: impl Fn(&F) -> f64) -> Spread {
        let mut all: Vec<f64> = self.figures().map(figure).collect();
        all.sort_by(f64::total_cmp);
        Spread { min: all[0], median: all[all.len() / 2], max: all[all.len() - 1] }
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// How many others disturbed, although they were repeated; `None` where nobody can tell.
    pub(super) fn disturbed(&self) -> Option<usize> {
        let told = self.0.iter().all(|round| round.waited.is_some());
        told.then(|| self.0.iter().filter(|round| round.is_disturbed()).count())
    }
}

/// A note below the figures, if there is something to note.
pub(super) fn note<F>(all: &[Rounds<F>]) -> String {
    let rounds: usize = all.iter().map(Rounds::count).sum();
    match all.iter().map(Rounds::disturbed).sum::<Option<usize>>() {
        Some(0) => String::new(),
        Some(disturbed) => format!(
            "  {disturbed} of {rounds} rounds were disturbed by other programs, though repeated: run it again on an idle \
             machine\n"
        ),
        None => "  whether other programs disturbed it is not known here\n".to_owned(),
    }
}

/// One figure over all rounds of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

impl Spread {
    pub(super) fn json(self) -> Value {
        json!({ "median": self.median, "min": self.min, "max": self.max })
    }
}

#[cfg(test)]
mod tests {
    use super::super::peer::Names;
    use super::*;
    use crate::stop::Stop;
    use annulus::Scope;
    use std::cell::RefCell;

    /// Gives these shares of waiting, one after the other, and says when it was its turn.
    struct Made<'a>(&'static str, Vec<f64>, &'a RefCell<String>);

    impl Case<f64> for Made<'_> {
        fn run(&mut self, _: Duration) -> Result<Round<f64>, Failure> {
            self.2.borrow_mut().push_str(self.0);
            let waited = self.1.remove(0);
            Ok(Round { figures: waited, waited: Some(waited) })
        }
    }

    #[test]
    fn cases_take_turns_and_what_was_disturbed_is_repeated() {
        let names = Names { scope: Scope::User };
        let bench = Bench { stop: Stop::default(), names, used: Used::Any };
        let turns = RefCell::default();
        let mut cases: Vec<Box<dyn Case<f64> + '_>> = vec![
            Box::new(Made("a", vec![9.0, 0.0, 0.01, 0.0, 0.01, 0.0], &turns)),
            Box::new(Made("b", vec![9.0, 0.5, 0.01, 0.3, 0.01, 0.0, 0.0, 0.7], &turns)),
        ];
        let all = measure(&mut cases, Duration::from_secs(1), &bench).unwrap();
        drop(cases);
        assert_eq!(turns.into_inner(), "ab".repeat(6) + "bb");
        assert_eq!((all[0].count(), all[0].disturbed()), (5, Some(0)));
        assert_eq!((all[1].count(), all[1].disturbed()), (5, Some(1)), "the better one replaces the worst");
        assert_eq!(all[1].spread(|waited| *waited), Spread { min: 0.0, median: 0.01, max: 0.3 });
        assert!(note(&all).contains("1 of 10 rounds were disturbed") && note(&all[..1]).is_empty());
    }

    #[test]
    fn two_sides_that_share_a_processor_do_not_disturb_each_other() {
        let names = Names { scope: Scope::User };
        let bench = Bench { stop: Stop::default(), names, used: Used::Shared };
        let turns = RefCell::default();
        let mut cases: Vec<Box<dyn Case<f64> + '_>> = vec![Box::new(Made("a", vec![0.5; 6], &turns))];
        let all = measure(&mut cases, Duration::from_secs(1), &bench).unwrap();
        assert_eq!((all[0].count(), all[0].disturbed()), (5, None));
        assert!(note(&all).contains("not known"));
        bench.stop.raise();
        assert!(
            measure(&mut cases, Duration::from_secs(1), &bench).is_err(),
            "no round after the user has had enough"
        );
    }
}
