//! A daemon that answers, but not as asked: warming up, busy, refusing the password, talking nonsense, hanging.

use std::fs;
use std::time::Duration;

use bursar::audit;
use bursar::coin::Timestamp;
use bursar::config::RpcRole;
use bursar::daemon::{Limits, RpcError, RpcWallet};
use bursar::ledger::{self, LedgerError};
use bursar::store::Store;
use rustix::process::Signal;
use serde_json::json;

use crate::scene::{Seen, exit_of, run, unchanged};
use crate::support::{BURN_ADDRESS, Fault, Generation, World, signal, wait_for};

/// Orders that need the daemon.
const ORDERS: &[&[&str]] = &[&["ledger", "sync"], &["audit", "run"], &["pay", "flush"], &["backup", "create"]];

/// A world behind a proxy with money, one payout in its queue, and places for backups.
fn ready_to_pay() -> World {
    let world = World::behind_proxy(Generation::Litecoin021);
    world.start_daemon();
    world.fund(&["5"]);
    for place in &world.coin().backup.directories {
        fs::create_dir_all(place).unwrap();
    }
    run(&world, &["ledger", "sync"]).done();
    run(&world, &["pay", "submit", "--id", "p1", "--address", BURN_ADDRESS, "--amount", "1"]).done();
    world
}

/// Outputs of one coin to the payee, on the chain, counted past bursar.
fn paid_on_chain(world: &World) -> usize {
    world.mine(1);
    let found = world.node_rpc("scantxoutset", json!(["start", [format!("addr({BURN_ADDRESS})")]]));
    let unspents = found["unspents"].as_array().unwrap();
    unspents.iter().map(|unspent| unspent["amount"].to_string()).filter(|amount| amount == "1.00000000").count()
}

#[test]
fn a_daemon_that_cannot_answer_now_is_named_and_every_order_can_be_given_again() {
    let world = ready_to_pay();
    let proxy = world.proxy.as_ref().unwrap();
    let rows: [(&str, Fault, i32, &str, &[&str]); 8] = [
        (
            "warming up",
            Fault::Refuse(-28, "Loading wallet...".to_owned()),
            75,
            "warming_up",
            &["Loading wallet...", "try again in a minute"],
        ),
        ("work queue full", Fault::queue_full(), 75, "daemon_busy", &["Work queue depth exceeded", "try again"]),
        ("stopping", Fault::Answer(503, "Request rejected".to_owned()), 75, "daemon_busy", &["HTTP 503", "try again"]),
        ("not allowed", Fault::Answer(403, String::new()), 1, "daemon", &["HTTP 403", "may not call it"]),
        ("hangs up", Fault::DropCall, 75, "daemon_no_answer", &["no answer from the daemon", "bursar status"]),
        ("cut off", Fault::TruncateReply(40), 75, "daemon_no_answer", &["no answer from the daemon", "bursar status"]),
        ("a web page", Fault::Answer(200, "<html>hello</html>".to_owned()), 1, "daemon", &["could not be read", "not JSON-RPC"]),
        (
            "another failure",
            Fault::Refuse(-1, "something is broken".to_owned()),
            1,
            "daemon",
            &["something is broken", "code -1"],
        ),
    ];
    for (name, fault, exit, code, words) in rows {
        proxy.set("*", fault);
        for order in ORDERS {
            let name = format!("{name}: {}", order.join(" "));
            unchanged(&world, &name, || run(&world, order)).fails_with(&name, exit_of(order, exit), code, words);
        }
        let status = run(&world, &["status"]).done();
        assert!(status["daemon_error"].as_str().unwrap().contains(words[0]), "{name}: {status}");
        proxy.clear();
    }
    assert_eq!(paid_on_chain(&world), 0);
    for order in ORDERS {
        run(&world, order).done();
    }
    assert_eq!((proxy.forwarded("sendmany"), paid_on_chain(&world)), (1, 1), "paid once");
}

#[test]
fn a_payout_is_queued_while_the_daemon_warms_up_and_its_address_is_asked_about_later() {
    let world = ready_to_pay();
    let proxy = world.proxy.as_ref().unwrap();
    proxy.set("*", Fault::Refuse(-28, "Verifying blocks...".to_owned()));
    let submitted = run(&world, &["pay", "submit", "--id", "p2", "--address", BURN_ADDRESS, "--amount", "1"]).done();
    assert_eq!((&submitted["new"], &submitted["address_checked"]), (&json!(true), &json!(false)));
    proxy.clear();
    let flushed = run(&world, &["pay", "flush"]).done();
    assert_eq!(flushed["batches"][0]["payouts"], 2, "{flushed}");
}

