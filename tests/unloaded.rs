//! The paying wallet is unloaded at a daemon that runs: the next order loads it again, or says what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::fs;

use bursar::service::{self, Order, WithoutStore};
use serde_json::{Value, json};
use support::{Generation, Service, World};

fn unload(world: &World) {
    world.node_rpc("unloadwallet", json!(["bursar"]));
    let loaded = world.node_rpc("listwallets", json!([]));
    assert!(!loaded.as_array().unwrap().contains(&json!("bursar")), "{loaded}");
}

fn submit(world: &World, id: &str) {
    world.done(&["pay", "submit", "--id", id, "--address", &world.outside_address(), "--amount", "0.25"]);
}

fn state_of(world: &World, id: &str) -> Value {
    world.done(&["pay", "show", id])["payout"]["state"].clone()
}

#[test]
fn each_order_loads_the_paying_wallet_that_was_unloaded() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let service = Service::start(&world);
        world.fund(&["2", "3.5"]);
        world.done(&["ledger", "sync"]);

        unload(&world);
        assert_eq!(world.done(&["audit", "run"])["verdict"], "agrees", "{generation:?}");
        unload(&world);
        let (check, _) = world.order(&["check"]);
        let named = check["checks"]
            .as_array()
            .unwrap()
            .iter()
            .any(|check| check["next"].as_str() == Some("the next sync loads it: `bursar ledger sync`"));
        assert!(named, "{generation:?}: {check:#}");
        world.done(&["ledger", "sync"]);
        assert_eq!(world.done(&["status"])["daemon_error"], Value::Null, "{generation:?}");

        // With no wallet loaded at all, what is queued is paid, once.
        submit(&world, "one");
        let loaded = world.node_rpc("listwallets", json!([]));
        for name in loaded.as_array().unwrap() {
            world.node_rpc("unloadwallet", json!([name]));
        }
        assert_eq!(world.node_rpc("listwallets", json!([])), json!([]), "{generation:?}");
        let flushed = world.done(&["pay", "flush"]);
        assert_eq!(flushed["batches"].as_array().unwrap().len(), 1, "{generation:?}: {flushed:#}");
        assert_eq!(state_of(&world, "one"), "sent", "{generation:?}");
        world.done(&["pay", "flush"]);
        unload(&world);
        world.done(&["pay", "resolve", "--yes"]);
        for name in loaded.as_array().unwrap().iter().filter(|name| *name != "bursar") {
            world.node_rpc("loadwallet", json!([name]));
        }
        world.mine(1);
        assert_eq!(world.done(&["audit", "run"])["verdict"], "agrees", "{generation:?}");
        assert_eq!(world.done(&["status"])["frozen"], json!([]), "{generation:?}");
        assert_eq!(service.stop().code(), Some(0));
    }
}

#[test]
fn an_order_for_a_wallet_whose_file_is_gone_says_what_to_do() {
    for generation in [Generation::Litecoin021, Generation::Knots] {
        let world = World::new(generation);
        let _service = Service::start(&world);
        world.fund(&["2"]);
        world.done(&["ledger", "sync"]);
        submit(&world, "one");
        unload(&world);
        let (folder, away) = (bursar::keeper::wallet_dir(world.coin()), world.dir().join("away"));
        fs::rename(&folder, &away).unwrap();
        for order in [&["ledger", "sync"][..], &["audit", "run"], &["pay", "flush"], &["backup", "create"]] {
            let (refused, code) = world.order(order);
            let (words, next) = (refused["error"]["message"].to_string(), refused["error"]["next"].to_string());
            assert_ne!(code, 0, "{generation:?} {order:?}: {refused:#}");
            assert!(words.contains("wallet 'bursar' is not loaded"), "{generation:?} {order:?}: {words}");
            assert!(next.contains("bring the wallet's files back") && next.contains("bursar backup list"), "{next}");
        }
        assert_eq!(state_of(&world, "one"), "queued", "{generation:?}");
        // Without a restart: they are back, and the next order loads them.
        if folder.exists() {
            fs::rename(&folder, world.dir().join("rest")).unwrap();
        }
        fs::rename(&away, &folder).unwrap();
        world.done(&["pay", "flush"]);
        assert_eq!(state_of(&world, "one"), "sent", "{generation:?}");
        assert_eq!(world.done(&["audit", "run"])["verdict"], "agrees", "{generation:?}");
    }
}

/// Other files of the same name, loaded in place of the unloaded ones: nothing is sent from them.
#[test]
fn a_wallet_that_was_loaded_again_is_compared_before_anything_is_sent() {
    let world = World::new(Generation::Knots);
    let _service = Service::start(&world);
    world.fund(&["2"]);
    world.done(&["audit", "run"]);
    submit(&world, "one");
    unload(&world);
    let folder = bursar::keeper::wallet_dir(world.coin());
    fs::rename(&folder, world.dir().join("away")).unwrap();
    world.node_rpc("createwallet", json!(["bursar"]));
    unload(&world);
    let (refused, code) = world.order(&["pay", "flush"]);
    assert_ne!(code, 0, "{refused:#}");
    assert_eq!(state_of(&world, "one"), "queued");
    assert_ne!(world.done(&["status"])["frozen"], json!([]), "{refused:#}");
}

/// The same without a process around it.
#[test]
fn an_open_world_loads_the_wallet_before_its_next_order() {
    let world = World::new(Generation::Litecoin021);
    let _keeper = world.start_daemon();
    let mut open = service::World::open(&world.settings, world.coin(), WithoutStore::Begin).unwrap();
    for order in [Order::LedgerSync, Order::AuditRun { deep: false }, Order::PayFlush { dry_run: false, scheduled: false }] {
        open.execute(&order).unwrap();
        unload(&world);
        open.execute(&order).unwrap();
    }
}
