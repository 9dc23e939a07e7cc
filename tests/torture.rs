//! The torture, which takes a release's word from it, still runs: a few trials of each generation and method, counted on the chain, and a few
//! audits under traffic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::process::{Command, Stdio};

use serde_json::Value;

/// Two for each pair of a generation and a method.
const TRIALS: &str = "12";

/// On each daemon.
const AUDITS: &str = "20";

fn torture() -> Command {
    // Cargo builds the examples with the tests, into a folder beside them.
    let this = std::env::current_exe().unwrap();
    let mut command = Command::new(this.ancestors().nth(2).unwrap().join("examples").join("torture"));
    command.stdin(Stdio::null());
    command
}

fn summary(said: &str) -> Value {
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

#[test]
fn a_few_audits_under_constant_traffic_raise_no_alarm() {
    let output = torture().args(["--audits", AUDITS, "--seed", "7"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let summary = summary(&said);
    assert_eq!((summary["false_alarms"].as_u64(), summary["audits"].as_u64()), (Some(0), Some(60)), "{summary}");
}

#[test]
fn a_few_trials_on_each_daemon_lose_no_payout_and_pay_none_twice() {
    let dir = tempfile::tempdir().unwrap();
    let output = torture().args(["--trials", TRIALS, "--jobs", "2", "--dir"]).arg(dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let kept = dir.keep();
        panic!("{said}\n{}\nkept: {}", String::from_utf8_lossy(&output.stderr), kept.display());
    }
    let summary = summary(&said);
    assert_eq!(summary["trials"].to_string(), TRIALS, "{summary}");
    assert_eq!((&summary["lost"], &summary["doubled"]), (&Value::from(0), &Value::from(0)), "{summary}");
}
