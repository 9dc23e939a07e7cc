//! What a person is told of the wallets that are followed beside the paying one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::{Value, json};
use support::{Generation, World};

const FOLLOWED: &str = "deposits";

fn world(generation: Generation) -> World {
    let world = World::with(generation, &[("wallet.follow", "[\"deposits\"]"), ("ledger.credit_depth", "2")]);
    drop(world.start_daemon());
    world.node_rpc("createwallet", json!([FOLLOWED]));
    world
}

/// A call to the followed wallet, past bursar.
fn ask(world: &World, method: &str, params: Value) -> Value {
    world.try_rpc(&format!("/wallet/{FOLLOWED}"), method, params).unwrap_or_else(|refused| panic!("{method}: {refused:?}"))
}

fn new_address(world: &World) -> String {
    ask(world, "getnewaddress", json!([])).as_str().unwrap().to_owned()
}

/// What a person reads.
fn printed(world: &World, args: &[&str]) -> String {
    String::from_utf8(world.bursar(args).stdout).unwrap()
}

#[test]
fn a_sync_tells_what_happened_in_each_wallet() {
    for generation in Generation::ALL {
        let world = world(generation);
        let quiet = printed(&world, &["ledger", "sync"]);
        assert_eq!(quiet.lines().count(), 1, "{generation:?}: {quiet}");
        let deposit = world.pay_in(&new_address(&world), "3");
        world.mine(2);
        let told = printed(&world, &["ledger", "sync"]);
        assert!(told.contains("wallet 'deposits': in step at height"), "{generation:?}: {told}");
        assert!(told.contains("1 deposits credited"), "{generation:?}: {told}");

        // Another branch has it in another block: what was credited is taken back.
        let block = ask(&world, "gettransaction", json!([deposit]))["blockhash"].clone();
        world.node_rpc("invalidateblock", json!([block]));
        world.mine_to_other_address(4);
        let told = world.done(&["ledger", "sync"]);
        let of_followed = &told["followed"][0];
        assert_eq!((&told["credited"], &told["uncredited"]), (&json!(0), &json!([])), "{generation:?}: {told:#}");
        assert_eq!((&of_followed["wallet"], &of_followed["error"]), (&json!(FOLLOWED), &Value::Null), "{generation:?}: {told:#}");
        let report = &of_followed["report"];
        assert_eq!(report["uncredited"], json!([deposit]), "{generation:?}: {told:#}");
    }
}

#[test]
fn the_hint_after_an_audit_names_the_wallet_and_a_freeze_says_how_it_ends() {
    let mut world = world(Generation::Knots);
    world.pay_in(&new_address(&world), "3");
    world.mine(2);
    world.done(&["ledger", "sync"]);
    ask(&world, "sendtoaddress", json!([world.outside_address(), 1]));
    let told = printed(&world, &["audit", "run"]);
    assert!(told.contains("`bursar audit explain --last --wallet deposits`"), "{told}");
    let (check, _) = world.order(&["check"]);
    let words = check["checks"].to_string();
    assert!(words.contains("'deposits' has 1 transactions without an explanation"), "{check:#}");
    world.edit_settings("follow = [\"deposits\"]", "follow = []");
    let told = printed(&world, &["status"]);
    assert!(told.contains("no audit of wallet 'deposits' comes") && told.contains("`bursar audit thaw 1 --reason …`"), "{told}");
}

#[test]
fn a_sync_alarms_for_a_credit_of_a_followed_wallet_and_says_which_is_away() {
    let world = world(Generation::Knots);
    let deposit = world.pay_in(&new_address(&world), "3");
    world.mine(2);
    world.done(&["ledger", "sync"]);
    let block = ask(&world, "gettransaction", json!([deposit]))["blockhash"].clone();
    world.node_rpc("invalidateblock", json!([block]));
    world.mine_to_other_address(4);
    let told = printed(&world, &["ledger", "sync"]);
    let alarm = format!("A CREDITED DEPOSIT WAS TAKEN BACK: {deposit}");
    assert!(told.contains("wallet 'deposits': in step") && told.contains(&alarm), "{told}");
    world.node_rpc("unloadwallet", json!([FOLLOWED]));
    std::fs::rename(world.coin().chain_dir().join("wallets").join(FOLLOWED), world.dir().join("away")).unwrap();
    let told = printed(&world, &["ledger", "sync"]);
    assert!(told.contains("WALLET 'deposits' IS NOT IN STEP") && told.contains("take it off wallet.follow"), "{told}");
}

/// The followed wallet without private keys, and an address that it was told of.
fn watching(generation: Generation) -> (World, String) {
    let world = World::with(generation, &[("wallet.follow", "[\"deposits\"]"), ("ledger.credit_depth", "2")]);
    drop(world.start_daemon());
    world.node_rpc("createwallet", json!(["keys"]));
    let of_keys = |method: &str, args: Value| world.try_rpc("/wallet/keys", method, args).unwrap();
    let address = of_keys("getnewaddress", json!([])).as_str().unwrap().to_owned();
    let descriptor = of_keys("getaddressinfo", json!([address]))["desc"].clone();
    if generation == Generation::Knots {
        world.node_rpc("createwallet", json!([FOLLOWED, true, true]));
        ask(&world, "importdescriptors", json!([[{"desc": descriptor, "timestamp": "now"}]]));
    } else {
        world.node_rpc("createwallet", json!([FOLLOWED, true]));
        ask(&world, "importaddress", json!([address, "", false]));
    }
    (world, address)
}

#[test]
fn a_wallet_that_only_watches_is_refused_and_one_of_descriptors_without_keys_is_followed() {
    for generation in Generation::ALL {
        let (world, address) = watching(generation);
        world.pay_in(&address, "2");
        world.mine(4);
        let synced = world.order(&["ledger", "sync"]).0["followed"][0].clone();
        let (check, _) = world.order(&["check"]);
        let found = check["checks"].as_array().unwrap().iter().find(|one| one["name"] == "followed_wallet").unwrap().clone();
        let status = world.done(&["status"])["followed"][0].clone();
        if generation == Generation::Knots {
            assert_eq!(synced["report"]["credited"], 1, "{generation:?}: {synced:#}");
            assert_eq!((&found["level"], &status["error"]), (&json!("warning"), &Value::Null), "{generation:?}: {found:#}");
            assert!(found["message"].as_str().unwrap().contains("never audited"), "{generation:?}: {found:#}");
            continue;
        }
        for error in [&synced["error"], &status["error"]] {
            assert_eq!(error["code"], "watch_only_wallet", "{generation:?}: {synced:#} {status:#}");
            assert!(error["next"].as_str().unwrap().contains("take it off wallet.follow"), "{generation:?}: {error:#}");
        }
        assert_eq!(found["level"], "critical", "{generation:?}: {found:#}");
        assert!(found["message"].as_str().unwrap().contains("has no private keys"), "{generation:?}: {found:#}");
        let (audit, code) = world.order(&["audit", "run"]);
        assert_eq!((&audit["followed"][0]["error"]["code"], code), (&json!("watch_only_wallet"), 3), "{generation:?}: {audit:#}");
        let (_, code) = world.order(&["ledger", "open", "--wallet", FOLLOWED]);
        assert_eq!(code, 1, "{generation:?}");
    }
}
