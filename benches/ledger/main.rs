//! A ledger of a million postings, by the program as users run it.

#![allow(clippy::print_stdout, reason = "figures go to stdout")]
#![allow(clippy::float_arithmetic, reason = "ratios for people")]
#![allow(clippy::expect_used, reason = "a bench stops at what it did not expect")]

mod audit;
mod books;
mod history;
mod ingest;
#[path = "../../tests/support/mod.rs"]
mod support;
mod verify;

use serde_json::json;

use self::support::{Generation, World};

/// Postings of the ledger.
const POSTINGS: u64 = 1_000_000;
/// What nothing here may exceed.
const MOST_MIB: f64 = 64.0;

/// What a figure has to be.
#[derive(Clone, Copy)]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// Told, and nothing is asked of it.
    None,
}

fn main() {
    ingest::measure();
    let world = World::new(Generation::Litecoin021);
    let head = history::write(&world, POSTINGS);
    verify::measure(&world, &head);
    books::measure(&world);
    audit::measure();
}

/// One figure a line, for machines.
fn figure(name: &str, value: f64, unit: &str, against: &str, goal: Goal) {
    let (bound, met) = match goal {
        Goal::AtLeast(bound) => (Some(bound), Some(value >= bound)),
        Goal::AtMost(bound) => (Some(bound), Some(value <= bound)),
        Goal::None => (None, None),
    };
    let value = (value * 100.0).round() / 100.0;
    println!("{}", json!({"name": name, "value": value, "unit": unit, "against": against, "goal": bound, "met": met}));
}
