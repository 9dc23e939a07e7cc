//! A world with some history, and what troubles are made of.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bursar::coin::{Amount, Txid};
use bursar::keeper::Keeper;
use serde_json::{Value, json};

use crate::support::{BURN_ADDRESS, Generation, World};

/// Litecoin 0.21 cannot mine past 430 on regtest; room is left for one more trouble.
const LAST_HEIGHT: u64 = 280;

/// The world.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) keeper: Keeper,
    /// What the daemon's answers say in the place of the truth, where a proxy stands in front of it.
    pub(crate) lie: Arc<Mutex<Option<Lie>>>,
    orders: u32,
}

/// Changes the result of a call, by its method.
pub(crate) type Lie = Box<dyn FnMut(&str, &mut Value) + Send>;

/// What `audit run` said.
pub(crate) struct Audited {
    /// A verdict, or the code of a failure.
    pub(crate) says: String,
    /// Each transaction that it names, and as what.
    pub(crate) named: BTreeSet<(String, Txid)>,
    /// Whether payouts are frozen, for whatever cause.
    pub(crate) frozen: bool,
    /// The whole answer.
    pub(crate) whole: Value,
}

impl Scene {
    /// Deposits, and mined coins that are mature.
    pub(crate) fn of(generation: Generation) -> Scene {
        Scene::in_world(World::new(generation), Arc::default())
    }

    pub(crate) fn in_world(world: World, lie: Arc<Mutex<Option<Lie>>>) -> Scene {
        let keeper = world.start_daemon();
        let scene = Scene { world, keeper, lie, orders: 0 };
        scene.set_fee();
        scene.world.mine_to_wallet(1);
        scene.world.fund(&["7", "5", "3"]);
        scene
    }

    /// Regtest has no fee estimates.
    fn set_fee(&self) {
        self.world.rpc("settxfee", json!([0.0002]));
    }

    /// Whether the chain leaves room for another trouble.
    pub(crate) fn has_room(&self) -> bool {
        self.world.height() < LAST_HEIGHT
    }

    pub(crate) fn audit(&self) -> Audited {
        let (whole, exit) = self.world.order(&["audit", "run"]);
        let says = whole["verdict"].as_str().or(whole["error"]["code"].as_str()).unwrap_or_else(|| panic!("{whole}")).to_owned();
        let expected = ["agrees", "explained", "unexplained"].iter().position(|verdict| *verdict == says);
        assert_eq!(usize::try_from(exit).unwrap(), expected.unwrap_or(3), "the exit code of {whole}");
        let named = whole["suspects"].as_array().into_iter().flatten();
        let named = named.map(|suspect| (text(&suspect["kind"]), text(&suspect["txid"]).parse().unwrap())).collect();
        let frozen = !self.causes().is_empty();
        if !whole["frozen"].is_null() {
            assert_eq!(whole["frozen"], frozen, "{whole}");
        }
        Audited { says, named, frozen, whole }
    }

    /// Why payouts are frozen.
    pub(crate) fn causes(&self) -> BTreeSet<String> {
        self.freezes().iter().map(|frozen| text(&frozen["freeze"]["cause"])).collect()
    }

    fn freezes(&self) -> Vec<Value> {
        self.world.done(&["status"])["frozen"].as_array().unwrap().clone()
    }

    pub(crate) fn assert_agrees(&self, when: &str) {
        let audit = self.audit();
        assert_eq!((audit.says.as_str(), audit.frozen), ("agrees", false), "{when}: {:#}, {:?}", audit.whole, self.causes());
    }

    /// Payouts are frozen for this cause alone, and neither a sync nor an audit that agrees changes that.
    pub(crate) fn assert_frozen_by(&self, cause: &str) {
        self.sync();
        let audit = self.audit();
        assert_eq!((audit.says.as_str(), self.causes()), ("agrees", BTreeSet::from([cause.to_owned()])), "{:#}", audit.whole);
    }

    pub(crate) fn sync(&self) {
        self.world.done(&["ledger", "sync"]);
    }

    /// A stranger pays us; in the mempool, and the wallet has it.
    pub(crate) fn deposit(&self, amount: &str) -> Txid {
        self.deposit_to(&self.world.new_address(), amount)
    }

    pub(crate) fn deposit_to(&self, address: &str, amount: &str) -> Txid {
        self.world.pay_in(address, amount).parse().unwrap()
    }

