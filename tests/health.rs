//! Whether daemon, wallet and disks are well, on real daemons: a wallet that shrank pays nobody, and a daemon that hangs keeps nobody waiting.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use bursar::keeper::wallet_dir;
use rustix::process::Signal;
use serde_json::{Value, json};
use support::{BURN_ADDRESS, Fault, Generation, Service, World, free_port, wait_for};

/// Whoever looks at a daemon that hangs has an answer within this, and not after the half minute of an ordinary call.
const SECONDS: Duration = Duration::from_secs(25);

fn causes(world: &World) -> Vec<String> {
    let status = world.done(&["status"]);
    status["frozen"].as_array().unwrap().iter().map(|frozen| frozen["freeze"]["cause"].as_str().unwrap().to_owned()).collect()
}

fn conditions(status: &Value) -> Vec<&str> {
    status["health"].as_array().unwrap().iter().map(|condition| condition["kind"].as_str().unwrap()).collect()
}

fn pay(world: &World, id: &str) {
    world.done(&["pay", "submit", "--id", id, "--address", BURN_ADDRESS, "--amount", "0.1"]);
}

#[track_caller]
fn refuses_to_pay(world: &World) {
    let (refusal, code) = world.order(&["pay", "flush"]);
    assert_eq!(code, 10, "{refusal}");
}

/// The answer to a verb, which must come within [`SECONDS`].
fn soon(world: &World, args: &[&str]) -> Value {
    let mut child = world.bursar_command(&[&["--output", "json"], args].concat()).stdout(Stdio::piped()).spawn().unwrap();
    wait_for(SECONDS, "an answer about a daemon that hangs", || child.try_wait().unwrap());
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn a_daemon_that_hangs_keeps_nobody_waiting() {
    for generation in Generation::ALL {
        let listen = format!("\"127.0.0.1:{}\"", free_port());
        let world = World::with(generation, &[("http.listen", &listen)]);
        let service = Service::start(&world);
        let daemon = world.daemon_process();
        daemon.signal(Signal::STOP);
        for args in [&["status"], &["check"]] {
            let answer = soon(&world, args);
            let text = answer.to_string();
            assert!(text.contains("gives no answer"), "{generation:?}: {text}");
        }
        // An order that waits for the daemon keeps nobody from looking.
        let mut audit = world.bursar_command(&["audit", "run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let busy = wait_for(SECONDS, "the audit holds the service", || {
            let status = soon(&world, &["status"]);
            (status["busy_with"] == "audit_run").then_some(status)
        });
        assert_eq!(busy["coin"], "coin");
        let unknown = soon(&world, &["check"]);
        assert_eq!(unknown["checks"][0]["level"], "unknown", "{generation:?}: {unknown}");
        daemon.signal(Signal::CONT);
        audit.wait().unwrap();
        wait_for(support::PATIENCE, "it answers again", || (conditions(&world.done(&["status"])) == [""; 0]).then_some(()));
        drop(service);
    }
}

#[test]
fn a_daemon_that_is_starting_is_told_in_its_own_words() {
    let world = World::behind_proxy(Generation::Knots);
    world.start_daemon();
    world.done(&["ledger", "sync"]);
    world.proxy.as_ref().unwrap().set("*", Fault::Refuse(-28, "Loading wallet...".to_owned()));
    let status = world.done(&["status"]);
    assert_eq!(conditions(&status), ["warming_up"], "{status}");
    assert!(status["health"][0]["words"].as_str().unwrap().contains("Loading wallet..."));
    let (refusal, code) = world.order(&["ledger", "sync"]);
    assert_eq!((code, &refusal["error"]["code"]), (75, &json!("warming_up")), "{refusal}");
    world.proxy.as_ref().unwrap().clear();
    assert_eq!(conditions(&world.done(&["status"])), [""; 0]);
}

/// The STAND-IN for the generation with `getinfo`: what it does not say is not wrong.
#[test]
fn a_daemon_of_the_oldest_generation_is_well_too() {
    let world = World::getinfo_standin();
    world.start_daemon();
    world.fund(&["1"]);
    world.done(&["ledger", "sync"]);
    pay(&world, "one");
    assert_eq!(world.done(&["pay", "flush"])["batches"][0]["state"], "sent");
    let status = world.done(&["status"]);
    assert_eq!((conditions(&status), &status["frozen"]), (vec![], &json!([])), "{status}");
    let (report, _) = world.order(&["check"]);
    let unwell = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|checked| checked["level"] == "critical" || checked["level"] == "unknown");
    assert_eq!(unwell.count(), 0, "{report}");
}

