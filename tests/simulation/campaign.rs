//! Many seeds, on all processors, and what they came to.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};

use super::faults::{Fault, label};
use super::history::History;
use super::oracle::{Ends, Violation, Wrong};

/// What one seed came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) violations: Vec<Violation>,
    pub(crate) faults: BTreeMap<Fault, u64>,
    pub(crate) ends: Ends,
    pub(crate) payouts: u64,
    pub(crate) history: Vec<String>,
}

impl Outcome {
    /// What is wrong, in words.
    pub(crate) fn words(&self) -> String {
        let found: Vec<String> = self.violations.iter().map(|found| format!("{:?}: {}", found.wrong, found.words)).collect();
        found.join("\n")
    }
}

/// Runs one seed to its end.
pub(crate) fn run(seed: u64) -> Outcome {
    let mut history = History::new(seed);
    history.run();
    let words = history.rest();
    let (violations, ends) = history.judge(&words);
    let mut world = history.bursar.world.borrow_mut();
    let (faults, lines) = (std::mem::take(&mut world.faults.counts), std::mem::take(&mut world.log));
    Outcome { violations, faults, ends, payouts: history.asked.len() as u64, history: lines }
}

/// All seeds together.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) seeds: u64,
    payouts: u64,
    faults: BTreeMap<Fault, u64>,
    ends: Ends,
    wrong: BTreeMap<Wrong, u64>,
    panics: u64,
    /// Those that failed.
    failed: BTreeSet<u64>,
    /// The first few of them, in words.
    pub(crate) failures: Vec<String>,
}

/// Failures that are told in full.
const TOLD: usize = 3;

impl Tally {
    fn add(&mut self, seed: u64, outcome: Result<Outcome, String>) {
        self.seeds += 1;
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(words) => {
                self.panics += 1;
                self.failed.insert(seed);
                if self.failures.len() < TOLD {
                    self.failures.push(format!("seed {seed} panicked: {words}"));
                }
                return;
            }
        };
        self.payouts += outcome.payouts;
        outcome.faults.iter().for_each(|(fault, count)| *self.faults.entry(*fault).or_default() += count);
        outcome.ends.iter().for_each(|(end, count)| *self.ends.entry(end).or_default() += count);
        outcome.violations.iter().for_each(|violation| *self.wrong.entry(violation.wrong).or_default() += 1);
        if outcome.violations.is_empty() {
            return;
        }
        self.failed.insert(seed);
        if self.failures.len() < TOLD {
            let replay = format!("BURSAR_SEED={seed} cargo test --test simulation replays it");
            self.failures.push(format!("seed {seed}\n{}\n{}\n{replay}", outcome.history.join("\n"), outcome.words()));
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.wrong.is_empty() && self.panics == 0
    }

    fn count(&self, wrong: Wrong) -> u64 {
        self.wrong.get(&wrong).copied().unwrap_or(0)
    }

    pub(crate) fn to_json(&self) -> Value {
        let faults: BTreeMap<&str, u64> = self.faults.iter().map(|(fault, count)| (label(*fault), *count)).collect();
        json!({
            "seeds": self.seeds,
            "payouts": self.payouts,
            "doubled": self.count(Wrong::Doubled),
            "lost": self.count(Wrong::Lost),
            "untrue": self.count(Wrong::Untrue),
            "stuck": self.count(Wrong::Stuck),
            "ledger": self.count(Wrong::Ledger),
            "panics": self.panics,
            "failed_seeds": self.failed,
            "ends": self.ends,
            "faults": faults,
        })
    }
}

/// Runs seeds, in their order on all processors. `until_wrong`: only to the first violation.
pub(crate) fn run_many(seeds: std::ops::Range<u64>, until_wrong: bool, progress: impl Fn(u64) + Sync) -> Tally {
    let (next, tally) = (AtomicU64::new(seeds.start), Mutex::new(Tally::default()));
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| run(seed)));
            let outcome = outcome.map_err(|payload| {
                let words = payload.downcast_ref::<String>().cloned();
                words.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
            });
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.add(seed, outcome);
            progress(tally.seeds);
            if until_wrong && !tally.wrong.is_empty() {
                next.store(seeds.end, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| (0..workers).for_each(|_| _ = scope.spawn(work)));
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}