#[test]
fn a_wrong_password_is_named_with_the_way_to_a_right_one() {
    let world = ready_to_pay();
    let file = |role: RpcRole| world.coin().credentials_file(role);
    let right = RpcRole::ALL.map(|role| fs::read_to_string(file(role)).unwrap());
    for role in RpcRole::ALL {
        fs::write(file(role), format!("{}:not-the-password-not-the-password\n", role.user())).unwrap();
    }
    for order in ORDERS {
        let name = order.join(" ");
        let ran = unchanged(&world, &name, || run(&world, order));
        ran.fails_with(
            &name,
            exit_of(order, 1),
            "rpc_password",
            &["the RPC password is wrong", "bursar daemon restart", "rpc_credentials_file"],
        );
        assert!(!format!("{ran:?}").contains("not-the-password"), "{ran:?}");
    }
    run(&world, &["daemon", "restart"]).done();
    assert!(RpcRole::ALL.iter().zip(right).all(|(role, right)| fs::read_to_string(file(*role)).unwrap() != right));
    for order in ORDERS {
        run(&world, order).done();
    }
}

#[test]
fn a_lost_answer_to_the_payment_itself_leaves_it_in_doubt_and_it_is_paid_once() {
    let world = ready_to_pay();
    let proxy = world.proxy.as_ref().unwrap();
    proxy.once("sendmany", Fault::DropReply);
    let flushed = run(&world, &["pay", "flush"]);
    assert_eq!(run(&world, &["pay", "show", "p1"]).done()["payout"]["state"], "in_doubt", "{flushed:?}");
    let refused = unchanged(&world, "cancel in doubt", || run(&world, &["pay", "cancel", "p1", "--yes"]));
    refused.fails_with("cancel in doubt", 1, "not_now", &["p1", "in_doubt"]);
    run(&world, &["pay", "resolve", "--yes"]).done();
    assert_eq!(run(&world, &["pay", "show", "p1"]).done()["payout"]["state"], "sent");
    assert_eq!(proxy.forwarded("sendmany"), 1);
}

#[test]
fn a_daemon_that_hangs_is_reported_and_left_running() {
    let mut world = World::new(Generation::Litecoin021);
    world.start_daemon();
    run(&world, &["ledger", "sync"]).done();
    for limit in ["start_timeout_s", "stop_timeout_s"] {
        world.edit_settings(&format!("{limit} = 60"), &format!("{limit} = 1"));
    }
    let pid = world.daemon_pid().unwrap();
    signal(pid, Signal::STOP);
    let waits = run(&world, &["daemon", "start"]);
    waits.fails_with("start", 75, "daemon_not_ready", &[&format!("pid {pid}"), "left running"]);
    let ran = unchanged(&world, "stop", || run(&world, &["daemon", "stop"]));
    ran.fails_with("stop", 75, "daemon_still_runs", &[&format!("pid {pid}"), "not killed", "debug.log", "stop_timeout_s"]);
    signal(pid, Signal::CONT);
    wait_for(Duration::from_secs(60), "the exit that was ordered", || world.daemon_pid().is_none().then_some(()));
    run(&world, &["daemon", "stop"]).done();
}

/// The same at the level of the library, where deadlines can be short.
#[test]
fn a_daemon_that_hangs_in_the_middle_costs_nothing_but_time() {
    let world = World::new(Generation::Litecoin021);
    world.start_daemon();
    world.fund(&["5"]);
    let mut store = Store::open(&world.coin().service_dir()).unwrap();
    let limits = Limits { deadline: Some(Duration::from_millis(300)), ..Limits::default() };
    let wallet = RpcWallet::connect_with(world.coin(), limits).unwrap();
    let pid = world.daemon_pid().unwrap();
    signal(pid, Signal::STOP);
    let before = Seen::now(&world);
    let synced = ledger::sync(&mut store, &wallet, world.coin(), Timestamp::now());
    assert!(matches!(synced, Err(LedgerError::Rpc(RpcError::Lost { .. }))), "{synced:?}");
    let audited = audit::run(&mut store, &wallet, world.coin(), Timestamp::now());
    assert!(audited.is_err(), "{audited:?}");
    assert_eq!(Seen::now(&world), before);
    signal(pid, Signal::CONT);
    let synced = ledger::sync(&mut store, &world.wallet(), world.coin(), Timestamp::now()).unwrap();
    assert!(synced.posted > 0, "{synced:?}");
}
