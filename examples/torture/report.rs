//! What is told and what is left: a line for each trial, a JSON object, and files with which a stranger counts again.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use bursar::config::Method;
use serde_json::{Value, json};

use crate::arena::{Arena, coins};
use crate::schedule::{Sitting, Trial};
use crate::support::Generation;
use crate::trial::{Open, Outcome};

/// The list of every payout, beside the data directories.
const EXPECTED: &str = "expected.csv";
const TRIALS: &str = "trials.csv";

/// How a generation is called, here and by `scripts/daemons`.
pub(crate) fn name_of(generation: Generation) -> &'static str {
    match generation {
        Generation::Litecoin018 => "litecoin-0.18",
        Generation::Litecoin021 => "litecoin-0.21",
        Generation::Knots => "bitcoin-knots",
    }
}

pub(crate) fn method_of(method: Method) -> &'static str {
    match method {
        Method::Sendmany => "sendmany",
        Method::Journaled => "journaled",
    }
}

/// Sums over all worlds.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    trials: u64,
    by_generation: BTreeMap<&'static str, u64>,
    by_method: BTreeMap<&'static str, u64>,
    by_fault: BTreeMap<&'static str, u64>,
    missed: u64,
    payouts: u64,
    transactions: u64,
    lost: Vec<String>,
    doubled: Vec<String>,
    stuck: Vec<String>,
    waiting: Vec<String>,
    /// Worlds that did not come to their end.
    pub(crate) broken: Vec<String>,
}

impl Sums {
    /// A trial, and its line.
    pub(crate) fn add_trial(&mut self, sitting: &Sitting, arena: &Arena, trial: &Trial, outcome: &Outcome) -> String {
        self.trials += 1;
        let (generation, method) = (name_of(sitting.generation), method_of(sitting.method));
        *self.by_generation.entry(generation).or_default() += 1;
        *self.by_method.entry(method).or_default() += 1;
        *self.by_fault.entry(trial.kind).or_default() += 1;
        self.missed += u64::from(!outcome.struck);
        self.add_open(arena, &outcome.open);
        let wallet = if arena.encrypted { " (encrypted)" } else { "" };
        let missed = if outcome.struck { "" } else { " (missed its moment)" };
        let line = format!(
            "trial {} {generation} {method}{wallet}: {}{missed}: {} payouts, txids {}",
            trial.number,
            trial.kind,
            outcome.payouts,
            outcome.txids.join(" ")
        );
        let problems = problems_of(outcome);
        if problems.is_empty() { line } else { format!("{line}\n  {}", problems.join("\n  ")) }
    }

    /// What the end of a world says of all that was asked there: the chain's last word.
    pub(crate) fn add_world(&mut self, arena: &Arena, outcome: &Outcome) {
        self.payouts += outcome.payouts as u64;
        self.transactions += outcome.verdict.txids.len() as u64;
        let named = |id: &String| format!("{id} in {}", arena.world.dir().display());
        self.lost.extend(outcome.verdict.short.iter().map(named));
        self.doubled.extend(outcome.verdict.over.iter().map(named));
    }

    /// Payouts that did not reach their end: with a reason they wait for a person, without one they are stuck.
    pub(crate) fn add_open(&mut self, arena: &Arena, open: &[Open]) {
        for payout in open {
            let named = format!("{} in {}: {}: {}", payout.id, arena.world.dir().display(), payout.state, payout.reason);
            let explained = matches!(payout.state.as_str(), "disputed" | "held" | "rejected") && !payout.reason.is_empty();
            if explained { self.waiting.push(named) } else { self.stuck.push(named) }
        }
    }

    pub(crate) fn merge(&mut self, other: Sums) {
        self.trials += other.trials;
        for (into, from) in [
            (&mut self.by_generation, other.by_generation),
            (&mut self.by_method, other.by_method),
            (&mut self.by_fault, other.by_fault),
        ] {
            from.into_iter().for_each(|(name, count)| *into.entry(name).or_default() += count);
        }
        self.missed += other.missed;
        self.payouts += other.payouts;
        self.transactions += other.transactions;
        self.lost.extend(other.lost);
        self.doubled.extend(other.doubled);
        self.stuck.extend(other.stuck);
        self.waiting.extend(other.waiting);
        self.broken.extend(other.broken);
    }

    /// Whether every payout was paid exactly once, or bursar says why not.
    pub(crate) fn is_good(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.stuck.is_empty() && self.broken.is_empty()
    }

    /// What is not as it should be, a line each.
    pub(crate) fn problems(&self) -> Vec<String> {
        let kinds = [
            ("lost", &self.lost),
            ("doubled", &self.doubled),
            ("stuck", &self.stuck),
            ("waits for a person", &self.waiting),
            ("broken", &self.broken),
        ];
        kinds.iter().flat_map(|(kind, all)| all.iter().map(move |one| format!("{kind}: {one}"))).collect()
    }

    pub(crate) fn json(&self, seed: u64, seconds: u64, dir: &Path) -> Value {
        json!({
            "schema": 1,
            "trials": self.trials,
            "by_generation": self.by_generation,
            "by_method": self.by_method,
            "by_fault": self.by_fault,
            "missed_their_moment": self.missed,
            "payouts": self.payouts,
            "transactions": self.transactions,
            "lost": self.lost.len(),
            "doubled": self.doubled.len(),
            "stuck": self.stuck.len(),
            "waiting_for_a_person": self.waiting.len(),
            "broken_worlds": self.broken.len(),
            "seed": seed,
            "seconds": seconds,
            "dir": dir,
        })
    }
}

fn problems_of(outcome: &Outcome) -> Vec<String> {
    let open = outcome.open.iter().map(|open| format!("{} is {}: {}", open.id, open.state, open.reason));
    let short = outcome.verdict.short.iter().map(|id| format!("{id}: its payee has less than was asked"));
    let over = outcome.verdict.over.iter().map(|id| format!("{id}: its payee has more than was asked"));
    open.chain(short).chain(over).collect()
}

/// Adds what was asked of a world to the list, and its trials to theirs.
pub(crate) fn leave(dir: &Path, sitting: &Sitting, arena: &Arena, lines: &[String]) -> std::io::Result<()> {
    let world = arena.world.dir().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let generation = name_of(sitting.generation);
    let mut expected = String::new();
    for payout in &arena.asked {
        let (amount, script) = (coins(payout.amount), &payout.script);
        expected.push_str(&format!("{world},{generation},{},{},{},{script},{amount}\n", payout.trial, payout.id, payout.address));
    }
    append(&dir.join(EXPECTED), "world,generation,trial,payout,address,script,amount\n", &expected)?;
    let trials: String =
        lines.iter().map(|line| format!("{world},{}\n", line.replace('\n', " ").replacen(": ", ",", 1))).collect();
    append(&dir.join(TRIALS), "world,trial,what happened\n", &trials)
}

/// Worlds end on several threads: each writes its rows at once.
fn append(file: &Path, header: &str, rows: &str) -> std::io::Result<()> {
    let is_new = !file.exists();
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    let header = if is_new { header } else { "" };
    file.write_all(format!("{header}{rows}").as_bytes())
}

/// How a stranger counts again, with the daemon's own programs alone.
pub(crate) fn explain(dir: &Path) -> std::io::Result<()> {
    let mut text = include_str!("recount.txt").replace("@dir@", &dir.display().to_string());
    for generation in Generation::ALL {
        let folder = generation.program().parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        text = text.replace(&format!("@{}@", name_of(generation)), &folder);
    }
    fs::write(dir.join("RECOUNT.txt"), text)
}
