//! Signed checkpoints as an operator and an auditor use them: with bursar, and without it, with Debian's minisign.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use support::{Generation, Service, World, wait_for};

/// A world whose checkpoints are exported to a folder beside its state, by a service each second.
fn world() -> World {
    let settings = [
        ("ledger.checkpoints_dir", "\"elsewhere\""),
        ("schedule.checkpoint", "\"* * * * * *\""),
        ("ledger.credit_depth", "2"),
        ("ledger.final_depth", "3"),
    ];
    let world = World::with(Generation::Litecoin021, &settings);
    fs::create_dir(world.dir().join("elsewhere")).unwrap();
    world
}

fn checkpoint(world: &World) -> PathBuf {
    world.done(&["ledger", "checkpoint"])["exported"].as_str().expect("a path").into()
}

fn verify(world: &World, file: &Path) -> (Value, i32) {
    world.order(&["ledger", "verify", "--checkpoint", file.to_str().unwrap()])
}

fn minisign(key: &str, file: &Path) -> Output {
    let minisign = Command::new("minisign").args(["-V", "-P", key, "-m"]).arg(file).output();
    minisign.expect("minisign is missing from PATH: scripts/test brings it")
}

#[test]
fn whoever_has_a_checkpoint_and_the_public_key_can_check_it_without_bursar() {
    let world = world();
    let file = checkpoint(&world);
    let key = world.done(&["ledger", "key"])["public_key"].as_str().unwrap().to_owned();
    let output = minisign(&key, &file);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("coin checkpoint 1 of ") && said.contains(", 0 postings"), "{said}");
    let printed = world.bursar(&["ledger", "key"]).stdout;
    assert_eq!(String::from_utf8(printed).unwrap().trim(), key, "as minisign takes it");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"postings\": 0", "\"postings\": 1")).unwrap();
    assert!(!minisign(&key, &file).status.success());
    let (refused, code) = verify(&world, &file);
    assert_eq!(code, 1);
    assert!(refused["error"]["message"].as_str().unwrap().contains("signature"), "{refused}");
}

/// A check and a verification that is given no checkpoints look into the folder by themselves.
fn is_an_older_one(world: &World, late: &Path) {
    let (found, code) = world.order(&["ledger", "verify"]);
    let fault = found["fault"]["words"].as_str().unwrap().to_owned();
    let (report, exit) = world.order(&["check"]);
    let checks = report["checks"].as_array().unwrap();
    let checked = checks.iter().find(|check| check["name"] == "checkpoint").unwrap();
    assert_eq!((code, exit, &checked["level"]), (1, 2, &Value::from("critical")), "{checked}");
    for words in [fault.as_str(), checked["message"].as_str().unwrap()] {
        assert!(
            words.contains(late.to_str().unwrap()) && words.contains("which does not know it: this is an older state"),
            "{words}"
        );
    }
}

fn put_back(copy: &Path, store: &Path) {
    for left in ["bursar.db-wal", "bursar.db-shm"] {
        let _ = fs::remove_file(store.with_file_name(left));
    }
    fs::copy(copy, store).unwrap();
}

#[test]
fn a_store_from_before_a_deposit_was_credited_shows_by_a_checkpoint_from_after_it_though_no_posting_is_missing() {
    let world = world();
    drop(world.start_daemon());
    world.pay_in(&world.new_address(), "8");
    world.mine(1);
    world.done(&["ledger", "sync"]);
    let early = checkpoint(&world);
    let (store, before) = (world.coin().service_dir().join("bursar.db"), world.dir().join("before.db"));
    fs::copy(&store, &before).unwrap();
    world.mine(world.coin().credit_depth);
    let synced = world.done(&["ledger", "sync"]);
    assert_eq!((synced["credited"].as_u64(), synced["posted"].as_u64()), (Some(1), Some(0)), "{synced}");
    let late = checkpoint(&world);
    assert_eq!(verify(&world, &late).1, 0);
    put_back(&before, &store);
    assert_eq!(verify(&world, &early).1, 0);
    is_an_older_one(&world, &late);
    let (found, code) = verify(&world, &late);
    let words = found["fault"]["words"].as_str().unwrap();
    assert!(
        code == 1 && words.contains("saw 1 credit events, and they end with 0: their end was cut off before event 1"),
        "{words}"
    );
}

