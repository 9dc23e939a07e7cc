//! Credits of deposits on real daemons: at their depth and not a block earlier, taken back when the chain takes the block, and told once whoever dies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "api/client.rs"]
mod client;
mod support;

use std::time::Duration;

use bursar::coin::{Timestamp, Txid};
use bursar::daemon::{RpcWallet, Wallet};
use bursar::keeper::Keeper;
use bursar::ledger::credit::{self, CreditEvent, CreditKind, Reason};
use bursar::ledger::{self, SyncReport};
use bursar::store::Store;
use client::{Client, api_world, token};
use rustix::process::Signal;
use serde_json::Value;
use support::{Generation, PATIENCE, Service, World, free_port, wait_for};

const DEPTHS: [(&str, &str); 2] = [("ledger.credit_depth", "3"), ("ledger.final_depth", "5")];

struct Bench {
    world: World,
    wallet: RpcWallet,
    store: Store,
    _keeper: Keeper,
}

impl Bench {
    /// The stranger has coins of no young block, and what paid us before is credited.
    fn new(generation: Generation) -> Bench {
        let world = World::with(generation, &DEPTHS);
        let (keeper, wallet, store) = world.start_ledger();
        let mut bench = Bench { world, wallet, store, _keeper: keeper };
        bench.world.fund(&["5"]);
        bench.grow(5);
        bench
    }

    fn sync(&mut self) -> SyncReport {
        let report = ledger::sync(&mut self.store, &self.wallet, self.world.coin(), Timestamp::now()).unwrap();
        assert_eq!(self.store.read(ledger::verify).unwrap().fault, None, "{:?}", self.world.generation);
        report
    }

    /// Mines blocks, with a sync after each. Returns how many deposits each credited.
    fn grow(&mut self, blocks: usize) -> Vec<u64> {
        let block = |_| {
            self.world.mine(1);
            self.sync().credited
        };
        (0..blocks).map(block).collect()
    }

    /// What was told of one transaction.
    fn told_of(&mut self, txid: &Txid) -> Vec<CreditEvent> {
        let all = self.store.read(|tx| credit::events(tx, 0, usize::MAX)).unwrap();
        all.into_iter().filter(|event| event.txid == *txid).collect()
    }

    fn pay_in(&self, address: &str, amount: &str) -> Txid {
        let txid = self.world.pay_in(address, amount).parse().unwrap();
        wait_for(Duration::from_secs(20), "the wallet notices the payment", || self.wallet.transaction(&txid).unwrap());
        txid
    }
}

#[test]
fn a_deposit_is_credited_exactly_at_its_depth() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(generation);
        let address = bench.world.new_address();
        let txid = bench.pay_in(&address, "1.5");
        assert_eq!(bench.sync().credited, 0);
        assert_eq!(bench.grow(5), [0, 0, 1, 0, 0], "{generation:?}");
        let [credit] = &bench.told_of(&txid)[..] else { panic!("one credit") };
        assert_eq!((credit.txid, credit.kind, credit.confirmations()), (txid, CreditKind::Credit, Some(3)));
        assert_eq!((credit.address.as_deref(), credit.amount.base_units()), (Some(address.as_str()), 150_000_000));
        let block = bench.world.block_at(credit.block.height);
        assert_eq!(block.as_str(), Some(credit.block.hash.to_string().as_str()), "{generation:?}");
    }
}

#[test]
fn a_deposit_that_is_double_spent_before_its_depth_is_never_credited_and_after_it_is_taken_back() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(generation);
        for depth in [2, 4] {
            let fork = bench.world.height();
            let deposit = bench.pay_in(&bench.world.new_address(), "1");
            bench.grow(depth);
            let rival = bench.world.rival_of(&deposit);
            bench.world.invalidate_from(fork + 1);
            bench.world.mine_elsewhere(&[rival], depth as u64 + 1);
            let report = bench.sync();
            assert_eq!(report.uncredited, if depth < 3 { vec![] } else { vec![deposit] }, "{generation:?}, {depth} blocks");
            bench.grow(4);
            let told: Vec<_> = bench.told_of(&deposit).iter().map(|event| (event.kind, event.reason)).collect();
            let taken_back = [(CreditKind::Credit, None), (CreditKind::Reversal, Some(Reason::Conflicted))];
            assert_eq!(told, if depth < 3 { vec![] } else { taken_back.to_vec() }, "{generation:?}, {depth} blocks");
        }
        assert_eq!(bench.store.read(credit::standing).unwrap().outstanding, 1);
    }
}

#[test]
fn a_deposit_that_is_mined_again_elsewhere_is_taken_back_and_then_credited_again() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(generation);
        let fork = bench.world.height();
        let deposit = bench.pay_in(&bench.world.new_address(), "1");
        assert_eq!(bench.grow(4), [0, 0, 1, 0]);
        bench.world.invalidate_from(fork + 1);
        assert!(bench.wallet.in_mempool(&deposit).unwrap());
        bench.world.mine_to_other_address(6);
        let report = bench.sync();
        assert_eq!((report.credited, report.uncredited), (1, vec![deposit]), "{generation:?}");
        let [first, reversal, second] = &bench.told_of(&deposit)[..] else { panic!("three events") };
        assert_eq!(
            (reversal.kind, reversal.follows, reversal.reason),
            (CreditKind::Reversal, Some(first.seq), Some(Reason::Reorged))
        );
        assert_eq!((second.kind, second.follows), (CreditKind::Credit, Some(reversal.seq)), "{generation:?}");
        assert_eq!(first.block, reversal.block);
        assert_ne!(first.block, second.block);
    }
}

