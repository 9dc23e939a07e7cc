//! Backups through the command line: which archive is meant, and what a failed drill does not undo.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use serde_json::Value;
use support::{Generation, World};

fn run(world: &World, verb: &[&str]) -> (Value, Option<i32>) {
    let output = world.bursar(&[verb, &["--output", "json"]].concat());
    (serde_json::from_slice(&output.stdout).expect("JSON"), output.status.code())
}

#[test]
fn verify_and_drill_take_the_newest_archive_and_a_failed_drill_undoes_no_passed_one() {
    let world = World::new(Generation::Litecoin021);
    world.make_backup_places();
    let _keeper = world.start_daemon();
    assert_eq!(run(&world, &["ledger", "sync"]).1, Some(0));
    let archives: Vec<Value> = (0..2)
        .map(|_| {
            let made = run(&world, &["backup", "create"]).0;
            // Names tell archives apart by the second.
            let second = made["created"].as_i64().expect("a time");
            support::wait_for(std::time::Duration::from_secs(5), "the next second", || {
                (bursar::coin::Timestamp::now().0 > second).then_some(())
            });
            made["archive"].clone()
        })
        .collect();
    let newest = archives[1].as_str().expect("a name");
    for verb in ["verify", "drill"] {
        let (report, exit) = run(&world, &["backup", verb]);
        assert!(report["file"].as_str().is_some_and(|file| file.ends_with(newest)), "{verb} took {report}, not {newest}");
        assert_eq!(exit, Some(0), "{report}");
    }
    let passed = run(&world, &["status"]).0["last_drill_passed"].clone();
    assert!(passed.is_i64(), "{passed}");
    let identity = world.dir().join("identity.txt").display().to_string();
    let (failure, exit) = run(&world, &["backup", "drill", &identity]);
    assert_eq!(exit, Some(1), "{failure}");
    assert_eq!(run(&world, &["status"]).0["last_drill_passed"], passed);
}