#[test]
fn a_locked_wallet_is_only_a_remark() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        world.start_daemon();
        world.rpc("encryptwallet", json!(["secret"]));
        let status = world.done(&["status"]);
        assert_eq!(conditions(&status), ["wallet_locked"], "{generation:?}");
        assert_eq!(status["health"][0]["severity"], "remark");
    }
}

#[test]
fn payouts_stop_before_the_disk_is_full_and_go_on_by_themselves() {
    let mut world = World::with(Generation::Litecoin018, &[("health.min_free_mib", "10_000_000")]);
    world.start_daemon();
    world.done(&["ledger", "sync"]);
    assert_eq!(causes(&world), ["disk"]);
    world.fund(&["1"]);
    pay(&world, "one");
    refuses_to_pay(&world);
    let status = world.done(&["status"]);
    assert_eq!(conditions(&status), ["disk_space", "disk_space"]);
    assert_eq!(status["health"][0]["severity"], "critical");
    world.edit_settings("min_free_mib = 10000000", "min_free_mib = 64");
    world.done(&["ledger", "sync"]);
    assert_eq!(causes(&world), [""; 0]);
    assert_eq!(world.done(&["pay", "flush"])["batches"][0]["state"], "sent");
}

/// A wallet with money, payments and addresses, followed by the ledger.
fn busy_world(generation: Generation, wallet: &str) -> World {
    let world = World::with(generation, &[("wallet.name", &format!("\"{wallet}\""))]);
    world.start_daemon();
    world.fund(&["1", "1.5", "2"]);
    world.done(&["ledger", "sync"]);
    for _ in 0..5 {
        world.new_address();
    }
    pay(&world, "first");
    world.done(&["pay", "flush"]);
    world.mine(1);
    world.done(&["audit", "run"]);
    world.node_rpc("gettxoutsetinfo", json!([])); // has the chain written to disk
    world
}

#[test]
fn a_healthy_restart_under_traffic_raises_nothing() {
    for generation in Generation::ALL {
        let world = busy_world(generation, "bursar");
        for round in 0..3 {
            pay(&world, &format!("round-{round}"));
            let address = world.new_address();
            world.pay_in(&address, "0.3");
            match round {
                0 => world.kill_daemon(),
                _ => _ = world.done(&["daemon", "stop"]),
            }
            world.done(&["daemon", "start"]);
            world.mine(1);
            world.done(&["pay", "flush"]);
            world.done(&["ledger", "sync"]);
            world.done(&["audit", "run"]);
            assert_eq!(causes(&world), [""; 0], "{generation:?}, round {round}");
        }
        // Searching the chain again, and the restart that older daemons do it by, take nothing away.
        world.rpc("rescanblockchain", json!([]));
        if generation == Generation::Litecoin018 {
            world.done(&["daemon", "restart", "--with", "-zapwallettxes"]);
        }
        world.done(&["daemon", "restart"]);
        world.done(&["audit", "run"]);
        assert_eq!(causes(&world), [""; 0], "{generation:?}");
        let (report, _) = world.order(&["check"]);
        let wallet = report["checks"].as_array().unwrap().iter().find(|checked| checked["name"] == "wallet").unwrap();
        assert_eq!(wallet["level"], "ok", "{generation:?}: {wallet}");
    }
}

