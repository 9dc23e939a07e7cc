//! The harness keeps its own promises: otherwise the tests that stand on it prove nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::time::{Duration, Instant};

use bursar::daemon::{BalanceSource, RpcError, Wallet};
use serde_json::{Value, json};
use support::{Fault, Generation, PATIENCE, World, call, wait_for};

#[test]
fn a_world_funds_and_pays_in_on_every_daemon() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let mut keeper = world.start_daemon();
        world.fund(&["1.5", "2", "0.00100000"]);
        assert_eq!(world.rpc("getbalance", json!([])).to_string(), "3.50100000", "{generation:?}");
        let unspent = world.rpc("listunspent", json!([3]));
        assert_eq!(unspent.as_array().unwrap().len(), 3, "final coins");
        assert_eq!(world.cli(&["getbalance"]), "3.50100000");
        assert!(world.try_cli(&["getbalance", "account"]).unwrap_err().contains("dummy first argument"));

        let address = world.new_address();
        let txid = world.pay_in(&address, "0.25");
        assert_eq!(world.rpc("gettransaction", json!([txid]))["confirmations"], 0);
        world.mine(1);
        assert_eq!(world.rpc("gettransaction", json!([txid]))["confirmations"], 1);

        // A restart forgets the stranger's wallet; the next payment loads it again.
        keeper.stop().unwrap();
        keeper.start(&[]).unwrap();
        world.pay_in(&address, "0.5");
        world.mine_to_wallet(1);
        assert_eq!(world.rpc("getbalance", json!([])).to_string(), "4.25100000", "{generation:?}");
        let height = world.node_rpc("getblockcount", json!([])).as_u64().unwrap();
        assert!(height < 200, "room for a test below 400 blocks: {height}");
    }
}

#[test]
fn a_world_that_is_over_leaves_no_daemon() {
    let world = World::new(Generation::Litecoin021);
    assert!(world.program.is_file(), "the bursar that is tested: {}", world.program.display());
    drop(world.start_daemon());
    let (address, credentials, dir) = (world.coin().daemon.rpc_connect, world.credentials(), world.dir().to_owned());
    drop(world);
    assert_eq!(call(address, &credentials, "/", "getblockcount", json!([])).unwrap_err().code, 0);
    assert!(!dir.exists());
}

/// Calls through the proxy as bursar would.
fn through(world: &World, method: &str, params: Value) -> Result<Value, support::Refused> {
    call(world.coin().daemon.rpc_connect, &world.credentials(), "/", method, params)
}

#[test]
fn the_proxy_breaks_calls_as_ordered() {
    let world = World::behind_proxy(Generation::Litecoin021);
    world.start_daemon();
    let proxy = world.proxy.as_ref().unwrap();
    let mine = || through(&world, "generatetoaddress", json!([1, support::BURN_ADDRESS]));
    let height = || world.node_rpc("getblockcount", json!([])).as_u64().unwrap();
    let method = "generatetoaddress";

    mine().unwrap();
    assert_eq!(height(), 1);
    proxy.once(method, Fault::DropCall);
    assert_eq!(mine().unwrap_err().code, 0);
    assert_eq!(height(), 1, "the daemon never saw it");
    proxy.once(method, Fault::DropReply);
    assert_eq!(mine().unwrap_err().code, 0);
    assert_eq!(height(), 2, "the daemon carried it out");
    proxy.once(method, Fault::TruncateReply(60));
    assert_eq!(mine().unwrap_err().code, 0);
    assert_eq!(height(), 3);
    proxy.once(method, Fault::DelayReply(Duration::from_millis(300)));
    let began = Instant::now();
    mine().unwrap();
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(height(), 4);
    proxy.set(method, Fault::queue_full());
    let full = mine().unwrap_err();
    assert_eq!((full.code, full.message.as_str()), (500, "Work queue depth exceeded"));
    assert_eq!(height(), 4);
    proxy.clear();
    proxy.once(method, Fault::LateCopy(Duration::from_millis(300)));
    assert_eq!(mine().unwrap_err().code, 0);
    wait_for(PATIENCE, "the late copy", || (height() == 5).then_some(()));
    assert_eq!((proxy.seen(method), proxy.forwarded(method)), (7, 5));
}

#[test]
fn a_late_copy_from_before_a_fence_is_refused() {
    let world = World::behind_proxy(Generation::Litecoin021);
    let mut keeper = world.start_daemon();
    let proxy = world.proxy.as_ref().unwrap();
    proxy.once("generatetoaddress", Fault::CopyOnOrder);
    through(&world, "generatetoaddress", json!([1, support::BURN_ADDRESS])).unwrap_err();
    keeper.stop().unwrap();
    bursar::daemon::renew(world.coin()).unwrap();
    keeper.start(&[]).unwrap();
    proxy.send_copies();
    wait_for(PATIENCE, "the late copy", || (proxy.forwarded("generatetoaddress") == 1).then_some(()));
    let log = world.coin().chain_dir().join("debug.log");
    wait_for(PATIENCE, "the refusal", || {
        std::fs::read_to_string(&log).unwrap().contains("ThreadRPCServer incorrect password attempt").then_some(())
    });
    assert_eq!(world.node_rpc("getblockcount", json!([])), 0);
}

#[test]
fn the_stand_in_answers_as_the_getinfo_generation() {
    let world = World::getinfo_standin();
    world.start_daemon();
    world.fund(&["3"]);
    let info = through(&world, "getinfo", json!([])).unwrap();
    assert_eq!(info["balance"].to_string(), "3.00000000");
    assert_eq!(info["version"], 130_000);
    assert!(through(&world, "getwalletinfo", json!([])).unwrap().get("balance").is_none());
    for hidden in ["getbalances", "getrpcinfo", "uptime", "listwallets"] {
        assert_eq!(through(&world, hidden, json!([])).unwrap_err().code, -32601, "{hidden}");
    }
    assert_eq!(through(&world, "getbalance", json!({"minconf": 1})).unwrap_err().code, -32600, "no named arguments");

    let wallet = world.wallet();
    let balances = wallet.balances().unwrap();
    assert_eq!(balances.source, BalanceSource::Getinfo);
    assert_eq!(balances.trusted.base_units(), 300_000_000);
    assert_eq!(wallet.uptime_s().unwrap(), None);
    assert_eq!(wallet.tip().unwrap().height, world.node_rpc("getblockcount", json!([])).as_u64().unwrap());
    assert!(!matches!(wallet.identity(), Err(RpcError::Unreadable { .. })));
}
