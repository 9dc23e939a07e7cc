//! Thousands of histories of payouts, each from a seed: the real capabilities and the real store, on a model of the daemon that does
//! what real ones were seen to do, while bursar crashes anywhere. At the end the outputs on the model's chain are counted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stderr, reason = "a failure tells its history, a long run its progress")]

mod bursar;
mod campaign;
mod chain;
mod chance;
mod coin;
mod damage;
mod entries;
mod events;
mod faults;
mod history;
mod host;
mod mutants;
mod operator;
mod oracle;
mod rpc;
mod sending;
mod world;

use std::path::Path;
use std::{env, fs};

use campaign::{run, run_many};
use serde_json::Value;

/// Seeds of a run that nobody says more about.
const SEEDS: u64 = 600;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// Leaves a report in the file that `BURSAR_REPORT` names.
fn report(report: &Value) {
    if let Some(file) = env::var_os("BURSAR_REPORT") {
        fs::write(file, report.to_string()).unwrap();
    }
}

/// `BURSAR_SEED` replays one; `BURSAR_SEEDS` runs so many, from `BURSAR_FIRST_SEED` on, and `BURSAR_REPORT` names a file for the count in
/// JSON.
#[test]
fn whatever_happens_every_payout_is_paid_once_or_says_why_not() {
    if let Some(seed) = number("BURSAR_SEED") {
        let outcome = run(seed);
        eprintln!("{}", outcome.history.join("\n"));
        assert!(outcome.violations.is_empty(), "seed {seed}\n{}", outcome.words());
        return;
    }
    let until_wrong = env::var_os("BURSAR_UNTIL_WRONG").is_some();
    let (first, seeds) = (number("BURSAR_FIRST_SEED").unwrap_or(0), number("BURSAR_SEEDS").unwrap_or(SEEDS));
    let tally = run_many(first..first + seeds, until_wrong, |done| {
        if done.is_multiple_of(500) {
            eprintln!("{done} of {seeds} seeds");
        }
    });
    report(&tally.to_json());
    assert!(tally.is_clean(), "{}\n{}", tally.failures.join("\n\n"), tally.to_json());
}

#[test]
fn one_seed_is_one_history() {
    for seed in [3, 4, 5, 1001] {
        let (one, two) = (run(seed), run(seed));
        assert!(one.history.len() > 50, "seed {seed}");
        assert_eq!(one.history, two.history, "seed {seed}");
    }
}

/// So that none of them rots: builds nothing.
#[test]
fn each_rule_still_stands_where_its_mutant_takes_it_away() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for mutant in mutants::MUTANTS {
        assert!(!mutant.rule.is_empty() && !mutant.edits.is_empty(), "{}", mutant.name);
        for edit in mutant.edits {
            let text = fs::read_to_string(root.join(edit.file)).unwrap_or_else(|error| panic!("{}: {error}", edit.file));
            assert_eq!(text.matches(edit.from).count(), 1, "{}: {} in {}", mutant.name, edit.from, edit.file);
        }
    }
}

/// Builds a copy of the project: `scripts/torture --mutants`.
#[test]
#[ignore = "takes minutes"]
fn every_rule_that_is_taken_away_is_missed() {
    let (passes, told) = mutants::run_all();
    report(&told);
    assert!(passes, "{told:#}");
}
