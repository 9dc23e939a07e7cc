//! A store that is gone, or empty: nothing begins in its place while anything tells of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};
use support::{BURN_ADDRESS, Generation, PATIENCE, Service, World, free_port, wait_for};

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
    is_critical(world, trace.to_str().unwrap());
}

/// To monitoring that is the worst, and the first that is named.
fn is_critical(world: &World, words: &str) {
    let (answer, code) = world.order(&["check"]);
    let first = &answer["checks"][0];
    assert_eq!((code, &first["name"], &first["level"]), (2, &json!("store"), &json!("critical")), "{answer}");
    let output = world.bursar(&["check", "--output", "nagios"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(2) && text.starts_with("BURSAR CRITICAL - store: ") && text.contains(words), "{text}");
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

/// A world with coins, with a service that answers `/healthz`.
fn served() -> World {
    World::with(Generation::Litecoin021, &[("http.listen", &format!("\"127.0.0.1:{}\"", free_port()))])
}

/// With coins in its wallet, one payout taken, and well.
fn runs(world: &World) -> Service<'_> {
    let service = Service::start(world);
    world.fund(&["2", "3.5"]);
    world.done(&["ledger", "sync"]);
    submit(world, "before");
    healthz(&service, 200);
    service
}

fn submit(world: &World, id: &str) {
    world.done(&["pay", "submit", "--id", id, "--address", BURN_ADDRESS, "--amount", "0.25"]);
}

fn healthz(service: &Service<'_>, expected: u16) {
    wait_for(PATIENCE, &format!("/healthz answers {expected}"), || (service.get("/healthz").0 == expected).then_some(()));
}

/// The service takes and sends nothing, and everybody who asks is told why.
fn refuses_while_it_runs(world: &World, service: &Service<'_>, file: &Path) {
    let submit = ["pay", "submit", "--id", "meanwhile", "--address", BURN_ADDRESS, "--amount", "0.25"];
    for verb in VERBS.into_iter().chain([&submit[..], &["audit", "run"], &["backup", "create"]]) {
        let output = world.bursar(&[&["--output", "json"], verb].concat());
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{verb:?}: {output:?}"));
        let code = if verb == ["audit", "run"] { 3 } else { 78 };
        assert_eq!((output.status.code(), &answer["error"]["code"]), (Some(code), &json!("store_missing")), "{verb:?}: {answer}");
        let words = answer["error"]["message"].as_str().unwrap();
        assert!(words.starts_with(file.to_str().unwrap()) && words.contains("the store is gone"), "{words}");
        let next = answer["error"]["next"].as_str().unwrap();
        assert!(next.contains(&format!("/proc/{}/fd", service.pid())) && next.contains("newest backup"), "{next}");
    }
    let (page, words) = service.get("/healthz");
    assert!(page == 503 && words.contains("the store is gone"), "{page} {words}");
    is_critical(world, "the store is gone");
    assert_eq!(world.node_rpc("getrawmempool", json!([])), json!([]), "nothing was paid");
}

#[test]
fn a_store_that_is_moved_away_or_replaced_while_the_service_runs_pays_and_takes_nothing_until_it_is_back() {
    let world = served();
    let service = runs(&world);
    let log = store(&world).with_extension("db-wal");
    for file in [store(&world), log] {
        let aside = world.dir().join("aside");
        fs::rename(&file, &aside).unwrap();
        refuses_while_it_runs(&world, &service, &file);
        assert!(!file.exists(), "none is made");
        fs::copy(&aside, &file).unwrap();
        refuses_while_it_runs(&world, &service, &file);
        fs::rename(&aside, &file).unwrap();
        healthz(&service, 200);
    }
    submit(&world, "after");
    assert_eq!(world.order(&["pay", "show", "meanwhile"]).0["error"]["code"], "unknown_payout");
    let report = world.done(&["pay", "flush"]);
    assert_eq!(report["batches"][0]["payouts"], 2, "{report}");
}

#[test]
fn an_older_store_that_is_copied_over_the_open_one_pays_nobody_twice_while_the_service_runs_nor_after() {
    let world = served();
    runs(&world).stop();
    let (database, older) = (store(&world), world.dir().join("older.db"));
    fs::copy(&database, &older).unwrap();
    let service = Service::start(&world);
    healthz(&service, 200);
    assert_eq!(world.done(&["pay", "flush"])["batches"][0]["payouts"], 1);
    let paid = world.node_rpc("getrawmempool", json!([]));
    let word = database.with_extension("db-overwritten");
    fs::write(&database, fs::read(&older).unwrap()).unwrap(); // as `cp` does

    let refused = |verb: &[&str]| {
        let (answer, code) = world.order(verb);
        let expected = if verb == ["audit", "run"] { 3 } else { 78 };
        assert_eq!((code, &answer["error"]["code"]), (expected, &json!("store_overwritten")), "{verb:?}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().starts_with(database.to_str().unwrap()), "{answer}");
        assert!(answer["error"]["next"].as_str().unwrap().contains("`bursar.db-*`"), "{answer}");
    };
    let submit = ["pay", "submit", "--id", "meanwhile", "--address", BURN_ADDRESS, "--amount", "0.25"];
    for verb in VERBS.into_iter().chain([&submit[..], &["audit", "run"], &["backup", "create"]]) {
        refused(verb);
    }
    healthz(&service, 503);
    is_critical(&world, "another program wrote into the store");
    assert_eq!(world.node_rpc("getrawmempool", json!([])), paid, "nothing more was paid");
    service.stop();
    assert!(word.exists());
    for verb in VERBS.into_iter().chain([&submit[..]]) {
        refused(verb);
    }
    is_critical(&world, "another program wrote into the store");
    assert!(world.bursar(&["backup", "list"]).status.success(), "what it comes back from is shown");

    // The way out: an older store, which knows that it is one.
    for entry in fs::read_dir(database.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.file_name().unwrap().to_str().unwrap().starts_with("bursar.db") {
            fs::rename(&entry, world.dir().join(entry.file_name().unwrap())).unwrap();
        }
    }
    fs::copy(&older, &database).unwrap();
    world.done(&["daemon", "start"]);
    let (flushed, code) = world.order(&["pay", "flush"]);
    assert_ne!(code, 0, "{flushed}");
    assert_eq!(world.node_rpc("getrawmempool", json!([])), paid, "nor was it paid again");
}

#[test]
fn an_older_store_beside_the_log_of_a_service_that_was_killed_is_refused_and_the_right_one_goes_on() {
    let world = served();
    runs(&world).stop();
    let (database, older, right) = (store(&world), world.dir().join("older.db"), world.dir().join("right.db"));
    fs::copy(&database, &older).unwrap();
    let mut service = Service::start(&world);
    healthz(&service, 200);
    assert_eq!(world.done(&["pay", "flush"])["batches"][0]["payouts"], 1);
    world.done(&["daemon", "stop"]);
    service.signal(Signal::KILL);
    service.ended();
    world.done(&["pay", "show", "before"]); // at its end, the log is written into the database
    fs::copy(&database, &right).unwrap();
    let mut service = Service::start(&world);
    healthz(&service, 200);
    submit(&world, "last");
    world.done(&["daemon", "stop"]);
    service.signal(Signal::KILL);
    service.ended();

    let log = database.with_extension("db-wal");
    let left = fs::read(&log).unwrap();
    fs::copy(&older, &database).unwrap();
    for verb in VERBS {
        let (answer, code) = world.order(verb);
        assert_eq!((code, &answer["error"]["code"]), (78, &json!("store_overwritten")), "{verb:?}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("is not its own"), "{answer}");
    }
    assert!(fs::read(&log).unwrap() == left && fs::read(&database).unwrap() == fs::read(&older).unwrap());
    fs::copy(&right, &database).unwrap();
    assert_eq!(world.done(&["pay", "show", "last"])["payout"]["state"], "queued");
    assert_eq!(world.done(&["ledger", "verify"])["fault"], Value::Null);
}

#[test]
fn a_store_that_is_deleted_while_the_service_runs_is_brought_back_from_the_open_files_as_the_next_step_says() {
    let world = served();
    let service = runs(&world);
    let database = store(&world);
    let names = ["bursar.db", "bursar.db-wal"];
    for name in ["bursar.db", "bursar.db-wal", "bursar.db-shm"] {
        fs::remove_file(database.with_file_name(name)).unwrap();
    }
    refuses_while_it_runs(&world, &service, &database);
    let saved = world.dir().join("saved");
    fs::create_dir(&saved).unwrap();
    for name in names {
        let was = format!("{} (deleted)", database.with_file_name(name).display());
        let open = fs::read_dir(format!("/proc/{}/fd", service.pid())).unwrap().map(|entry| entry.unwrap().path());
        let of_name = |file: &PathBuf| fs::read_link(file).is_ok_and(|link| link.to_str() == Some(was.as_str()));
        let open = open.into_iter().find(of_name).unwrap_or_else(|| panic!("{was} is open"));
        fs::copy(open, saved.join(name)).unwrap();
    }
    service.stop();
    assert!(!database.exists(), "nothing is put in its place");
    for name in names {
        fs::rename(saved.join(name), database.with_file_name(name)).unwrap();
    }
    let service = Service::start(&world);
    assert_eq!(world.done(&["pay", "show", "before"])["payout"]["state"], "queued", "what was acknowledged is known");
    assert_eq!(world.done(&["pay", "flush"])["batches"][0]["payouts"], 1);
    assert_eq!(world.done(&["ledger", "verify"])["fault"], Value::Null);
    healthz(&service, 200);
}

#[test]
fn a_store_that_is_malformed_is_named_with_its_way_out_and_the_service_is_not_started_again() {
    let world = begun(&[]);
    let (database, whole) = (store(&world), world.dir().join("whole.db"));
    fs::copy(&database, &whole).unwrap();
    let bytes = fs::read(&whole).unwrap();
    for damaged in [&bytes[..8192], &[b'x'; 9000]] {
        fs::write(&database, damaged).unwrap();
        for verb in VERBS.into_iter().chain([&["run"][..]]) {
            let output = world.bursar(&[&["--output", "json"], verb].concat());
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{verb:?}: {output:?}"));
            assert_eq!(
                (output.status.code(), &answer["error"]["code"]),
                (Some(78), &json!("store_malformed")),
                "{verb:?}: {answer}"
            );
            assert!(answer["error"]["message"].as_str().unwrap().starts_with(database.to_str().unwrap()), "{answer}");
            let next = answer["error"]["next"].as_str().unwrap();
            assert!(next.contains("newest backup") && next.contains("keep them"), "{next}");
        }
        is_critical(&world, database.to_str().unwrap());
        assert!(world.bursar(&["backup", "list"]).status.success(), "what it comes back from is shown");
        assert_eq!(fs::read(&database).unwrap(), damaged, "it is left as it is");
    }
    fs::rename(&whole, &database).unwrap();
    assert_eq!(world.done(&["pay", "show", "one"])["payout"]["state"], "queued");
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
    fs::create_dir(&elsewhere).unwrap();
    world.done(&["ledger", "checkpoint"]);
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
    let books: [&[&str]; 5] = [VERBS[1], VERBS[2], VERBS[3], VERBS[4], &["audit", "history"]];
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
    world.done(&["ledger", "checkpoint"]);
    assert!(store(&world).exists());
    assert_eq!(world.done(&["ledger", "verify"])["fault"], Value::Null);
}
