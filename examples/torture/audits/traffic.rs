//! What an exchange's wallet lives through on a busy day, in quick motion.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bursar::ledger::{Account, Claim};
use serde_json::{Value, json};

use crate::schedule::Chance;
use crate::support::{BURN_ADDRESS, Generation, World};

/// Payments that are claimed ahead; a world's chain ends before.
const PAYMENTS: usize = 3000;
/// The longest pause between two events. Of five, two come almost at once.
const LONGEST_PAUSE_MS: u64 = 300;
const SHORT_PAUSE_MS: u64 = 20;
/// Chains of payments are mined in this many blocks: each takes as many links as the mempool does.
const LAST_BLOCKS: usize = 40;

/// The kinds of events.
const KINDS: &[(&str, u64)] = &[
    ("deposit", 6),
    ("deposits in a chain", 1),
    ("replaced deposit", 2),
    ("payout", 5),
    ("payouts in a chain", 1),
    ("payout to a customer of ours", 3),
    ("broadcast again", 3),
    ("block", 6),
    ("mined coins", 2),
    ("reorg", 3),
    ("reorg and back", 2),
    ("locked coin", 2),
    ("unlocked coins", 1),
];

/// The traffic of one world.
pub(super) struct Traffic<'a> {
    world: &'a World,
    chance: Chance,
    store: String,
    payments: usize,
    /// The longest pause where audits take long.
    pace_ms: u64,
    seen: BTreeMap<&'static str, usize>,
}

/// Makes traffic until it is told to stop.
pub(super) fn keep_moving(street: &Mutex<Traffic<'_>>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let pause = {
            let mut traffic = street.lock().unwrap();
            traffic.event();
            let longest = if traffic.chance.below(5) < 2 { SHORT_PAUSE_MS } else { LONGEST_PAUSE_MS.max(traffic.pace_ms) };
            traffic.chance.below(longest)
        };
        thread::sleep(Duration::from_millis(pause));
    }
}

