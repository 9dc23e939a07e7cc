//! Several wallets of one daemon: one pays, the other is followed and audited beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::fs;
use std::path::PathBuf;

use bursar::audit::{self, Report, SuspectKind, Verdict};
use bursar::coin::{Timestamp, Txid};
use bursar::daemon::RpcWallet;
use bursar::gate;
use bursar::keeper::Keeper;
use bursar::ledger::credit::{self, CreditKind};
use bursar::ledger::{self, Account, Kind, LedgerError};
use bursar::store::Store;
use serde_json::{Value, json};
use support::{Generation, Service, World, free_port};

const FOLLOWED: &str = "deposits";

fn world(generation: Generation) -> World {
    let listen = format!("\"127.0.0.1:{}\"", free_port());
    let follow = ("wallet.follow", "[\"deposits\"]");
    World::with(generation, &[follow, ("http.listen", listen.as_str()), ("ledger.credit_depth", "2")])
}

/// A call to the followed wallet, past bursar.
fn ask(world: &World, method: &str, params: Value) -> Value {
    world.try_rpc(&format!("/wallet/{FOLLOWED}"), method, params).unwrap_or_else(|refused| panic!("{method}: {refused:?}"))
}

fn new_address(world: &World) -> String {
    ask(world, "getnewaddress", json!([])).as_str().unwrap().to_owned()
}

struct Bench {
    world: World,
    paying: RpcWallet,
    followed: RpcWallet,
    store: Store,
    _keeper: Keeper,
}

impl Bench {
    fn new(generation: Generation) -> Bench {
        let world = world(generation);
        let keeper = world.start_daemon();
        world.node_rpc("createwallet", json!([FOLLOWED]));
        let paying = world.wallet();
        let followed = paying.beside(FOLLOWED);
        let store = Store::open(&world.dir().join("ledger")).unwrap();
        for wallet in ["/wallet/bursar", "/wallet/deposits"] {
            world.try_rpc(wallet, "settxfee", json!([0.0002])).unwrap();
        }
        let mut bench = Bench { world, paying, followed, store, _keeper: keeper };
        bench.sync_paying();
        bench.sync_followed();
        bench
    }

    fn sync_paying(&mut self) {
        ledger::sync(&mut self.store, &self.paying, self.world.coin(), Timestamp::now()).unwrap();
    }

    fn sync_followed(&mut self) {
        ledger::sync(&mut self.store, &self.followed, self.world.coin(), Timestamp::now()).unwrap();
    }

    fn audit(&mut self, wallet: &str) -> Report {
        let of = if wallet == FOLLOWED { &self.followed } else { &self.paying };
        audit::run(&mut self.store, of, self.world.coin(), Timestamp::now()).unwrap()
    }

    fn balance(&mut self, wallet: &str, account: Account) -> i64 {
        self.store.read(|tx| ledger::balance_of(tx, wallet, account)).unwrap().base_units()
    }

    fn frozen(&mut self) -> Vec<Option<String>> {
        self.store.read(gate::frozen).unwrap().into_iter().map(|frozen| frozen.freeze.wallet).collect()
    }

    fn kinds(&mut self, txid: &Txid) -> Vec<(String, Account, Kind, i64)> {
        let entries = self.store.read(|tx| ledger::entries(tx, 0, usize::MAX)).unwrap().into_iter();
        let of = entries.filter(|entry| entry.txid == Some(*txid));
        of.map(|entry| (entry.wallet, entry.account, entry.kind, entry.amount.base_units())).collect()
    }
}

