//! What the payout tests share: a funded world with a store, and the chain as judge.
#![allow(dead_code, unreachable_pub, reason = "each test uses another part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use bursar::coin::Timestamp;
use bursar::config::CoinSettings;
use bursar::daemon::{RpcWallet, Wallet};
use bursar::keeper::Keeper;
use bursar::payout::{
    self, BatchReport, Filter, FlushReport, KeptHost, LocalHost, Observer, PayoutError, PayoutId, Request, ResolveReport,
    SettleReport, State, Step, Submitted,
};
use bursar::service::{self, Answer, Failure, Order};
use bursar::store::Store;
use serde_json::{Value, json};

use crate::support::{FaultProxy, Generation, World};

/// A script that nobody holds the key of, as an address: version 111 is the same on all regtest chains.
pub fn payee(number: u32) -> String {
    let mut bytes = vec![111];
    bytes.extend(hash_of(number));
    bs58::encode(bytes).with_check().into_string()
}

/// The locking script of [`payee`], in hex.
pub fn script_of(number: u32) -> String {
    format!("76a914{}88ac", hex::encode(hash_of(number)))
}

/// Never all zero: that one gets the rewards of mined blocks.
fn hash_of(number: u32) -> [u8; 20] {
    let mut hash = [0x77; 20];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    hash
}

/// A taproot address.
pub fn taproot(hrp: &str) -> String {
    let hrp = bech32::Hrp::parse(hrp).unwrap();
    bech32::segwit::encode(hrp, bech32::segwit::VERSION_1, &[7; 32]).unwrap()
}

/// The setting of the method.
pub const JOURNALED: (&str, &str) = ("payouts.method", "'journaled'");

/// A world that pays by it.
pub fn journaled(generation: Generation) -> Bench {
    Bench::new(World::with(generation, &[JOURNALED]))
}

/// Payouts `p0`, `p1` and so on of a tenth, to the payee of their number.
pub fn submit_some(bench: &mut Bench, numbers: std::ops::Range<u32>) {
    for n in numbers {
        bench.submit(&format!("p{n}"), &payee(n), "0.1");
    }
}

/// A flush that sends all in one batch.
pub fn flush_one(bench: &mut Bench) -> BatchReport {
    let report = bench.flush();
    assert!(report.batches.len() == 1 && report.waiting.is_none(), "{report:?}");
    report.batches[0].clone()
}

/// Does something once, after the first step that fits.
pub struct At<F, G> {
    fits: F,
    act: Option<G>,
}

impl<F: Fn(&Step) -> bool, G: FnOnce()> At<F, G> {
    pub fn new(fits: F, act: G) -> At<F, G> {
        At { fits, act: Some(act) }
    }
}

impl<F: Fn(&Step) -> bool, G: FnOnce()> Observer for At<F, G> {
    fn step(&mut self, step: Step) {
        if (self.fits)(&step)
            && let Some(act) = self.act.take()
        {
            act();
        }
    }
}

/// A world with ten coins of 10 each, its daemon, and a store.
pub struct Bench {
    pub store: Store,
    pub keeper: Keeper,
    pub world: World,
    pub attached: Option<CoinSettings>,
}

impl Bench {
    pub fn new(world: World) -> Bench {
        let keeper = world.start_daemon();
        world.fund(&["10"; 10]);
        let store = Store::open(&world.coin().service_dir()).unwrap();
        Bench { store, keeper, world, attached: None }
    }

    pub fn proxy(&self) -> &FaultProxy {
        self.world.proxy.as_ref().expect("a world behind a proxy")
    }

    /// The daemon is started again after it was stopped or killed.
    pub fn restart(&mut self) {
        self.keeper = self.world.start_daemon();
    }

    /// The bench of a world whose daemon runs and whose store is not open elsewhere.
    pub fn open(world: World, keeper: Keeper) -> Bench {
        let store = Store::open(&world.coin().service_dir()).unwrap();
        Bench { store, keeper, world, attached: None }
    }

    /// Closes the store, so that others can open it.
    pub fn part(self) -> (World, Keeper) {
        let Bench { store, keeper, world, .. } = self;
        drop(store);
        (world, keeper)
    }

    /// A killed daemon loses blocks that are not on disk; this puts them there.
    pub fn flush_chain_to_disk(&self) {
        self.world.node_rpc("gettxoutsetinfo", json!([]));
    }

    pub fn submit(&mut self, id: &str, address: &str, amount: &str) {
        assert!(self.try_submit(id, address, amount).unwrap().new);
    }

    pub fn try_submit(&mut self, id: &str, address: &str, amount: &str) -> Result<Submitted, PayoutError> {
        let wallet = self.world.wallet();
        payout::submit(&mut self.store, Some(&wallet), self.world.coin(), &request(id, address, amount), Timestamp::now())
    }

    /// As while the daemon is away: it cannot be asked about the address.
    pub fn submit_unasked(&mut self, id: &str, address: &str, amount: &str) {
        payout::submit(&mut self.store, None, self.world.coin(), &request(id, address, amount), Timestamp::now()).unwrap();
    }

