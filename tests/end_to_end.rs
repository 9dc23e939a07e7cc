//! The whole life of a coin, through the real program alone: command line, service and control socket, on three generations of real
//! daemons and the stand-in for a fourth. What bursar says is checked with the daemon's own words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use bursar::coin::Amount;
use serde_json::{Value, json};
use support::{Generation, Service, World};

const PAYOUTS: usize = 30;
/// The first payouts pay so many payees, in turn.
const SHARING: usize = 9;
const SHARED_PAYEES: usize = 3;
const BAD: &str = "order-17";

#[test]
fn a_coin_lives_through_payouts_loss_and_repair_on_litecoin_0_18() {
    live_through(&World::new(Generation::Litecoin018), "getwalletinfo");
}

#[test]
fn a_coin_lives_through_payouts_loss_and_repair_on_litecoin_0_21() {
    live_through(&World::new(Generation::Litecoin021), "getbalances");
}

#[test]
fn a_coin_lives_through_payouts_loss_and_repair_on_knots() {
    live_through(&World::new(Generation::Knots), "getbalances");
}

#[test]
fn a_coin_lives_through_payouts_loss_and_repair_on_the_stand_in_for_0_13() {
    live_through(&World::getinfo_standin(), "getinfo");
}

fn live_through(world: &World, balance_source: &str) {
    world.make_backup_places();
    render(world);
    let service = Service::start(world);
    world.mine_to_wallet(2);
    world.fund(&["4.5", "3.25", "2", "1.125"]);
    world.done(&["ledger", "sync"]);
    let payment = pay(world);
    audit_agrees(world, balance_source);
    back_up(world);
    for lost in [picked(world, &payment), payment] {
        lose(world, &lost);
        heal(world, &lost);
        audit_agrees(world, balance_source);
    }
    pay_once_more(world);
    audit_agrees(world, balance_source);
    let daemon = world.daemon_process();
    assert_eq!(service.stop().code(), Some(0));
    assert!(daemon.has_ended(), "the daemon outlived the service");
}

fn render(world: &World) {
    world.done(&["render"]);
    let conf = fs::read_to_string(world.coin().conf_file()).unwrap();
    for line in ["server=1", "rpcbind=127.0.0.1", "rpcauth="] {
        assert!(conf.contains(line), "{line} is not in:\n{conf}");
    }
    assert_eq!(world.daemon_pid(), None, "render starts nothing");
}

struct Payee {
    address: String,
    amount: String,
}

/// Thirty payouts: the first nine go to three payees, and one has a wrong checksum.
fn payees(world: &World) -> BTreeMap<String, Payee> {
    let shared: Vec<String> = (0..SHARED_PAYEES).map(|_| world.outside_address()).collect();
    let payee = |number: usize| {
        let mut address = if number < SHARING { shared[number % SHARED_PAYEES].clone() } else { world.outside_address() };
        let id = format!("order-{number}");
        if id == BAD {
            let last = if address.ends_with('q') { 'p' } else { 'q' };
            address.pop();
            address.push(last);
        }
        (id, Payee { address, amount: format!("0.0{}", 100 + number) })
    };
    (0..PAYOUTS).map(payee).collect()
}

/// Imports and flushes; returns the txid. The outputs are counted on the chain.
fn pay(world: &World) -> String {
    let mut payees = payees(world);
    let rows: String = payees.iter().map(|(id, payee)| format!("{id},{},{}\n", payee.address, payee.amount)).collect();
    let file = world.dir().join("payouts.csv");
    fs::write(&file, format!("id,address,amount\n{rows}")).unwrap();
    let import = ["pay", "import", file.to_str().unwrap(), "--reject-bad-payees"];
    let (report, code) = world.order(&import);
    assert_eq!((code, &report["queued"], &report["rejected"]), (3, &json!(PAYOUTS - 1), &json!(1)), "{report}");
    assert_eq!(report["rejected_rows"][0]["id"], BAD);
    payees.remove(BAD);
    let (again, _) = world.order(&import);
    let told = (&again["queued"], &again["existing"], &again["rejected"]);
    assert_eq!(told, (&json!(0), &json!(PAYOUTS - 1), &json!(1)), "the same file again: {again}");

    let report = world.done(&["pay", "flush"]);
    assert_eq!((report["batches"].as_array().unwrap().len(), &report["queued"]), (1, &json!(0)), "{report}");
    let txid = report["batches"][0]["txid"].as_str().unwrap().to_owned();
    assert_eq!(sends(world), BTreeSet::from([txid.clone()]), "the wallet made one transaction");
    mine_to_final(world);
    check_on_chain(world, &txid, &payees);
    assert_eq!(ids(world, "final"), payees.keys().cloned().collect());
    assert_eq!(ids(world, "rejected"), BTreeSet::from([BAD.to_owned()]));
    txid
}

/// Transactions that the wallet sent, by its own listing.
fn sends(world: &World) -> BTreeSet<String> {
    listed(world, |entry| entry["category"] == "send")
}

fn listed(world: &World, wanted: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let listing = world.rpc("listsinceblock", json!([]));
    let entries = listing["transactions"].as_array().unwrap();
    entries.iter().filter(|entry| wanted(entry)).map(|entry| entry["txid"].as_str().unwrap().to_owned()).collect()
}

