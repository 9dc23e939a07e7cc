//! The torture, which takes a release's word from it, still runs: a few trials of each generation and method, counted on the chain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::process::{Command, Stdio};

use serde_json::Value;

/// Two for each pair of a generation and a method.
const TRIALS: &str = "12";

#[test]
fn a_few_trials_on_each_daemon_lose_no_payout_and_pay_none_twice() {
    // Cargo builds the examples with the tests, into a folder beside them.
    let this = std::env::current_exe().unwrap();
    let torture = this.ancestors().nth(2).unwrap().join("examples").join("torture");
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(&torture)
        .args(["--trials", TRIALS, "--jobs", "2", "--dir"])
        .arg(dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", torture.display()));
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let kept = dir.keep();
        panic!("{said}\n{}\nkept: {}", String::from_utf8_lossy(&output.stderr), kept.display());
    }
    let summary: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(summary["trials"].to_string(), TRIALS, "{summary}");
    assert_eq!((&summary["lost"], &summary["doubled"]), (&Value::from(0), &Value::from(0)), "{summary}");
}