    /// What the ledger has under an account, in base units.
    pub(crate) fn booked(&self, account: &str) -> i64 {
        let balances = self.world.done(&["ledger", "balance"])["balances"].clone();
        let found = balances.as_array().unwrap().iter().find(|known| known["account"] == account);
        found.map_or(0, |known| known["amount"].as_i64().unwrap())
    }

    /// A deposit that is final, and that the ledger knows.
    pub(crate) fn final_deposit(&self, amount: &str) -> Txid {
        let txid = self.deposit(amount);
        self.world.mine(self.world.coin().final_depth);
        self.sync();
        txid
    }

    /// A payout by bursar; in the mempool.
    pub(crate) fn payout(&mut self, amount: &str) -> Txid {
        self.payout_to(&self.world.outside_address(), amount)
    }

    pub(crate) fn payout_to(&mut self, address: &str, amount: &str) -> Txid {
        self.orders += 1;
        let id = format!("order-{}", self.orders);
        self.world.done(&["pay", "submit", "--id", &id, "--address", address, "--amount", amount]);
        let flushed = self.world.done(&["pay", "flush"]);
        assert_eq!(flushed["batches"][0]["state"], "sent", "{flushed}");
        let txid = text(&self.world.done(&["pay", "show", &id])["transactions"][0]["txid"]).parse().unwrap();
        self.world.settle();
        txid
    }

    /// The mark of a batch of one payout, which is in the mempool.
    pub(crate) fn mark_of_payout(&mut self) -> String {
        let payout = self.payout("0.35");
        text(&self.world.rpc("gettransaction", json!([payout]))["comment"])
    }

    /// A payment that somebody made by hand.
    pub(crate) fn by_hand(&self, address: &str, amount: &str, comment: &str) -> Txid {
        let outputs: Value = json!({ address: number(amount) });
        let txid = text(&self.world.rpc("sendmany", json!(["", outputs, 1, comment]))).parse().unwrap();
        self.world.settle();
        txid
    }

    /// Spends a coin of ours by a raw transaction to a stranger, less a fee; not sent.
    pub(crate) fn raw_spend(&self, coin: &Value) -> Value {
        let value = Amount::parse_reported(&coin["amount"].to_string(), 8).unwrap().base_units() - 1_000_000;
        let value = number(&Amount::from_base_units(value).to_decimal(8));
        self.raw_to(coin, &json!({ self.world.outside_address(): value }))
    }

    /// Spends a coin of ours by a raw transaction with these outputs, which leave the rest to whoever mines it; not sent.
    pub(crate) fn raw_to(&self, coin: &Value, outputs: &Value) -> Value {
        let inputs = json!([{"txid": coin["txid"], "vout": coin["vout"]}]);
        let unsigned = self.world.node_rpc("createrawtransaction", json!([inputs, outputs]));
        let signed = self.world.rpc("signrawtransactionwithwallet", json!([unsigned]));
        assert_eq!(signed["complete"], true, "{signed}");
        signed["hex"].clone()
    }

    /// Gives a raw transaction to the network.
    pub(crate) fn send_raw(&self, raw: &Value) -> Txid {
        let txid = text(&self.world.node_rpc("sendrawtransaction", json!([raw]))).parse().unwrap();
        self.world.settle();
        txid
    }

    /// A transaction with a coin of ours and one of a stranger, which pays all but the fee to one address of ours; not sent.
    pub(crate) fn raw_with_stranger(&self, coin: &Value) -> Value {
        let theirs = self.world.outside_rpc("listunspent", json!([1]))[0].clone();
        let units = |coin: &Value| Amount::parse_reported(&coin["amount"].to_string(), 8).unwrap().base_units();
        let all = Amount::from_base_units(units(coin) + units(&theirs) - 20_000).to_decimal(8);
        let inputs: Vec<Value> = [coin, &theirs].map(|coin| json!({"txid": coin["txid"], "vout": coin["vout"]})).into();
        let outputs = json!({ self.world.new_address(): number(&all) });
        let unsigned = self.world.node_rpc("createrawtransaction", json!([inputs, outputs]));
        let ours = self.world.rpc("signrawtransactionwithwallet", json!([unsigned]));
        let signed = self.world.outside_rpc("signrawtransactionwithwallet", json!([ours["hex"]]));
        assert_eq!(signed["complete"], true, "{signed}");
        signed["hex"].clone()
    }

