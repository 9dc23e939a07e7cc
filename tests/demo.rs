//! The demo, which is the first thing that anybody runs, still runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::process::{Command, Stdio};

use serde_json::Value;
use support::Generation;

#[test]
fn the_demo_runs_to_its_end() {
    // Cargo builds the examples with the tests, into a folder beside them.
    let this = std::env::current_exe().unwrap();
    let demo = this.ancestors().nth(2).unwrap().join("examples").join("demo");
    let output = Command::new(&demo)
        .arg("--json")
        .env("BURSAR_LITECOIND_021", Generation::Litecoin021.program())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", demo.display()));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(summary["schema"], 1, "{summary}");
}