fn txid(value: &Value) -> Txid {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn each_wallet_has_its_own_books_and_thaws_its_own_freeze() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(generation);
        bench.world.fund(&["5"]);
        bench.world.pay_in(&new_address(&bench.world), "3");
        bench.world.mine(3);
        for wallet in ["bursar", FOLLOWED] {
            let report = bench.audit(wallet);
            assert_eq!((report.of.as_str(), report.verdict), (wallet, Verdict::Agrees), "{generation:?}: {report:#?}");
        }
        assert_eq!(
            (bench.balance("bursar", Account::Deposit), bench.balance(FOLLOWED, Account::Deposit)),
            (-500_000_000, -300_000_000)
        );
        assert_eq!(bench.store.read(|tx| ledger::balance(tx, Account::Wallet)).unwrap().base_units(), 500_000_000);

        // Both pay a stranger by hand: each audit names its own.
        let outside = bench.world.outside_address();
        let by_followed = txid(&ask(&bench.world, "sendtoaddress", json!([outside, 1])));
        let by_paying = txid(&bench.world.rpc("sendtoaddress", json!([outside, 1])));
        for (wallet, txid) in [("bursar", by_paying), (FOLLOWED, by_followed)] {
            let report = bench.audit(wallet);
            let named: Vec<_> = report.suspects.iter().map(|suspect| (suspect.txid, suspect.kind)).collect();
            assert_eq!((report.verdict, named), (Verdict::Unexplained, vec![(txid, SuspectKind::Unexplained)]), "{generation:?}");
        }
        assert_eq!(bench.frozen(), [None, Some(FOLLOWED.to_owned())]);
        let explain = |bench: &mut Bench, wallet, txid| {
            ledger::explain(&mut bench.store, wallet, &txid, Account::Payout, "by hand", "ada", Timestamp::now())
        };
        assert!(
            matches!(explain(&mut bench, Some("bursar"), by_followed), Err(LedgerError::Unknown { .. })),
            "it is the other one's"
        );
        explain(&mut bench, None, by_followed).unwrap();
        assert_eq!(bench.audit("bursar").verdict, Verdict::Unexplained);
        assert_eq!(bench.audit(FOLLOWED).verdict, Verdict::Agrees);
        assert_eq!(bench.frozen(), [None], "{generation:?}: the paying wallet's");
        explain(&mut bench, None, by_paying).unwrap();
        assert_eq!(bench.audit("bursar").verdict, Verdict::Agrees);
        assert_eq!(bench.frozen(), [] as [Option<String>; 0]);
        assert_eq!(bench.store.read(ledger::verify).unwrap().fault, None);
    }
}

/// Whichever side is seen first, in the mempool or in a block, the same books come of it.
#[test]
fn what_moves_between_two_wallets_is_internal_on_both_sides() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(generation);
        bench.world.fund(&["5"]);
        bench.world.pay_in(&new_address(&bench.world), "3");
        bench.world.mine(1);
        bench.sync_paying();
        bench.sync_followed();

        let there = txid(&bench.world.rpc("sendtoaddress", json!([new_address(&bench.world), 1])));
        bench.sync_paying();
        assert_eq!(bench.balance("bursar", Account::Unexplained), 100_000_000, "{generation:?}: the other side is not seen yet");
        bench.world.mine(1);
        bench.sync_followed();
        assert_eq!((bench.balance("bursar", Account::Unexplained), bench.balance("bursar", Account::Internal)), (0, 100_000_000));
        assert_eq!(
            (bench.balance(FOLLOWED, Account::Internal), bench.balance(FOLLOWED, Account::Deposit)),
            (-100_000_000, -300_000_000)
        );
        let transfers = bench.kinds(&there).into_iter().filter(|(_, _, kind, _)| *kind == Kind::Transfer).count();
        assert_eq!(transfers, 4, "two events of two entries");

        let back = txid(&ask(&bench.world, "sendtoaddress", json!([bench.world.new_address(), 2])));
        bench.world.mine(1);
        bench.sync_paying();
        assert_eq!(bench.balance("bursar", Account::Deposit), -700_000_000, "{generation:?}: the payer is not seen yet");
        bench.sync_followed();
        assert_eq!((bench.balance("bursar", Account::Deposit), bench.balance(FOLLOWED, Account::Unexplained)), (-500_000_000, 0));
        let internal = bench.balance("bursar", Account::Internal) + bench.balance(FOLLOWED, Account::Internal);
        assert_eq!((internal, bench.balance("bursar", Account::Internal)), (0, -100_000_000));

        bench.world.mine(10);
        for wallet in ["bursar", FOLLOWED] {
            let report = bench.audit(wallet);
            assert_eq!((report.verdict, report.frozen), (Verdict::Agrees, false), "{generation:?}: {report:#?}");
        }
        let credited = bench.store.read(|tx| credit::events(tx, 0, 100)).unwrap();
        assert!(
            credited.iter().all(|event| event.txid != there && event.txid != back),
            "{generation:?}: neither {there} nor {back} is a deposit: {credited:#?}"
        );
        assert_eq!(credited.len(), 2, "{generation:?}: {credited:#?}");
        let unordered = bench.store.read(ledger::unordered).unwrap();
        assert_eq!(unordered.iter().map(|(txid, _)| *txid).collect::<Vec<_>>(), [there], "a hand was at the paying wallet");
        assert_eq!(bench.store.read(ledger::verify).unwrap().fault, None);
    }
}