    /// Has a raw transaction mined, which no mempool need like.
    pub(crate) fn mine_raw(&self, raw: &Value) -> Txid {
        let txid = text(&self.world.node_rpc("decoderawtransaction", json!([raw]))["txid"]).parse().unwrap();
        match self.world.generation {
            Generation::Litecoin018 => _ = self.world.node_rpc("sendrawtransaction", json!([raw, true])),
            _ => _ = self.world.node_rpc("generateblock", json!([BURN_ADDRESS, [raw]])),
        }
        self.world.mine(1);
        txid
    }

    /// The coin of a deposit, as our wallet lists it.
    pub(crate) fn coin_of(&self, deposit: &Txid) -> Value {
        let coins = self.world.rpc("listunspent", json!([0]));
        coins.as_array().unwrap().iter().find(|coin| coin["txid"] == deposit.to_string()).unwrap().clone()
    }

    /// Locks all coins but those of this transaction, so that the next payout spends them.
    pub(crate) fn lock_all_but(&self, txid: &Txid) {
        let coins = self.world.rpc("listunspent", json!([0]));
        let others = coins.as_array().unwrap().iter().filter(|coin| coin["txid"] != txid.to_string());
        let others: Vec<Value> = others.map(|coin| json!({"txid": coin["txid"], "vout": coin["vout"]})).collect();
        self.world.rpc("lockunspent", json!([false, others]));
    }

    pub(crate) fn unlock_all(&self) {
        self.world.rpc("lockunspent", json!([true]));
    }

    /// The wallet's own bytes of a transaction.
    pub(crate) fn raw(&self, txid: &Txid) -> Value {
        self.world.rpc("gettransaction", json!([txid]))["hex"].clone()
    }

    /// The block that a transaction of ours is in.
    pub(crate) fn block_of(&self, txid: &Txid) -> Value {
        self.world.rpc("gettransaction", json!([txid]))["blockhash"].clone()
    }

    pub(crate) fn confirmations(&self, txid: &Txid) -> i64 {
        self.world.rpc("gettransaction", json!([txid]))["confirmations"].as_i64().unwrap()
    }

    /// A person takes every freeze away.
    pub(crate) fn thaw_all(&self) {
        for frozen in self.freezes() {
            self.world.done(&["audit", "thaw", &frozen["id"].to_string(), "--reason", "ticket 815", "--yes"]);
        }
    }

    /// Whether our wallet knows a transaction.
    pub(crate) fn knows(&self, txid: &Txid) -> bool {
        let path = format!("/wallet/{}", self.world.coin().wallet.name);
        self.world.try_rpc(&path, "gettransaction", json!([txid])).is_ok()
    }

    /// The wallet forgets a transaction, and a restart does not bring it back.
    pub(crate) fn lose(&self, txid: &Txid) {
        self.world.rpc("removeprunedfunds", json!([txid]));
        assert!(!self.knows(txid));
    }

    pub(crate) fn rescan(&self) {
        self.world.rpc("rescanblockchain", json!([0]));
    }

    pub(crate) fn explain(&self, txid: &Txid) {
        self.explain_as(txid, "payout");
    }

    pub(crate) fn explain_as(&self, txid: &Txid, account: &str) {
        self.world.done(&["ledger", "explain", &txid.to_string(), "--as", account, "--reason", "ticket 812"]);
    }

    pub(crate) fn in_mempool(&self, txid: &Txid) -> bool {
        self.world.node_rpc("getrawmempool", json!([])).as_array().unwrap().contains(&json!(txid))
    }

    pub(crate) fn restart(&mut self, args: &[&str]) {
        self.keeper.stop().unwrap();
        self.start(args);
    }

    pub(crate) fn start(&mut self, args: &[&str]) {
        self.keeper.start(args).unwrap();
        let _ = self.world.try_rpc(&format!("/wallet/{}", self.world.coin().wallet.name), "settxfee", json!([0.0002]));
    }

    /// Lets the daemon's answers lie from now on.
    pub(crate) fn lie(&self, lie: impl FnMut(&str, &mut Value) + Send + 'static) {
        *self.lie.lock().unwrap() = Some(Box::new(lie));
    }

    pub(crate) fn tell_the_truth(&self) {
        *self.lie.lock().unwrap() = None;
    }
}

/// The text of a JSON string.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A JSON number with exactly these digits.
pub(crate) fn number(amount: &str) -> Value {
    serde_json::from_str(amount).unwrap()
}