    pub fn flush(&mut self) -> FlushReport {
        self.try_flush().unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn try_flush(&mut self) -> Result<FlushReport, PayoutError> {
        let wallet = self.world.wallet();
        self.flush_with(&wallet, &mut ())
    }

    pub fn flush_with(&mut self, wallet: &dyn Wallet, observer: &mut dyn Observer) -> Result<FlushReport, PayoutError> {
        let coin = self.world.coin();
        payout::flush(&mut self.store, wallet, coin, &LocalHost { coin }, observer, payout::Occasion::Person, Timestamp::now())
    }

    pub fn settle(&mut self) -> SettleReport {
        let wallet = self.world.wallet();
        payout::settle(&mut self.store, &wallet, self.world.coin(), Timestamp::now()).unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn resolve(&mut self) -> ResolveReport {
        self.try_resolve(false).unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn try_resolve(&mut self, restarted_by_hand: bool) -> Result<ResolveReport, PayoutError> {
        let Bench { store, keeper, world, attached } = self;
        let coin = attached.as_ref().unwrap_or(world.coin());
        let connect = &mut || RpcWallet::connect(coin).map(|wallet| Box::new(wallet) as Box<dyn Wallet>);
        let mut host = KeptHost { host: LocalHost { coin }, keeper };
        payout::resolve(store, connect, &mut host, coin, restarted_by_hand, &mut (), Timestamp::now())
    }

    pub fn resolve_watched(&mut self, fits: &dyn Fn(&Step) -> bool, act: &dyn Fn(&World)) -> Result<ResolveReport, PayoutError> {
        let Bench { store, keeper, world, .. } = self;
        let coin = world.coin();
        let connect = &mut || RpcWallet::connect(coin).map(|wallet| Box::new(wallet) as Box<dyn Wallet>);
        let mut at = At::new(fits, || act(world));
        let mut host = KeptHost { host: LocalHost { coin }, keeper };
        payout::resolve(store, connect, &mut host, coin, false, &mut at, Timestamp::now())
    }

    pub fn state(&mut self, id: &str) -> State {
        payout::show(&mut self.store, &id.parse().unwrap()).unwrap().payout.state
    }

    pub fn ids_in(&mut self, state: State) -> Vec<PayoutId> {
        let filter = Filter { state: Some(state), limit: usize::MAX, ..Filter::default() };
        payout::list(&mut self.store, &filter).unwrap().into_iter().map(|payout| payout.id).collect()
    }

    /// Whether a batch may have been sent.
    pub fn in_doubt(&mut self) -> bool {
        self.count(State::Sending) + self.count(State::InDoubt) > 0
    }

    pub fn count(&mut self, state: State) -> u64 {
        payout::totals(&mut self.store).unwrap().get(&state).map_or(0, |(count, _)| *count)
    }

    /// Carries out an order as `bursar` does, with the store of this bench.
    pub fn order(&mut self, order: &Order) -> Result<Answer, Failure> {
        let elsewhere = Store::open(&self.world.dir().join("elsewhere")).unwrap();
        drop(std::mem::replace(&mut self.store, elsewhere));
        let opened = service::World::open(&self.world.settings, self.world.coin(), service::WithoutStore::Begin);
        let mut service = opened.unwrap_or_else(|failure| panic!("{failure:?}"));
        let answer = service.execute(order);
        drop(service);
        self.store = Store::open(&self.world.coin().service_dir()).unwrap();
        answer
    }

    /// The store of an earlier time takes the place of the present one.
    pub fn replace_store(&mut self, old: &Path) {
        let dir = self.world.coin().service_dir();
        let elsewhere = Store::open(&self.world.dir().join("elsewhere")).unwrap();
        drop(std::mem::replace(&mut self.store, elsewhere));
        for file in ["bursar.db-wal", "bursar.db-shm"] {
            fs::remove_file(dir.join(file)).ok();
        }
        fs::copy(old, dir.join("bursar.db")).unwrap();
        self.store = Store::open(&dir).unwrap();
    }

    /// Every output of every block, by locking script: the amounts in base units. Read past bursar.
    pub fn paid_on_chain(&self) -> HashMap<String, Vec<i64>> {
        paid_on_chain(&self.world)
    }
}

/// Of the usual priority.
pub fn request(id: &str, address: &str, amount: &str) -> Request {
    let priority = payout::Priority::Normal;
    Request { id: id.to_owned(), address: address.to_owned(), amount: amount.to_owned(), priority }
}

/// Every output of every block of the active chain, by locking script.
pub fn paid_on_chain(world: &World) -> HashMap<String, Vec<i64>> {
    let mut paid: HashMap<String, Vec<i64>> = HashMap::new();
    let tip = world.node_rpc("getblockcount", json!([])).as_u64().unwrap();
    for height in 1..=tip {
        let hash = world.node_rpc("getblockhash", json!([height]));
        let block = world.node_rpc("getblock", json!([hash, 2]));
        for output in block["tx"].as_array().unwrap().iter().flat_map(|tx| tx["vout"].as_array().unwrap()) {
            let script = output["scriptPubKey"]["hex"].as_str().unwrap().to_owned();
            paid.entry(script).or_default().push(units(&output["value"]));
        }
    }
    paid
}

/// Whole coins as printed to base units, without our own parser.
fn units(value: &Value) -> i64 {
    let text = value.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}{fraction:0<8}").parse().unwrap()
}