/// A reorg takes one side back before the other, and both meet again.
#[test]
fn a_transfer_that_is_reorged_out_and_in_again_stays_internal() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(generation);
        bench.world.fund(&["5"]);
        bench.sync_paying();
        let moved = txid(&bench.world.rpc("sendtoaddress", json!([new_address(&bench.world), 1])));
        bench.world.mine(1);
        bench.sync_paying();
        bench.sync_followed();
        assert_eq!(bench.balance(FOLLOWED, Account::Internal), -100_000_000, "{generation:?}");
        let tip = bench.world.node_rpc("getbestblockhash", json!([]));
        bench.world.node_rpc("invalidateblock", json!([tip]));
        let synced = ledger::sync(&mut bench.store, &bench.followed, bench.world.coin(), Timestamp::now()).unwrap();
        assert!(synced.uncredited.is_empty(), "{generation:?}: it was never credited: {synced:?}");
        assert_eq!((bench.balance(FOLLOWED, Account::Internal), bench.balance(FOLLOWED, Account::Wallet)), (0, 0));
        bench.sync_paying();
        assert_eq!(bench.balance("bursar", Account::Internal), 100_000_000, "{generation:?}: it is in the mempool again");
        bench.world.mine_to_other_address(2);
        bench.sync_followed();
        bench.sync_paying();
        for (wallet, internal) in [("bursar", 100_000_000), (FOLLOWED, -100_000_000)] {
            let (account, deposit) = (bench.balance(wallet, Account::Internal), bench.balance(FOLLOWED, Account::Deposit));
            assert_eq!((account, deposit), (internal, 0), "{generation:?}: {:#?}", bench.kinds(&moved));
            assert_eq!(bench.audit(wallet).verdict, Verdict::Agrees, "{generation:?}");
        }
        assert_eq!(bench.store.read(ledger::verify).unwrap().fault, None);
    }
}

#[test]
fn a_transfer_that_was_credited_before_it_was_known_as_one_is_not_credited_again() {
    let mut bench = Bench::new(Generation::Knots);
    bench.world.fund(&["5"]);
    let moved = txid(&bench.world.rpc("sendtoaddress", json!([new_address(&bench.world), 1])));
    bench.world.mine(2);
    bench.sync_followed();
    bench.sync_paying();
    assert_eq!(bench.balance(FOLLOWED, Account::Internal), -100_000_000);
    let block = bench.world.rpc("gettransaction", json!([moved]))["blockhash"].clone();
    bench.world.node_rpc("invalidateblock", json!([block]));
    bench.world.mine_to_other_address(4);
    bench.sync_followed();
    bench.sync_paying();
    let events = bench.store.read(|tx| credit::events(tx, 0, 100)).unwrap().into_iter();
    let kinds: Vec<_> = events.filter(|event| event.txid == moved).map(|event| event.kind).collect();
    assert_eq!(kinds, [CreditKind::Credit, CreditKind::Reversal], "{:#?}", bench.kinds(&moved));
    assert_eq!(bench.store.read(ledger::verify).unwrap().fault, None);
}

/// Where the daemon keeps the wallet's files.
fn folder(world: &World) -> PathBuf {
    let chain = world.coin().chain_dir();
    let wallets = chain.join("wallets");
    if wallets.is_dir() { wallets.join(FOLLOWED) } else { chain.join(FOLLOWED) }
}

fn followed_status(world: &World) -> Value {
    world.done(&["status"])["followed"][0].clone()
}