fn mine_to_final(world: &World) {
    world.mine(world.coin().final_depth);
    world.done(&["ledger", "sync"]);
}

/// Every payee has one output of the sum of its payouts, and the only other output is change.
fn check_on_chain(world: &World, txid: &str, payees: &BTreeMap<String, Payee>) {
    let mut expected: BTreeMap<&str, i64> = BTreeMap::new();
    for payee in payees.values() {
        *expected.entry(&payee.address).or_default() += units(&payee.amount);
    }
    let block = world.rpc("gettransaction", json!([txid]))["blockhash"].clone();
    let transaction = world.node_rpc("getrawtransaction", json!([txid, true, block]));
    let outputs = transaction["vout"].as_array().unwrap();
    assert_eq!(expected.len(), PAYOUTS - 1 - SHARING + SHARED_PAYEES);
    assert_eq!(outputs.len(), expected.len() + 1, "one output per payee, and change");
    for output in outputs {
        let script = &output["scriptPubKey"];
        let address = script["address"].as_str().or(script["addresses"][0].as_str()).unwrap();
        if let Some(amount) = expected.remove(address) {
            assert_eq!(units(&output["value"].to_string()), amount, "{address}");
        }
    }
    assert!(expected.is_empty(), "not paid: {expected:?}");
}

fn units(coins: &str) -> i64 {
    Amount::parse_reported(coins, 8).unwrap().base_units()
}

fn ids(world: &World, state: &str) -> BTreeSet<String> {
    let list = world.done(&["pay", "list", "--state", state]);
    list["payouts"].as_array().unwrap().iter().map(|payout| payout["id"].as_str().unwrap().to_owned()).collect()
}

/// Exit code 0, from the call that this generation has, and the sum of `listunspent` to the unit.
fn audit_agrees(world: &World, balance_source: &str) {
    let report = world.done(&["audit", "run"]);
    assert_eq!((&report["verdict"], &report["frozen"]), (&json!("agrees"), &json!(false)), "{report}");
    assert_eq!(report["wallet"]["source"], balance_source);
    let coins = world.rpc("listunspent", json!([0]));
    let unspent: i64 = coins.as_array().unwrap().iter().map(|coin| units(&coin["amount"].to_string())).sum();
    assert_eq!((&report["ledger"]["balance"], &report["wallet"]["trusted"]), (&json!(unspent), &json!(unspent)));
    world.done(&["ledger", "verify"]);
}

fn back_up(world: &World) {
    let report = world.done(&["backup", "create"]);
    let archive = report["archive"].as_str().unwrap();
    for place in &world.coin().backup.directories {
        assert!(place.join(archive).is_file(), "{archive} is not in {}", place.display());
    }
    world.done(&["backup", "verify"]);
    let drill = world.done(&["backup", "drill"]);
    assert_eq!(drill["passed"], true, "{drill}");
}

/// A confirmed transaction of the wallet, picked at random from all but our payment, whose turn comes later.
fn picked(world: &World, payment: &str) -> String {
    let confirmed = listed(world, |entry| {
        entry["confirmations"].as_i64().unwrap() > 0 && entry["category"] != "immature" && entry["txid"] != payment
    });
    let mut random = [0; 1];
    getrandom::fill(&mut random).unwrap();
    confirmed.iter().nth(usize::from(random[0]) % confirmed.len()).unwrap().clone()
}

/// The wallet loses a transaction: the audit names it, and nothing is paid.
fn lose(world: &World, txid: &str) {
    world.rpc("removeprunedfunds", json!([txid]));
    let (report, code) = world.order(&["audit", "run"]);
    assert_eq!((code, &report["verdict"]), (2, &json!("unexplained")), "{report}");
    let named: Vec<&Value> = report["suspects"].as_array().unwrap().iter().map(|suspect| &suspect["txid"]).collect();
    assert!(named.contains(&&json!(txid)), "{txid} is not among {named:?}");
    let waiting = format!("waiting-for-{txid}");
    world.done(&["pay", "submit", "--id", &waiting, "--address", &world.outside_address(), "--amount", "0.01"]);
    let (refusal, code) = world.order(&["pay", "flush"]);
    assert_eq!((code, &refusal["error"]["code"]), (10, &json!("frozen")), "{refusal}");
    assert!(ids(world, "queued").contains(&waiting), "what is frozen stays queued");
}

fn heal(world: &World, lost: &str) {
    let (unsure, code) = world.order(&["repair", "run"]);
    assert_eq!((code, &unsure["error"]["code"]), (2, &json!("not_confirmed")), "off a terminal it needs --yes");
    let report = world.done(&["repair", "run", "--yes"]);
    assert_eq!(report["agrees"], true, "{report}");
    assert_eq!(world.rpc("gettransaction", json!([lost]))["txid"], *lost, "it is back");
    assert_eq!(world.done(&["status"])["frozen"], json!([]), "payouts are open");
}

/// What waited while payouts were frozen goes out, once.
fn pay_once_more(world: &World) {
    let waited = ids(world, "queued");
    assert_eq!(waited.len(), 2);
    let before = sends(world);
    let report = world.done(&["pay", "flush"]);
    assert_eq!((&report["queued"], &report["waiting"]), (&json!(0), &Value::Null), "{report}");
    assert_eq!(sends(world).difference(&before).count(), 1);
    mine_to_final(world);
    assert!(ids(world, "final").is_superset(&waited));
}