impl<'a> Traffic<'a> {
    pub(super) fn new(world: &'a World, chance: Chance, store: String) -> Traffic<'a> {
        world.rpc("settxfee", json!([0.0002]));
        Traffic { world, chance, store, payments: 0, pace_ms: 0, seen: BTreeMap::new() }
    }

    /// The last audit took so long: a busy machine has slower traffic, too.
    pub(super) fn keep_pace(&mut self, audit: Duration) {
        self.pace_ms = 4 * u64::try_from(audit.as_millis()).unwrap_or(LONGEST_PAUSE_MS);
    }

    fn mark(&self, number: usize) -> String {
        format!("bursar:{}:{number}:{number:032x}", self.store)
    }

    /// What batches leave before they are sent.
    pub(super) fn claims(&self) -> impl Iterator<Item = Claim> {
        (0..PAYMENTS).map(|number| Claim { mark: self.mark(number), order: format!("order {number}"), account: Account::Payout })
    }

    fn event(&mut self) {
        let total = KINDS.iter().map(|(_, weight)| weight).sum();
        let mut at = self.chance.below(total);
        let kind = KINDS.iter().find(|(_, weight)| {
            let found = at < *weight;
            at = at.saturating_sub(*weight);
            found
        });
        let (kind, _) = kind.unwrap();
        if self.happens(kind) {
            *self.seen.entry(kind).or_default() += 1;
        }
    }

    /// Lets it happen; false where the world has nothing for it now.
    fn happens(&mut self, kind: &str) -> bool {
        let world = self.world;
        match kind {
            "deposit" => self.deposit().is_some(),
            "deposits in a chain" => (0..3).filter(|_| self.deposit().is_some()).count() == 3,
            "replaced deposit" => world.generation == Generation::Knots && self.replaced_deposit(),
            "payout" => self.pay(&[BURN_ADDRESS.to_owned()]),
            "payouts in a chain" => (0..3).filter(|_| self.pay(&[BURN_ADDRESS.to_owned()])).count() == 3,
            "payout to a customer of ours" => self.pay(&[BURN_ADDRESS.to_owned(), world.new_address()]),
            "broadcast again" => self.broadcast_again() > 0,
            "block" => self.mine(BURN_ADDRESS, 1),
            "mined coins" => self.mine(&world.new_address(), 1),
            "reorg" => self.reorg(false),
            "reorg and back" => self.reorg(true),
            "locked coin" => self.lock(),
            "unlocked coins" => world.rpc("lockunspent", json!([true])) == json!(true),
            other => panic!("{other}"),
        }
    }

    fn amount(&mut self) -> Value {
        let units = 100_000 + self.chance.below(9_000_000);
        serde_json::from_str(&format!("0.{units:08}")).unwrap()
    }

    fn deposit(&mut self) -> Option<Value> {
        let (address, amount) = (self.world.new_address(), self.amount());
        self.world.outside_address();
        self.world.try_rpc("/wallet/outside", "sendtoaddress", json!([address, amount])).ok()
    }

    /// The stranger pays again, with a higher fee.
    fn replaced_deposit(&mut self) -> bool {
        self.deposit().is_some_and(|txid| self.world.try_rpc("/wallet/outside", "bumpfee", json!([txid])).is_ok())
    }

    fn pay(&mut self, addresses: &[String]) -> bool {
        let mut outputs = serde_json::Map::new();
        for address in addresses {
            outputs.insert(address.clone(), self.amount());
        }
        let mark = self.mark(self.payments);
        self.payments = (self.payments + 1).min(PAYMENTS - 1);
        let wallet = format!("/wallet/{}", self.world.coin().wallet.name);
        self.world.try_rpc(&wallet, "sendmany", json!(["", outputs, 1, mark])).is_ok()
    }

    fn mine(&self, address: &str, blocks: u64) -> bool {
        self.world.try_rpc("/", "generatetoaddress", json!([blocks, address])).is_ok()
    }

    /// Another branch takes the place of one or two blocks; then perhaps a longer one on the first.
    fn reorg(&mut self, and_back: bool) -> bool {
        let depth = 1 + self.chance.below(2);
        let branch = self.world.block_at(self.world.height() + 1 - depth);
        self.world.node_rpc("invalidateblock", json!([branch]));
        let other = self.world.outside_address();
        self.mine(&other, depth + u64::from(!and_back));
        if and_back {
            // Both are as long: the one that was first comes back with the next block.
            let second = self.world.block_at(self.world.height() + 1 - depth);
            self.world.node_rpc("invalidateblock", json!([second]));
            self.world.node_rpc("reconsiderblock", json!([branch]));
            self.mine(&other, 1);
        }
        true
    }

    fn lock(&mut self) -> bool {
        let coins = self.world.rpc("listunspent", json!([1]));
        let coins = coins.as_array().unwrap();
        // Enough is left to pay with.
        let Some(coin) = coins.get(self.chance.below(coins.len().max(1) as u64) as usize).filter(|_| coins.len() > 4) else {
            return false;
        };
        let coin = json!([{"txid": coin["txid"], "vout": coin["vout"]}]);
        self.world.rpc("lockunspent", json!([false, coin])) == json!(true)
    }

    /// Gives the network again what it did not take (a chain that was too long, a reorg), as bursar does at each sync, and strangers do now and then.
    /// Returns how many it did not have.
    fn broadcast_again(&self) -> usize {
        let mempool = self.world.node_rpc("getrawmempool", json!([]));
        let mut waited = 0;
        for wallet in ["outside", &self.world.coin().wallet.name] {
            let call = |method: &str, params: Value| self.world.try_rpc(&format!("/wallet/{wallet}"), method, params).unwrap();
            let listed = call("listsinceblock", json!([]));
            let sent = |entry: &&Value| entry["category"] == "send" && entry["confirmations"] == 0;
            let sent = listed["transactions"].as_array().unwrap().iter().filter(sent).map(|entry| &entry["txid"]);
            for txid in sent.filter(|txid| !mempool.as_array().unwrap().contains(txid)) {
                let raw = call("gettransaction", json!([txid]))["hex"].clone();
                let _ = self.world.try_rpc("/", "sendrawtransaction", json!([raw]));
                waited += 1;
            }
        }
        waited
    }

    /// All that waits is mined, until it is final.
    pub(super) fn come_to_rest(&self) {
        self.world.rpc("lockunspent", json!([true]));
        for _ in 0..LAST_BLOCKS {
            self.world.mine(1);
            if self.broadcast_again() == 0 {
                break;
            }
        }
        self.world.mine(self.world.coin().final_depth + 1);
    }

    pub(super) fn count_into(&self, counts: &mut BTreeMap<&'static str, usize>) {
        self.seen.iter().for_each(|(kind, count)| *counts.entry(kind).or_default() += count);
    }
}