#[test]
fn a_followed_wallet_that_is_away_hinders_nothing_and_shows() {
    for generation in Generation::ALL {
        let world = world(generation);
        let service = Service::start(&world);
        let error = followed_status(&world)["error"].clone();
        let (words, next) = (error["message"].as_str().expect("it does not exist yet"), error["next"].as_str().unwrap());
        assert!(words.contains(FOLLOWED) && next.contains("or take it off wallet.follow"), "{generation:?}: {error}");
        assert_eq!(service.metric("bursar_wallet_followed"), "0");
        world.node_rpc("createwallet", json!([FOLLOWED]));
        world.done(&["ledger", "sync"]);
        assert_eq!(followed_status(&world)["error"], Value::Null, "{generation:?}");
        world.fund(&["5"]);
        world.pay_in(&new_address(&world), "3");
        world.mine(2);
        let (audit, code) = world.order(&["audit", "run"]);
        assert_eq!(
            (code, &audit["verdict"], &audit["followed"][0]["report"]["verdict"]),
            (0, &json!("agrees"), &json!("agrees"))
        );
        let balances = world.done(&["ledger", "balance"]);
        let held = balances["balances"].as_array().unwrap().iter().filter(|line| line["account"] == "wallet");
        let held: Vec<_> = held.map(|line| (line["wallet"].as_str().unwrap(), line["amount"].as_i64().unwrap())).collect();
        assert_eq!(held, [("bursar", 500_000_000), (FOLLOWED, 300_000_000)], "{generation:?}");

        // A restart loads both.
        world.done(&["daemon", "restart"]);
        let loaded = world.node_rpc("listwallets", json!([]));
        let loaded: Vec<&str> = loaded.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert!(loaded.contains(&FOLLOWED) && loaded.contains(&"bursar"), "{generation:?}: {loaded:?}");

        // Somebody unloads it and takes its files away.
        world.node_rpc("unloadwallet", json!([FOLLOWED]));
        let away = world.dir().join("away");
        fs::rename(folder(&world), &away).unwrap();
        world.pay_in(&world.new_address(), "1");
        world.mine(2);
        let (audit, code) = world.order(&["audit", "run"]);
        assert_eq!((code, &audit["verdict"]), (3, &json!("agrees")), "{generation:?}: {audit:#}");
        assert!(
            audit["followed"][0]["error"]["message"].is_string() && audit["followed"][0]["report"].is_null(),
            "{generation:?}"
        );
        assert!(followed_status(&world)["error"]["message"].is_string());
        let (check, code) = world.order(&["check"]);
        let found = check["checks"].as_array().unwrap().iter().find(|check| check["name"] == "followed_wallet").unwrap().clone();
        assert_eq!((code, &found["level"]), (2, &json!("critical")), "{generation:?}");
        assert_eq!(world.done(&["status"])["frozen"], json!([]), "{generation:?}: payouts are open");
        fs::rename(&away, folder(&world)).unwrap();
        let (audit, code) = world.order(&["audit", "run"]);
        assert_eq!(code, 0, "{generation:?}: {audit:#}");
        assert_eq!(followed_status(&world)["error"], Value::Null);
        drop(service);
    }
}

/// Until it is confirmed, too: the receiving wallet knows of it, so that nothing is lost.
#[test]
fn what_moves_between_two_wallets_freezes_nothing_on_its_way() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(generation);
        bench.world.fund(&["5"]);
        bench.world.pay_in(&new_address(&bench.world), "3");
        bench.world.mine(1);
        assert_eq!((bench.audit("bursar").verdict, bench.audit(FOLLOWED).verdict), (Verdict::Agrees, Verdict::Agrees));

        for from in ["bursar", FOLLOWED] {
            let moved = if from == FOLLOWED {
                ask(&bench.world, "sendtoaddress", json!([bench.world.new_address(), 1]))
            } else {
                bench.world.rpc("sendtoaddress", json!([new_address(&bench.world), 1]))
            };
            // The audit itself asks the other wallet, however young the payment is.
            let report = bench.audit(from);
            let named: Vec<_> = report.suspects.iter().map(|suspect| (suspect.txid, suspect.kind)).collect();
            assert_eq!(named, [(txid(&moved), SuspectKind::Transfer)], "{generation:?}: {report:#?}");
            assert_eq!((report.verdict, report.frozen), (Verdict::Explained, false), "{generation:?}: {report:#?}");
            bench.world.mine(1);
            bench.sync_followed();
            let other = if from == FOLLOWED { "bursar" } else { FOLLOWED };
            for wallet in [other, from] {
                let report = bench.audit(wallet);
                assert_eq!((report.verdict, report.suspects.len()), (Verdict::Agrees, 0), "{generation:?}: {report:#?}");
                assert_eq!(bench.balance(wallet, Account::Unexplained), 0);
            }
        }

        // A part of it to a stranger is a payment to a stranger.
        let amounts = json!({new_address(&bench.world): 1, bench.world.outside_address(): 0.5});
        let mixed = txid(&bench.world.rpc("sendmany", json!(["", amounts])));
        let report = bench.audit("bursar");
        let named: Vec<_> = report.suspects.iter().map(|suspect| (suspect.txid, suspect.kind)).collect();
        assert_eq!((report.verdict, report.frozen), (Verdict::Unexplained, true), "{generation:?}");
        assert_eq!(named, [(mixed, SuspectKind::Unexplained)], "{generation:?}");
    }
}