#[test]
fn a_store_that_was_put_back_to_yesterday_is_whole_by_itself_and_not_by_the_checkpoint_of_today() {
    let world = world();
    drop(world.start_daemon());
    world.fund(&["8"]);
    world.done(&["ledger", "sync"]);
    let early = checkpoint(&world);
    let (store, yesterday) = (world.coin().service_dir().join("bursar.db"), world.dir().join("yesterday.db"));
    fs::copy(&store, &yesterday).unwrap();
    world.fund(&["5"]);
    world.done(&["ledger", "sync"]);
    let late = checkpoint(&world);
    let (whole, code) = verify(&world, &late);
    assert_eq!((code, &whole["fault"], whole["checkpoints"].as_u64()), (0, &Value::Null, Some(3)), "{whole}");
    put_back(&yesterday, &store);
    is_an_older_one(&world, &late);
    assert_eq!(verify(&world, &early).1, 0);
    let (found, code) = verify(&world, &late);
    let words = found["fault"]["words"].as_str().unwrap();
    assert!(code == 1 && words.contains("its end was cut off, or an older ledger was copied into its place"), "{words}");
}

#[test]
fn a_service_exports_checkpoints_by_its_schedule_and_verifies_against_them() {
    let world = world();
    let service = Service::start(&world);
    let exported = || fs::read_dir(world.dir().join("elsewhere")).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let file = wait_for(Duration::from_secs(20), "a checkpoint", || {
        exported().into_iter().find(|path| path.extension().is_some_and(|end| end == "json"))
    });
    let (report, code) = verify(&world, &file);
    assert_eq!((code, &report["fault"]), (0, &Value::Null), "{report}");
    assert!(service.stop().success());
    assert!(
        exported().iter().all(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.')),
        "nothing half done is left"
    );
}

fn level(world: &World) -> (String, String) {
    let (report, _) = world.order(&["check"]);
    let checks = report["checks"].as_array().unwrap().clone();
    let found = checks.into_iter().find(|check| check["name"] == "checkpoint").expect("a check of checkpoints");
    (found["level"].as_str().unwrap().to_owned(), found["message"].as_str().unwrap().to_owned())
}

#[test]
fn a_verification_that_could_not_compare_does_not_pass_for_one_that_did() {
    let world = world();
    checkpoint(&world);
    let whole = world.bursar(&["ledger", "verify"]);
    let words = String::from_utf8(whole.stdout).unwrap();
    assert!(whole.status.success() && words.contains("fits 1 checkpoints of its own and 1 exported or given"), "{words}");
    let (elsewhere, away) = (world.dir().join("elsewhere"), world.dir().join("away"));
    fs::rename(&elsewhere, &away).unwrap();
    let (report, code) = world.order(&["ledger", "verify"]);
    assert_eq!((code, &report["fault"], &report["exported"]), (3, &Value::Null, &Value::from(0)), "{report}");
    assert!(report["next"].as_str().unwrap().starts_with("mount its disk"), "{report}");
    let words = String::from_utf8(world.bursar(&["ledger", "verify"]).stdout).unwrap();
    assert!(words.contains("compared with none that was exported\nNOT COMPARED") && words.contains("\nnext: mount"), "{words}");
    let (level, message) = level(&world);
    assert!(level == "warning" && message.contains("checkpoint 1 was exported and is not there: "), "{message}");
    fs::rename(&away, &elsewhere).unwrap();
    assert_eq!(world.order(&["ledger", "verify"]).1, 0);
}

#[test]
fn a_signing_key_that_was_lost_is_not_replaced_in_silence() {
    let world = world();
    checkpoint(&world);
    let key = world.coin().service_dir().join("signing.key");
    fs::remove_file(&key).unwrap();
    for (verb, expected) in
        [(&["ledger", "verify"][..], 3), (&["ledger", "balance"], 0), (&["ledger", "key"], 1), (&["status"], 0)]
    {
        let (answer, code) = world.order(verb);
        assert!(code == expected && !key.exists(), "{verb:?}: {code} {answer}");
    }
    let made = world.bursar(&["ledger", "checkpoint"]);
    let words = String::from_utf8(made.stderr).unwrap();
    assert!(made.status.success() && words.contains("THE SIGNING KEY WAS GONE"), "{words}");
    checkpoint(&world);
    let (level, message) = level(&world);
    assert!(level == "warning" && message.contains("was signed by another key than"), "{message}");
    assert!(message.contains("; the store fits checkpoint 3 of"), "{message}");
}

#[test]
fn a_folder_that_is_away_is_said_and_checked() {
    let world = world();
    assert_eq!(level(&world), ("warning".to_owned(), "none was exported yet".to_owned()));
    fs::remove_dir(world.dir().join("elsewhere")).unwrap();
    let (failed, code) = world.order(&["ledger", "checkpoint"]);
    assert_eq!((code, &failed["error"]["code"]), (3, &Value::from("checkpoint_not_exported")), "{failed}");
    fs::create_dir(world.dir().join("elsewhere")).unwrap();
    checkpoint(&world);
    let (level, message) = level(&world);
    assert!(level == "ok" && message.contains("the store fits checkpoint 2 of"), "{message}");
    let (refused, code) = world.order(&["ledger", "verify", "--checkpoint", "/nowhere/x.json"]);
    assert_eq!((code, &refused["error"]["code"]), (1, &Value::from("bad_checkpoint")), "{refused}");
}