/// All events of the feed, page by page.
fn read_feed(api: &mut Client) -> Vec<Value> {
    let (mut events, mut after) = (Vec::new(), String::new());
    loop {
        let (status, page) = api.get(&format!("/v1/events?limit=2{after}"));
        assert_eq!(status, 200, "{page}");
        let found = page["events"].as_array().unwrap();
        if found.is_empty() {
            return events;
        }
        events.extend(found.clone());
        after = format!("&after={}", page["next"].as_str().unwrap());
    }
}

#[test]
fn whenever_the_service_is_killed_each_deposit_is_credited_once() {
    for generation in Generation::ALL {
        let world = api_world(generation, &[("ledger.credit_depth", "2"), ("schedule.sync", "\"* * * * * *\"")]);
        let token = token(&world, "backend", "read");
        let mut deposits = Vec::new();
        for death in 0..6 {
            let mut service = Service::start(&world);
            deposits.push(world.pay_in(&world.new_address(), "0.5"));
            world.mine(2);
            std::thread::sleep(Duration::from_millis(250 * death));
            service.signal(Signal::KILL);
            service.ended();
        }
        let _service = Service::start(&world);
        world.mine(2);
        world.done(&["ledger", "sync"]);
        let mut api = Client::new(&world, &token);
        let events = read_feed(&mut api);
        let mut credited: Vec<String> = events.iter().map(|event| event["txid"].as_str().unwrap().to_owned()).collect();
        credited.sort();
        deposits.sort();
        assert_eq!(credited, deposits, "{generation:?}");
        assert_eq!(world.done(&["ledger", "verify"])["fault"], Value::Null);
    }
}

#[test]
fn the_feed_waits_for_what_comes_and_refuses_a_cursor_of_another_history() {
    let listen = format!("\"127.0.0.1:{}\"", free_port());
    let world = api_world(Generation::Litecoin021, &[("ledger.credit_depth", "2"), ("http.listen", &listen)]);
    let token = token(&world, "backend", "read");
    let mut service = Service::start(&world);
    let mut api = Client::new(&world, &token);
    let (status, none) = api.get("/v1/events");
    assert_eq!((status, &none["events"], &none["next"]), (200, &serde_json::json!([]), &Value::Null));
    world.fund(&["5"]);
    world.mine(1);
    world.done(&["ledger", "sync"]);
    let (_, funded) = api.get("/v1/events");
    let after = funded["next"].as_str().unwrap().to_owned();
    let address = world.new_address();
    let fork = world.height();
    world.pay_in(&address, "1.25");
    let mut waiting = Client::new(&world, &token);
    let waiter = std::thread::spawn(move || waiting.get(&format!("/v1/events?wait_s=60&after={after}")));
    world.mine(2);
    world.done(&["ledger", "sync"]);
    let (status, page) = waiter.join().unwrap();
    let credit = &page["events"][0];
    assert_eq!((status, &credit["type"], &credit["seq"]), (200, &"credit".into(), &2.into()), "{page}");
    assert_eq!((&credit["amount"], &credit["amount_base_units"]), (&"1.25000000".into(), &"125000000".into()));
    assert_eq!((&credit["address"], &credit["confirmations"], &credit["of"]), (&address.into(), &2.into(), &Value::Null));
    let next = page["next"].as_str().unwrap().to_owned();

    world.invalidate_from(fork + 1);
    world.mine_to_other_address(4);
    world.done(&["ledger", "sync"]);
    service.signal(Signal::KILL);
    service.ended();
    let service = Service::start(&world);
    let (_, page) = Client::new(&world, &token).get(&format!("/v1/events?after={next}"));
    let story: Vec<_> =
        page["events"].as_array().unwrap().iter().map(|event| (&event["type"], &event["of"], &event["reason"])).collect();
    assert_eq!(
        story,
        [(&"reversal".into(), &2.into(), &"reorged".into()), (&"credit".into(), &3.into(), &Value::Null)],
        "{page}"
    );
    let status = world.done(&["status"]);
    assert_eq!((&status["credits"]["reversals"], &status["credits"]["outstanding"]), (&1.into(), &0.into()), "{status}");
    let check =
        world.order(&["check"]).0["checks"].as_array().unwrap().iter().find(|check| check["name"] == "credits").unwrap().clone();
    assert_eq!(check["level"], "warning", "{check}");
    wait_for(PATIENCE, "the metric", || (service.metric("bursar_credit_reversals_total") == "1").then_some(()));

    let mut api = Client::new(&world, &token);
    for ahead in ["9-0123456789abcdef".to_owned(), next.replace("2-", "3-")] {
        let (status, refused) = api.get(&format!("/v1/events?after={ahead}&wait_s=60"));
        assert_eq!((status, &refused["error"]["code"]), (409, &"feed_went_back".into()), "{refused}");
    }
    for wrong in ["after=1", "after=", "limit=0", "limit=1001", "wait_s=61", "wait_s=-1", "before=1"] {
        let (status, refused) = api.get(&format!("/v1/events?{wrong}"));
        assert_eq!((status, &refused["error"]["code"]), (422, &"bad_request".into()), "{wrong}: {refused}");
    }
    let listed = world.done(&["ledger", "events", "--after", "2"]);
    assert_eq!(listed["events"].as_array().map(Vec::len), Some(2), "{listed}");
    let (refused, _) = world.order(&["ledger", "events", "--after", "5"]);
    assert_eq!(refused["error"]["code"], "feed_went_back", "{refused}");
}