/// A transfer on its way that loses its coin to a payment to a stranger; and one into a wallet that is followed no more.
#[test]
fn only_what_another_followed_wallet_awaits_is_a_transfer() {
    let mut bench = Bench::new(Generation::Knots);
    bench.world.fund(&["5"]);
    assert_eq!(bench.audit("bursar").verdict, Verdict::Agrees);
    let moved = txid(&bench.world.rpc("sendtoaddress", json!([new_address(&bench.world), 1])));
    assert_eq!(bench.audit("bursar").verdict, Verdict::Explained);
    let mut alone = bench.world.coin().clone();
    alone.wallet.follow.clear();
    let report = audit::run(&mut bench.store, &bench.paying, &alone, Timestamp::now()).unwrap();
    assert_eq!((report.verdict, report.frozen), (Verdict::Unexplained, true), "{report:#?}");
    assert_eq!(bench.audit("bursar").verdict, Verdict::Explained);
    assert_eq!(bench.frozen(), [None], "what is explained thaws nothing");

    let known = bench.world.rpc("gettransaction", json!([moved]))["hex"].clone();
    let input = bench.world.node_rpc("decoderawtransaction", json!([known]))["vin"][0].clone();
    let inputs = json!([{"txid": input["txid"], "vout": input["vout"], "sequence": 0}]);
    let raw = bench.world.node_rpc("createrawtransaction", json!([inputs, {bench.world.outside_address(): 4.5}]));
    let signed = bench.world.rpc("signrawtransactionwithwallet", json!([raw]))["hex"].clone();
    let instead = txid(&bench.world.node_rpc("sendrawtransaction", json!([signed, 0])));
    bench.world.mine(1);
    bench.sync_followed();
    let report = bench.audit("bursar");
    let named: Vec<_> = report.suspects.iter().map(|suspect| (suspect.txid, suspect.kind)).collect();
    assert!(named.contains(&(instead, SuspectKind::Unexplained)), "{report:#?}");
    assert!(named.iter().all(|(_, kind)| *kind != SuspectKind::Transfer), "{report:#?}");
    assert_eq!((report.verdict, report.frozen), (Verdict::Unexplained, true));
    assert_eq!(bench.balance(FOLLOWED, Account::Wallet), 0);
}

