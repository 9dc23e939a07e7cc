//! Audits by each call that tells a wallet's balance: what each includes is known, so that no state of a sound wallet is an alarm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use bursar::audit::{self, Report, Verdict};
use bursar::coin::{Amount, Timestamp, Txid};
use bursar::daemon::{BalanceSource, RpcWallet, Wallet};
use bursar::keeper::Keeper;
use bursar::ledger::{self, Account, Claim};
use bursar::store::Store;
use serde_json::{Value, json};
use support::{BURN_ADDRESS, Call, FaultProxy, Generation, Upstream, World};

/// Fields of `getwalletinfo` that tell balances.
const TOLD_BALANCES: [&str; 3] = ["balance", "unconfirmed_balance", "immature_balance"];

/// What a daemon is made to lack.
#[derive(Clone, Copy)]
enum Lacks {
    Getbalances,
    AllButGetbalance,
}

/// A real daemon behind a proxy that hides better calls.
fn lacking(generation: Generation, lacks: Lacks) -> World {
    let rewrite = move |call: &Call<'_>, upstream: &Upstream| match call.method.as_str() {
        "getbalances" => Some((
            404,
            json!({"result": null, "error": {"code": -32601, "message": "Method not found"}, "id": call.id}).to_string(),
        )),
        "help" if call.params.as_array().is_some_and(Vec::is_empty) => Some(edited(call, upstream, |list| {
            let kept: Vec<&str> = list.as_str().unwrap().lines().filter(|line| *line != "getbalances").collect();
            *list = json!(kept.join("\n"));
        })),
        "getwalletinfo" if matches!(lacks, Lacks::AllButGetbalance) => Some(edited(call, upstream, |info| {
            let fields = info.as_object_mut().into_iter();
            fields.for_each(|fields| fields.retain(|key, _| !TOLD_BALANCES.contains(&key.as_str())));
        })),
        _ => None,
    };
    World::behind(generation, &[], |upstream| FaultProxy::start_rewriting(upstream, Box::new(rewrite)))
}

fn edited(call: &Call<'_>, upstream: &Upstream, edit: impl FnOnce(&mut Value)) -> (u16, String) {
    let (status, body) = upstream.forward(call, None, None).unwrap_or_else(|error| (503, error.to_string()));
    let Ok(mut reply) = serde_json::from_str::<Value>(&body) else { return (status, body) };
    edit(&mut reply["result"]);
    (status, reply.to_string())
}

struct Bench {
    world: World,
    wallet: RpcWallet,
    store: Store,
    keeper: Keeper,
    source: BalanceSource,
}

impl Bench {
    fn new(world: World, source: BalanceSource) -> Bench {
        let (keeper, wallet, store) = world.start_ledger();
        let bench = Bench { world, wallet, store, keeper, source };
        bench.set_fee();
        bench
    }

    fn set_fee(&self) {
        self.world.rpc("settxfee", json!([0.0002]));
    }

    fn restart(&mut self, args: &[&str]) {
        self.keeper.stop().unwrap();
        self.keeper.start(args).unwrap();
        self.set_fee();
    }

    fn audit(&mut self, when: &str) -> Report {
        let report = audit::run(&mut self.store, &self.wallet, self.world.coin(), Timestamp::now()).unwrap();
        let (generation, source) = (self.world.generation, report.wallet.source);
        assert_eq!((source, report.frozen), (self.source, false), "{generation:?} {when}: {report:#?}");
        let told = matches!(source, BalanceSource::Getbalances | BalanceSource::Getwalletinfo);
        assert_eq!((report.wallet.pending.is_some(), report.wallet.immature.is_some()), (told, told), "{generation:?} {when}");
        report
    }

    fn assert_agrees(&mut self, when: &str) {
        let report = self.audit(when);
        assert_eq!(report.verdict, Verdict::Agrees, "{:?} {:?} {when}: {report:#?}", self.world.generation, self.source);
    }

    fn pay(&mut self, mark: &str, outputs: &Value) -> Txid {
        let left = Claim { mark: mark.to_owned(), order: mark.to_owned(), account: Account::Payout };
        self.store.write(|tx| ledger::claim(tx, &left)).unwrap();
        self.world.rpc("sendmany", json!(["", outputs, 1, mark])).as_str().unwrap().parse().unwrap()
    }
}

/// Every state that a sound wallet can be in.
fn nothing_alarms(world: World, source: BalanceSource) {
    let mut bench = Bench::new(world, source);
    bench.world.mine_to_wallet(1);
    bench.assert_agrees("immature");
    bench.world.fund(&["5", "4"]);
    bench.assert_agrees("mature, and deposits");
    bench.pay("one", &json!({BURN_ADDRESS: 1}));
    bench.assert_agrees("an own payment with change in the mempool");
    let own = bench.world.new_address();
    bench.pay("self", &json!({BURN_ADDRESS: 0.5, own: 0.25}));
    bench.assert_agrees("a payment to ourselves");
    bench.world.pay_in(&bench.world.new_address(), "2");
    bench.assert_agrees("a pending receipt");
    bench.world.mine(1);
    let coin = bench.wallet.unspent().unwrap().into_iter().find(|coin| coin.confirmations > 0).unwrap().outpoint;
    bench.world.rpc("lockunspent", json!([false, [{"txid": coin.txid, "vout": coin.vout}]]));
    bench.assert_agrees("a locked coin");
    bench.world.rpc("lockunspent", json!([true]));

    // A daemon that does not broadcast: the wallet answers with a txid, and the mempool does not have it.
    bench.restart(&["-walletbroadcast=0"]);
    let limbo = bench.pay("limbo", &json!({BURN_ADDRESS: 0.125}));
    let report = bench.audit("in limbo");
    assert_eq!((report.verdict, report.residue), (Verdict::Explained, Amount::ZERO), "{report:#?}");
    assert_eq!(report.suspects.iter().map(|suspect| suspect.txid).collect::<Vec<_>>(), [limbo], "{report:#?}");
    bench.world.rpc("abandontransaction", json!([limbo]));
    bench.assert_agrees("abandoned");
    bench.restart(&[]);
    bench.world.mine(4);
    bench.assert_agrees("final");
}

#[test]
fn by_getbalances() {
    for generation in [Generation::Litecoin021, Generation::Knots] {
        nothing_alarms(World::new(generation), BalanceSource::Getbalances);
    }
}

#[test]
fn by_getwalletinfo() {
    nothing_alarms(World::new(Generation::Litecoin018), BalanceSource::Getwalletinfo);
    nothing_alarms(lacking(Generation::Litecoin021, Lacks::Getbalances), BalanceSource::Getwalletinfo);
}

#[test]
fn by_getinfo_of_the_stand_in() {
    nothing_alarms(World::getinfo_standin(), BalanceSource::Getinfo);
}

#[test]
fn by_getbalance_alone() {
    for generation in Generation::ALL {
        nothing_alarms(lacking(generation, Lacks::AllButGetbalance), BalanceSource::Getbalance);
    }
}
