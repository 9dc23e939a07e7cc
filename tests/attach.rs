//! A daemon that somebody else runs: everything but starts and stops, a clear word where a step needs one of those, and nothing is ever
//! written into its folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bursar::config::RpcRole;
use bursar::keeper::wallet_dir;
use serde_json::{Value, json};
use support::{BURN_ADDRESS, Fault, FaultProxy, Generation, World};

/// Its owner's daemon, which knows nothing of bursar but a password; and our view of it, through a proxy.
fn attached(generation: Generation, with_folder: bool) -> (World, World) {
    let owner = World::new(generation);
    owner.start_daemon();
    let credentials = format!("\"{}\"", owner.coin().credentials_file(RpcRole::Admin).display());
    let folder = format!("\"{}\"", owner.coin().daemon_dir().display());
    let mut changes = vec![("daemon.mode", "\"attach\""), ("daemon.rpc_credentials_file", credentials.as_str())];
    if with_folder {
        changes.push(("daemon.data_dir", &folder));
    }
    let upstream = owner.coin().daemon.rpc_connect;
    let ours = World::behind(generation, &changes, |_| FaultProxy::start(upstream));
    (owner, ours)
}

/// Files of the owner that are no daemon's, and when they were written.
fn not_the_daemons(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let files = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let bursars = files.filter(|path| path.is_file() && path.extension().is_none_or(|extension| extension != "log"));
    bursars.map(|path| (path.clone(), path.metadata().unwrap().modified().unwrap())).collect()
}

fn entry(world: &World, name: &str) -> Value {
    let (report, _) = world.order(&["check"]);
    report["checks"].as_array().unwrap().iter().find(|checked| checked["name"] == name).unwrap().clone()
}

#[test]
fn an_attached_daemon_has_everything_but_starts_and_stops() {
    for (generation, with_folder) in
        [(Generation::Litecoin018, false), (Generation::Litecoin021, true), (Generation::Knots, true)]
    {
        let (owner, world) = attached(generation, with_folder);
        let before = not_the_daemons(&owner.coin().daemon_dir());
        owner.fund(&["1", "2"]);
        world.done(&["ledger", "sync"]);
        world.done(&["pay", "submit", "--id", "a", "--address", BURN_ADDRESS, "--amount", "0.5"]);
        assert_eq!(world.done(&["pay", "flush"])["batches"][0]["state"], "sent");
        world.done(&["audit", "run"]);
        world.make_backup_places();
        world.done(&["backup", "create"]);
        for name in ["daemon", "wallet", "staking", "disk", "ledger", "audit", "backup", "payouts", "permissions"] {
            let found = entry(&world, name);
            assert_eq!(found["level"], "ok", "{generation:?}: {found}");
        }
        for name in ["keeper", "conf"] {
            assert!(entry(&world, name)["message"].as_str().unwrap().starts_with("attached:"));
        }
        let status = world.done(&["status"]);
        assert_eq!((&status["process"], &status["health"]), (&json!("attached"), &json!([])), "{status}");
        for order in [&["daemon", "stop"][..], &["daemon", "start"], &["repair", "run", "--yes"]] {
            let (refusal, code) = world.order(order);
            let message = refusal["error"]["message"].as_str().unwrap();
            assert!(code == 1 && message.contains("attached"), "{order:?}: {refusal}");
        }
        assert_eq!(not_the_daemons(&owner.coin().daemon_dir()), before, "{generation:?}: nothing is written there");
    }
}

#[test]
fn a_folder_that_cannot_be_read_is_told() {
    let (owner, mut world) = attached(Generation::Knots, true);
    let nowhere = owner.dir().join("nowhere").display().to_string();
    world.edit_settings(&owner.coin().daemon_dir().display().to_string(), &nowhere);
    assert!(world.coin().daemon_dir().ends_with("nowhere"));
    let found = entry(&world, "conf");
    assert_eq!(found["level"], "warning", "{found}");
    assert!(found["message"].as_str().unwrap().contains("nowhere"));
}