#[test]
fn an_audit_is_explained_in_the_wallet_that_it_is_of() {
    let world = world(Generation::Knots);
    drop(world.start_daemon());
    world.node_rpc("createwallet", json!([FOLLOWED]));
    world.fund(&["5"]);
    world.pay_in(&new_address(&world), "3");
    world.mine(1);
    world.done(&["ledger", "sync"]);
    let by_followed = ask(&world, "sendtoaddress", json!([world.outside_address(), 1]));
    let by_followed = by_followed.as_str().unwrap();
    assert_eq!(world.order(&["audit", "run"]).1, 2);
    let last = |more: &[&str]| world.order(&[&["audit", "explain"], more].concat());
    for asked in [&["--last"][..], &[by_followed], &[by_followed, "--wallet", FOLLOWED]] {
        let (told, code) = last(asked);
        assert_eq!((code, &told["wallet"], &told["unasked"]), (0, &json!(FOLLOWED), &Value::Null), "{asked:?}: {told:#}");
        let dossier = &told["dossiers"][0];
        assert_eq!((&dossier["txid"], &dossier["suspect"]["kind"]), (&json!(by_followed), &json!("unexplained")), "{told:#}");
        assert!(dossier["wallet"].is_object(), "{told:#}");
    }
    let (told, _) = last(&["--last", "--wallet", "bursar"]);
    assert_eq!((&told["wallet"], &told["verdict"], &told["dossiers"]), (&json!("bursar"), &json!("agrees"), &json!([])));

    let by_paying = world.rpc("sendtoaddress", json!([world.outside_address(), 1]));
    assert_eq!(world.order(&["audit", "run"]).1, 2);
    let (refused, code) = last(&["--last"]);
    assert_eq!((&refused["error"]["code"], code), (&json!("several_wallets"), 2), "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("'bursar', 'deposits'"), "{refused}");
    assert_eq!(last(&[by_paying.as_str().unwrap()]).0["wallet"], "bursar");
    let (refused, code) = last(&["--last", "--wallet", "cold"]);
    assert_eq!((&refused["error"]["code"], code), (&json!("no_such_wallet"), 2));
    assert!(refused["error"]["message"].as_str().unwrap().contains("which name 'bursar', 'deposits'"), "{refused}");
    let elsewhere = last(&[by_paying.as_str().unwrap(), "--wallet", FOLLOWED]).0["dossiers"][0].clone();
    assert_eq!(elsewhere["ledger"]["elsewhere"], json!(["bursar"]), "{elsewhere:#}");
    assert!(elsewhere["next"].as_str().unwrap().starts_with("it is of wallet 'bursar': `bursar audit explain"), "{elsewhere:#}");
}

/// A transfer is in both: neither is taken for the other.
#[test]
fn a_transaction_of_two_wallets_is_explained_in_the_one_that_is_named() {
    let world = world(Generation::Knots);
    drop(world.start_daemon());
    world.node_rpc("createwallet", json!([FOLLOWED]));
    world.fund(&["5"]);
    world.done(&["ledger", "sync"]);
    let moved = world.rpc("sendtoaddress", json!([new_address(&world), 1]));
    let moved = moved.as_str().unwrap();
    // On its way the paying wallet's audit names it, and that makes it no less the other one's.
    let (audit, code) = world.order(&["audit", "run"]);
    assert_eq!((code, &audit["suspects"][0]["kind"]), (1, &json!("transfer")), "{audit:#}");
    let refused = world.order(&["audit", "explain", moved]);
    assert_eq!((&refused.0["error"]["code"], refused.1), (&json!("several_wallets"), 2), "{refused:?}");
    world.mine(1);
    world.done(&["audit", "run"]);
    assert_eq!(world.order(&["audit", "explain", moved]).0["error"]["code"], "several_wallets");
    for (wallet, other) in [("bursar", FOLLOWED), (FOLLOWED, "bursar")] {
        let told = world.done(&["audit", "explain", moved, "--wallet", wallet]);
        let ledger = &told["dossiers"][0]["ledger"];
        assert_eq!((&told["wallet"], &ledger["elsewhere"]), (&json!(wallet), &json!([other])), "{told:#}");
    }
    let told = printed(&world, &["audit", "explain", moved, "--wallet", FOLLOWED]);
    assert!(told.contains("it is in wallet 'bursar', too: --wallet bursar"), "{told}");
    let postings: Vec<&str> = told.lines().filter(|line| line.contains("  event ")).collect();
    assert!(postings.iter().any(|line| line.contains("wallet 'bursar'  transfer  internal")), "{told}");
    assert!(postings.iter().any(|line| line.contains("wallet 'deposits'  transfer  internal")), "{told}");
    assert!(postings.iter().all(|line| line.contains("  wallet 'bursar'  ") || line.contains("  wallet 'deposits'  ")), "{told}");
    let history = printed(&world, &["audit", "history"]);
    assert!(history.lines().all(|line| line.contains("  'bursar' ") || line.contains("  'deposits' ")), "{history}");
}

/// What a person reads.
fn printed(world: &World, args: &[&str]) -> String {
    String::from_utf8(world.bursar(args).stdout).unwrap()
}