#[test]
fn crashes_under_traffic_raise_nothing() {
    for generation in Generation::ALL {
        let each_second = "\"* * * * * *\"";
        let world = World::with(generation, &[("schedule.sync", each_second), ("schedule.flush", each_second)]);
        let service = Service::start(&world);
        world.fund(&["1", "2", "3"]);
        for round in 0..3 {
            for payment in 0..5 {
                pay(&world, &format!("{round}-{payment}"));
                let address = world.new_address();
                world.pay_in(&address, "0.01");
            }
            world.mine(1);
            world.node_rpc("gettxoutsetinfo", json!([])); // has the chain written to disk
            let daemon = world.daemon_process();
            world.kill_daemon();
            wait_for(support::PATIENCE, "the service starts it again", || {
                let status = world.done(&["status"]);
                (daemon.has_ended() && status["daemon_error"].is_null()).then_some(())
            });
            world.done(&["ledger", "sync"]);
            assert_eq!(causes(&world), [""; 0], "{generation:?}, round {round}");
        }
        world.mine(1);
        world.done(&["audit", "run"]);
        assert_eq!(causes(&world), [""; 0], "{generation:?}");
        drop(service);
    }
}

#[test]
fn a_default_wallet_that_was_deleted_is_another_one_and_pays_nobody() {
    let world = busy_world(Generation::Litecoin018, "");
    world.done(&["daemon", "stop"]);
    let file = wallet_dir(world.coin()).join("wallet.dat");
    let away = world.dir().join("away.dat");
    fs::rename(&file, &away).unwrap();
    world.done(&["daemon", "start"]);
    assert!(file.exists(), "0.18 makes a new one in silence");
    pay(&world, "second");
    refuses_to_pay(&world);
    assert_eq!(causes(&world), ["wallet"]);

    world.done(&["daemon", "stop"]);
    fs::rename(&away, &file).unwrap();
    world.done(&["daemon", "start"]);
    world.done(&["ledger", "sync"]);
    assert_eq!(causes(&world), [""; 0], "the right one is back");
    assert_eq!(world.done(&["pay", "flush"])["batches"][0]["state"], "sent");
}

#[test]
fn a_named_wallet_that_was_deleted_is_missing_and_is_not_made_anew() {
    let world = busy_world(Generation::Litecoin018, "bursar");
    world.done(&["daemon", "stop"]);
    let file = wallet_dir(world.coin()).join("wallet.dat");
    let away = world.dir().join("away.dat");
    fs::rename(&file, &away).unwrap();
    let (refusal, code) = world.order(&["daemon", "start"]);
    assert_eq!((code, &refusal["error"]["code"]), (1, &json!("wallet_missing")), "{refusal}");
    assert!(!file.exists());
    let status = world.done(&["status"]);
    assert!(conditions(&status).contains(&"wallet_missing"), "{status}");
    pay(&world, "second");
    let (refusal, code) = world.order(&["pay", "flush"]);
    assert_ne!(code, 0, "{refusal}");
    assert_eq!(world.order(&["check"]).1, 2);

    world.done(&["daemon", "stop"]);
    fs::rename(&away, &file).unwrap();
    world.done(&["daemon", "start"]);
    assert_eq!(world.done(&["pay", "flush"])["batches"][0]["state"], "sent");
}

#[test]
fn an_older_copy_of_the_wallet_pays_nobody_until_a_person_takes_it() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        world.start_daemon();
        world.fund(&["1"]);
        world.done(&["ledger", "sync"]);
        let old = world.dir().join("old.dat");
        world.rpc("backupwallet", json!([old.display().to_string()]));
        for _ in 0..5 {
            world.new_address();
        }
        world.done(&["audit", "run"]);
        world.done(&["daemon", "stop"]);
        let file = wallet_dir(world.coin()).join("wallet.dat");
        fs::copy(&old, &file).unwrap();
        world.done(&["daemon", "start"]);
        pay(&world, "one");
        refuses_to_pay(&world);
        assert_eq!(causes(&world), ["shrunk_wallet"], "{generation:?}");
        let status = world.done(&["status"]);
        let detail = status["frozen"][0]["freeze"]["detail"].as_str().unwrap();
        assert!(detail.contains("addresses, and had"), "{detail}");
        // An audit cannot tell: no money is missing.
        world.order(&["audit", "run"]);
        assert_eq!(causes(&world), ["shrunk_wallet"], "{generation:?}");
        let id = world.done(&["status"])["frozen"][0]["id"].to_string();
        world.done(&["audit", "thaw", &id, "--reason", "we restored it", "--yes"]);
        assert_eq!(world.done(&["pay", "flush"])["batches"][0]["state"], "sent");
        world.done(&["daemon", "restart"]);
        world.done(&["ledger", "sync"]);
        assert_eq!(causes(&world), [""; 0], "{generation:?}: the new numbers are the record");
    }
}

