//! A store that is gone, or empty: nothing begins in its place while anything tells of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{BURN_ADDRESS, Generation, World};

/// Some that look, some that do.
const VERBS: [&[&str]; 8] = [
    &["status"],
    &["ledger", "balance"],
    &["ledger", "verify"],
    &["ledger", "statement", "--day", "2026-01-01"],
    &["ledger", "key"],
    &["ledger", "sync"],
    &["pay", "flush"],
    &["daemon", "start"],
];

fn store(world: &World) -> PathBuf {
    world.coin().service_dir().join("bursar.db")
}

fn key(world: &World) -> PathBuf {
    world.coin().service_dir().join("signing.key")
}

/// A world with a store that knows one payout, closed.
fn begun(changes: &[(&str, &str)]) -> World {
    let world = World::with(Generation::Litecoin021, changes);
    world.done(&["pay", "submit", "--id", "one", "--address", BURN_ADDRESS, "--amount", "0.1"]);
    assert!(store(&world).exists() && key(&world).exists(), "a key is made with the store");
    world
}

/// Every verb, and the service, refuses, and names this trace; nothing was made.
fn refuses(world: &World, trace: &Path) {
    let before = fs::metadata(store(world)).ok().map(|facts| facts.len());
    let submit = ["pay", "submit", "--id", "one", "--address", BURN_ADDRESS, "--amount", "0.1"];
    for verb in VERBS.into_iter().chain([&submit[..], &["run"]]) {
        let output = world.bursar(&[&["--output", "json"], verb].concat());
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{verb:?}: {output:?}"));
        assert_eq!((output.status.code(), &answer["error"]["code"]), (Some(78), &json!("store_missing")), "{verb:?}: {answer}");
        let words = answer["error"]["message"].as_str().unwrap();
        assert!(words.contains(trace.to_str().unwrap()) && words.contains("No new one was made"), "{words}");
        assert!(answer["error"]["next"].as_str().unwrap().contains("backup"), "{answer}");
        assert_eq!(fs::metadata(store(world)).ok().map(|facts| facts.len()), before, "{verb:?}");
    }
    let (answer, code) = world.order(&["check"]);
    assert_eq!((code, &answer["error"]["code"]), (3, &json!("store_missing")), "{answer}");
}

#[test]
fn a_store_that_is_gone_or_empty_is_refused_by_looks_payouts_and_service_while_its_key_is_there() {
    let world = begun(&[]);
    let (store, aside) = (store(&world), world.dir().join("aside.db"));
    fs::rename(&store, &aside).unwrap();
    refuses(&world, &key(&world));
    let listed = world.bursar(&["backup", "list"]);
    let words = String::from_utf8(listed.stderr).unwrap();
    assert!(listed.status.success() && words.contains("the store is missing"), "what it comes back from is shown: {words}");
    fs::write(&store, "").unwrap();
    refuses(&world, &key(&world));
    fs::rename(&aside, &store).unwrap();
    assert_eq!(world.done(&["pay", "show", "one"])["payout"]["state"], "queued", "back from where it was, it is as before");
}

#[test]
fn a_checkpoint_in_its_folder_tells_of_a_store_too_and_an_empty_ledger_begins_when_all_is_moved_away() {
    let world = begun(&[("ledger.checkpoints_dir", "\"elsewhere\"")]);
    let elsewhere = world.dir().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let exported: PathBuf = world.done(&["ledger", "checkpoint"])["exported"].as_str().unwrap().into();
    fs::remove_file(store(&world)).unwrap();
    fs::remove_file(key(&world)).unwrap();
    refuses(&world, &exported);
    fs::rename(&elsewhere, world.dir().join("away")).unwrap();
    let (answer, code) = world.order(&["ledger", "verify"]);
    assert_eq!((code, &answer["error"]["code"]), (1, &json!("no_store")), "{answer}");
    world.done(&["ledger", "key"]);
    assert_eq!(world.done(&["ledger", "verify"])["postings"], 0);
}

#[test]
fn a_log_of_the_store_without_its_database_is_left_as_it_is() {
    let world = begun(&[]);
    let log = store(&world).with_extension("db-wal");
    fs::remove_file(store(&world)).unwrap();
    fs::remove_file(key(&world)).unwrap();
    fs::write(&log, "what was committed last").unwrap();
    refuses(&world, &log);
    assert_eq!(fs::read(&log).unwrap(), b"what was committed last");
    let next = world.order(&["ledger", "sync"]).0["error"]["next"].as_str().unwrap().to_owned();
    assert!(next.starts_with("move `bursar.db-wal` and `bursar.db-shm` to another folder first"), "{next}");
}

#[test]
fn looking_at_a_coin_that_never_began_makes_nothing_and_says_how_it_begins() {
    let world = World::new(Generation::Litecoin021);
    let books: [&[&str]; 4] = [VERBS[1], VERBS[2], VERBS[3], &["audit", "history"]];
    for verb in books {
        let (answer, code) = world.order(verb);
        assert_eq!((code, &answer["error"]["code"]), (1, &json!("no_store")), "{verb:?}: {answer}");
        assert!(answer["error"]["next"].as_str().unwrap().contains("`bursar run`"), "{answer}");
        assert!(!world.coin().service_dir().exists(), "{verb:?}");
    }
    for verb in [&["status"][..], &["daemon", "status"], &["check"], &["backup", "list"]] {
        let output = world.bursar(verb);
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.contains("there is no store yet: it is made by `bursar run`"), "{verb:?}: {words}");
        assert!(!store(&world).exists() && !key(&world).exists(), "{verb:?}");
    }
    world.done(&["ledger", "key"]);
    assert!(store(&world).exists());
    assert_eq!(world.done(&["ledger", "verify"])["fault"], Value::Null);
}