/// A payment whose answer is lost before the daemon sees it, and the restart by its owner that makes an end of the doubt.
fn resolved_after_a_lost_call(with_folder: bool) -> Value {
    let (owner, world) = attached(Generation::Litecoin018, with_folder);
    owner.fund(&["1"]);
    world.done(&["ledger", "sync"]);
    world.done(&["pay", "submit", "--id", "a", "--address", BURN_ADDRESS, "--amount", "0.5"]);
    world.proxy.as_ref().unwrap().once("sendmany", Fault::DropCall);
    world.order(&["pay", "flush"]);
    let (asked, code) = world.order(&["pay", "resolve", "--yes"]);
    assert_ne!(code, 0);
    assert!(asked.to_string().contains("restart"), "{asked}");
    owner.node_rpc("gettxoutsetinfo", json!([]));
    let mut keeper = owner.keeper();
    keeper.stop().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2)); // uptimes and times of doubt are whole seconds, each
    keeper.start(&[]).unwrap();
    world.order(&["pay", "resolve", "--restarted", "--yes"]).0["batches"][0]["resolution"].clone()
}

#[test]
fn a_doubt_ends_where_the_log_can_be_read_and_is_disputed_where_not() {
    let with = resolved_after_a_lost_call(true);
    assert!(with.to_string().contains("not_sent"), "{with}");
    let without = resolved_after_a_lost_call(false);
    assert!(without.to_string().contains("disputed") && without.to_string().contains("cannot be read"), "{without}");
}

#[test]
fn a_stranger_that_restarts_it_on_another_wallet_is_noticed() {
    let (owner, world) = attached(Generation::Litecoin018, false);
    owner.fund(&["1"]);
    world.done(&["ledger", "sync"]);
    let old = owner.dir().join("old.dat");
    owner.rpc("backupwallet", json!([old.display().to_string()]));
    for _ in 0..5 {
        owner.new_address();
    }
    let service = support::Service::start(&world);
    world.done(&["audit", "run"]);
    let mut keeper = owner.keeper();
    keeper.stop().unwrap();
    fs::copy(&old, wallet_dir(owner.coin()).join("wallet.dat")).unwrap();
    // The uptime is counted in seconds, with some to spare.
    std::thread::sleep(std::time::Duration::from_secs(6));
    keeper.start(&[]).unwrap();
    world.done(&["pay", "submit", "--id", "a", "--address", BURN_ADDRESS, "--amount", "0.5"]);
    let (refusal, code) = world.order(&["pay", "flush"]);
    assert_eq!((code, &refusal["error"]["code"]), (10, &json!("frozen")), "{refusal}");
    assert_eq!(world.done(&["status"])["frozen"][0]["freeze"]["cause"], "shrunk_wallet");
    drop(service);
}

#[test]
fn another_version_under_our_feet_is_asked_anew_what_it_can_do() {
    let (mut owner, world) = attached(Generation::Litecoin018, false);
    owner.fund(&["1"]);
    let service = support::Service::start(&world);
    let pay = |id: &str| {
        world.done(&["pay", "submit", "--id", id, "--address", BURN_ADDRESS, "--amount", "0.1"]);
        world.done(&["pay", "flush"])["batches"][0]["state"].clone()
    };
    assert_eq!(pay("old"), "sent");
    let balance = |world: &World| world.done(&["daemon", "status"])["abilities"]["balance"].clone();
    assert_eq!(balance(&world), "getwalletinfo");
    owner.keeper().stop().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(6));
    let programs =
        [Generation::Litecoin018, Generation::Litecoin021].map(|generation| generation.program().display().to_string());
    owner.edit_settings(&programs[0], &programs[1]);
    owner.keeper().start(&[]).unwrap();
    assert_eq!(pay("new"), "sent");
    assert_eq!(balance(&world), "getbalances");
    assert_eq!(world.done(&["status"])["frozen"], json!([]));
    drop(service);
}