/// Has the daemon salvage its whole wallet. Now and then it ends in silence over that (exit code 1), as over a damaged one: then again, from
/// the same file.
fn salvage(world: &World) {
    let file = wallet_dir(world.coin()).join("wallet.dat");
    let whole = fs::read(&file).unwrap();
    for _ in 0..5 {
        let (answer, code) = world.order(&["daemon", "start", "--with", "-salvagewallet"]);
        if code == 0 {
            return;
        }
        assert!(answer["error"]["message"].as_str().unwrap().contains("replaced it by a partial one"), "{answer}");
        fs::write(&file, &whole).unwrap();
        world.keeper().trust_wallet().unwrap();
    }
    panic!("the daemon salvages nothing");
}

#[test]
fn a_wallet_that_was_salvaged_in_part_pays_nobody_and_a_repair_takes_it_as_it_is() {
    let world = busy_world(Generation::Litecoin018, "bursar");
    world.done(&["daemon", "stop"]);
    salvage(&world);
    world.order(&["ledger", "sync"]);
    let frozen = causes(&world);
    assert!(frozen.contains(&"shrunk_wallet".to_owned()), "{frozen:?}");
    pay(&world, "second");
    refuses_to_pay(&world);
    let (report, _) = world.order(&["repair", "run", "--yes"]);
    assert_eq!(report["agrees"], true, "{report}");
    assert_eq!(causes(&world), [""; 0]);
}

#[test]
fn a_transaction_that_was_taken_out_of_the_wallet_freezes_until_a_person_says_why() {
    let world = busy_world(Generation::Litecoin021, "bursar");
    let first = world.rpc("listtransactions", json!(["*", 10]))[0]["txid"].clone();
    world.rpc("removeprunedfunds", json!([first]));
    world.done(&["daemon", "restart"]);
    world.order(&["ledger", "sync"]);
    assert_eq!(causes(&world), ["shrunk_wallet"]);
    let status = world.done(&["status"]);
    assert!(status["frozen"][0]["freeze"]["detail"].as_str().unwrap().contains("transactions, and had"), "{status}");
    // The search brings it back, and with it the proof.
    world.rpc("rescanblockchain", json!([]));
    world.done(&["daemon", "restart"]);
    world.done(&["ledger", "sync"]);
    assert_eq!(causes(&world), [""; 0]);
}

#[test]
fn a_start_behind_the_back_of_the_service_is_noticed() {
    let world = busy_world(Generation::Litecoin018, "bursar");
    let old = world.dir().join("old.dat");
    world.rpc("backupwallet", json!([old.display().to_string()]));
    for _ in 0..5 {
        world.new_address();
    }
    let service = Service::start(&world);
    world.done(&["audit", "run"]);
    let file = wallet_dir(world.coin()).join("wallet.dat");
    // The service finds the daemon dead and starts it again; by then the file is another.
    let mut stranger = world.keeper();
    stranger.stop().unwrap();
    fs::copy(&old, &file).unwrap();
    wait_for(support::PATIENCE, "the service notices", || {
        world.order(&["ledger", "sync"]);
        causes(&world).contains(&"shrunk_wallet".to_owned()).then_some(())
    });
    pay(&world, "second");
    refuses_to_pay(&world);
    drop(service);
}
