//! What an audit tells of each transaction and coin that it names, against real daemons.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use bursar::audit::{self, CoinSide, Dossier, Report, SuspectKind, Verdict};
use bursar::coin::{Amount, Timestamp, Txid};
use bursar::daemon::{RpcWallet, Wallet};
use bursar::keeper::Keeper;
use bursar::ledger::credit::CreditKind;
use bursar::ledger::{self, Account, Claim, TxState};
use bursar::store::Store;
use serde_json::{Value, json};
use support::{BURN_ADDRESS, Fault, Generation, World};

struct Bench {
    world: World,
    wallet: RpcWallet,
    store: Store,
    _keeper: Keeper,
}

impl Bench {
    fn new(world: World) -> Bench {
        let (keeper, wallet, store) = world.start_ledger();
        world.rpc("settxfee", json!([0.0002]));
        Bench { world, wallet, store, _keeper: keeper }
    }

    fn audit(&mut self) -> Report {
        audit::run(&mut self.store, &self.wallet, self.world.coin(), Timestamp::now()).unwrap()
    }

    fn told(&mut self, txid: &Txid) -> Dossier {
        ledger::sync(&mut self.store, &self.wallet, self.world.coin(), Timestamp::now()).unwrap();
        let told = audit::explain(&mut self.store, "bursar", Ok(&self.wallet), self.world.coin(), Some(txid)).unwrap();
        assert_eq!(told.dossiers[0].unasked, None, "{told:#?}");
        told.dossiers.into_iter().next().unwrap()
    }

    fn claimed_batch(&mut self, mark: &str, outputs: &Value) {
        let left = Claim { mark: mark.to_owned(), order: mark.to_owned(), account: Account::Payout };
        self.store.write(|tx| ledger::claim(tx, &left)).unwrap();
        self.world.rpc("sendmany", json!(["", outputs, 1, mark]));
    }
}

/// A wallet with one transaction of every kind; returns them by name.
fn with_history(bench: &mut Bench) -> Vec<(&'static str, Txid)> {
    let world = &bench.world;
    let first = |entries: Value| entries[0]["txid"].as_str().unwrap().parse().unwrap();
    world.mine_to_wallet(1);
    let mature = first(world.rpc("listtransactions", json!(["*", 1])));
    world.fund(&["7"]);
    let spent_later = first(world.rpc("listtransactions", json!(["*", 1])));
    bench.audit();
    let outside = bench.world.outside_address();
    let coin = bench.wallet.unspent().unwrap().into_iter().find(|coin| coin.outpoint.txid == mature);
    assert!(coin.is_some(), "mature by now");
    bench.claimed_batch("batch", &json!({ outside: 6.5, BURN_ADDRESS: 0.25 }));
    let batch = first(bench.world.rpc("listtransactions", json!(["*", 1])));
    bench.world.mine(1);
    let deposit = bench.world.pay_in(&bench.world.new_address(), "1.25").parse().unwrap();
    bench.world.mine(4);
    bench.world.mine_to_wallet(1);
    let immature = first(bench.world.rpc("listtransactions", json!(["*", 1])));
    vec![
        ("mature coinbase", mature),
        ("a deposit that was spent later", spent_later),
        ("a batch", batch),
        ("a deposit", deposit),
        ("immature coinbase", immature),
    ]
}

/// What each side knows of a lost transaction is told, and where the sums differ, each coin that makes the difference, to the unit.
fn assert_explained(bench: &mut Bench, lost: &Txid, report: &Report, context: &str) {
    let told = audit::explain(&mut bench.store, "bursar", Ok(&bench.wallet), bench.world.coin(), None).unwrap();
    assert_eq!((told.dossiers.len(), told.unasked.as_ref()), (report.suspects.len(), None), "{context}");
    let dossier = told.dossiers.iter().find(|dossier| dossier.txid == *lost).unwrap();
    assert_eq!(dossier.suspect.as_ref().map(|suspect| suspect.kind), Some(SuspectKind::Lost), "{context}");
    let immature = matches!(dossier.ledger.followed.as_ref().unwrap().state, TxState::Immature { .. });
    assert_eq!(dossier.ledger.postings.is_empty(), immature, "{context}: {dossier:#?}");
    assert_eq!(dossier.wallet, None, "{context}");
    let chain = dossier.chain.as_ref().unwrap();
    assert!(!chain.in_mempool && chain.blocks.len() == 1 && chain.blocks[0].active, "{context}: {chain:#?}");
    let Some(coins) = &report.coins else {
        assert_eq!(report.difference, Amount::ZERO, "{context}");
        return;
    };
    let sum = |side| Amount::sum(coins.named.iter().filter(|coin| coin.side == side).map(|coin| coin.amount.unwrap())).unwrap();
    let stray = sum(CoinSide::Ledger).checked_sub(sum(CoinSide::Wallet)).unwrap();
    // What a payment spent is only known as long as the wallet knows the payment.
    if coins.note.is_none() {
        assert_eq!(stray, report.difference, "{context}");
        assert!(coins.named.iter().all(|coin| coin.unspent == Some(coin.side == CoinSide::Ledger)), "{context}");
    }
}

fn each_side_is_told(world: World) {
    let mut bench = Bench::new(world);
    let history = with_history(&mut bench);
    assert_eq!(bench.audit().verdict, Verdict::Agrees);
    for (what, lost) in history {
        bench.world.rpc("removeprunedfunds", json!([lost]));
        let report = bench.audit();
        let context = format!("{:?}, lost {what} {lost}: {report:#?}", bench.world.generation);
        assert_eq!(report.verdict, Verdict::Unexplained, "{context}");
        assert_explained(&mut bench, &lost, &report, &context);
        // Past the stand-in, which hides this call.
        bench.world.rpc("rescanblockchain", json!([0]));
        assert_eq!(bench.audit().verdict, Verdict::Agrees, "{context}");
    }
}

#[test]
fn each_side_of_a_lost_transaction_is_told_and_each_coin_that_makes_the_difference() {
    Generation::ALL.into_iter().for_each(|generation| each_side_is_told(World::new(generation)));
    each_side_is_told(World::getinfo_standin());
}

/// Neither ledger nor wallet know of it, and they agree: only the chain does.
#[test]
fn a_coin_of_a_wallet_that_was_never_told_is_found_on_the_chain() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(World::with(generation, &[("audit.scan_chain", "true")]));
        bench.world.mine_to_wallet(1);
        bench.world.fund(&["5", "4"]);
        bench.audit();
        bench.claimed_batch("paid", &json!({ BURN_ADDRESS: 1 }));
        let coin = bench.wallet.unspent().unwrap().into_iter().find(|coin| coin.confirmations > 0).unwrap().outpoint;
        bench.world.rpc("lockunspent", json!([false, [{"txid": coin.txid, "vout": coin.vout}]]));
        let deep =
            |bench: &mut Bench| audit::run_deep(&mut bench.store, &bench.wallet, bench.world.coin(), Timestamp::now()).unwrap();
        let report = deep(&mut bench);
        let chain = report.chain.clone().unwrap();
        assert_eq!(
            (report.verdict, chain.note, chain.missed),
            (Verdict::Agrees, None, (0, Amount::ZERO)),
            "{generation:?}: {report:#?}"
        );
        assert!(chain.coins >= 2 && chain.total > Amount::ZERO, "{report:#?}");

        let forgotten: Txid = bench.world.pay_in(&bench.world.new_address(), "1.5").parse().unwrap();
        bench.world.mine(1);
        bench.world.rpc("removeprunedfunds", json!([forgotten]));
        let report = deep(&mut bench);
        let chain = report.chain.clone().unwrap();
        assert_eq!((report.verdict, report.difference, report.frozen), (Verdict::Unexplained, Amount::ZERO, true), "{report:#?}");
        let unlisted: Vec<(Txid, i64)> =
            chain.unlisted.iter().map(|coin| (coin.outpoint.txid, coin.amount.base_units())).collect();
        assert_eq!((unlisted, chain.missed.0), (vec![(forgotten, 150_000_000)], 1), "{generation:?}: {report:#?}");
        assert!(report.remarks[0].starts_with("the chain holds 1 coins"), "{:?}", report.remarks);
        bench.world.rpc("rescanblockchain", json!([0]));
        assert_eq!(deep(&mut bench).chain.unwrap().missed.0, 0, "{generation:?}");
    }
}

/// From the mempool by its credit to the reorg that takes both back, and back again.
#[test]
fn the_way_of_a_deposit_is_told_with_its_credit_and_what_to_expect() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(World::with(generation, &[("ledger.credit_depth", "2")]));
        bench.audit();
        let deposit: Txid = bench.world.pay_in(&bench.world.new_address(), "1.25").parse().unwrap();
        let told = bench.told(&deposit);
        let at =
            told.chain.unwrap().outputs.into_iter().find(|output| output.amount == Some(Amount::from_base_units(125_000_000)));
        assert!(at.is_some_and(|output| output.unspent == Some(true) && output.in_mempool), "{generation:?}");
        assert_eq!(told.next, "nothing: it is posted when a block has it", "{generation:?}");

        bench.world.mine(1);
        let told = bench.told(&deposit);
        let confirmations = told.ledger.confirmations.unwrap();
        let waiting: Vec<i64> = told.ledger.waiting.iter().map(|deposit| deposit.amount.base_units()).collect();
        assert_eq!((confirmations.now, confirmations.to_credit, waiting), (1, 2, vec![125_000_000]), "{generation:?}");
        assert!(told.chain.unwrap().outputs.iter().all(|output| !output.in_mempool), "{generation:?}");
        assert_eq!(told.next, "nothing: it is credited when it is deep enough", "{generation:?}");

        bench.world.mine(1);
        let told = bench.told(&deposit);
        let kinds = |told: &Dossier| told.ledger.credits.iter().map(|event| event.kind).collect::<Vec<_>>();
        assert_eq!((kinds(&told), told.ledger.waiting.len()), (vec![CreditKind::Credit], 0), "{generation:?}");

        let height = bench.world.node_rpc("getblockcount", json!([])).as_u64().unwrap();
        let lost = bench.world.node_rpc("getblockhash", json!([height - 1]));
        bench.world.node_rpc("invalidateblock", json!([lost]));
        let told = bench.told(&deposit);
        assert_eq!(kinds(&told), [CreditKind::Credit, CreditKind::Reversal], "{generation:?}");
        assert!(
            told.next.starts_with("it lost its block, and what was posted for it is taken back."),
            "{generation:?}: {told:#?}"
        );
        bench.world.mine_to_other_address(2);
        let told = bench.told(&deposit);
        assert_eq!(kinds(&told), [CreditKind::Credit, CreditKind::Reversal, CreditKind::Credit], "{generation:?}");
    }
}

/// A person reads who said what of a payment by hand, and not by which order bursar remembers it.
#[test]
fn a_persons_word_is_told_by_name_and_reason() {
    let world = World::new(Generation::Knots);
    drop(world.start_daemon());
    world.fund(&["5"]);
    world.done(&["ledger", "sync"]);
    let paid = world.rpc("sendtoaddress", json!([BURN_ADDRESS, 1]));
    let paid = paid.as_str().unwrap();
    world.done(&["ledger", "sync"]);
    world.done(&["ledger", "explain", paid, "--as", "payout", "--reason", "ticket 812"]);
    let told = String::from_utf8(world.bursar(&["audit", "explain", paid]).stdout).unwrap();
    let noted: Vec<&str> = told.lines().filter(|line| line.contains(": ticket 812)")).collect();
    assert_eq!(noted.len(), 1, "{told}");
    assert!(noted[0].contains("  wallet 'bursar'  explained  "), "{told}");
    assert!(!told.contains("bursar:explained"), "{told}");
}

/// One answer that is missing is told with its transaction, and the others with theirs.
#[test]
fn a_transaction_that_cannot_be_asked_about_hinders_no_other_one() {
    let world = World::behind_proxy(Generation::Knots);
    let mut bench = Bench::new(world);
    bench.world.fund(&["5", "4"]);
    bench.audit();
    let outside = bench.world.outside_address();
    let pay = |bench: &Bench| bench.world.rpc("sendtoaddress", json!([outside, 1])).as_str().unwrap().parse::<Txid>().unwrap();
    let paid = [pay(&bench), pay(&bench)];
    assert_eq!(bench.audit().suspects.len(), 2);
    let refused = Fault::Refuse(-1, "cannot be decoded".to_owned());
    bench.world.proxy.as_ref().unwrap().once("gettransaction", refused);
    let told = audit::explain(&mut bench.store, "bursar", Ok(&bench.wallet), bench.world.coin(), None).unwrap();
    let asked: Vec<bool> = told.dossiers.iter().map(|dossier| dossier.unasked.is_none()).collect();
    assert_eq!((told.unasked.as_ref(), asked), (None, vec![false, true]), "{told:#?}");
    assert!(told.dossiers.iter().all(|dossier| paid.contains(&dossier.txid) && dossier.ledger.followed.is_some()));
}

/// The word binds to what the person saw: also to what is left of it later, and to nothing that comes beside it.
#[test]
fn a_person_overrules_what_is_unexplained_and_what_is_left_of_it() {
    let world = World::new(Generation::Knots);
    drop(world.start_daemon());
    world.fund(&["5"]);
    world.done(&["ledger", "sync"]);
    let pay = || world.rpc("sendtoaddress", json!([BURN_ADDRESS, 0.5])).as_str().unwrap().to_owned();
    let run = || {
        let output = world.bursar(&["audit", "run"]);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let paid = [pay(), pay()];
    let (code, text) = run();
    assert!(code == Some(2) && text.contains(", 2 named, frozen by (1) audit of 'bursar'\n"), "{text}");
    assert!(text.ends_with("payouts are frozen: `bursar status` says why\n"), "{text}");
    let status = String::from_utf8(world.bursar(&["status"]).stdout).unwrap();
    assert!(status.contains("(1) ledger and wallet hold the same amount, but 2 transactions are wrong ("), "{status}");
    assert!(paid.iter().all(|txid| status.contains(txid)), "{status}");

    world.done(&["audit", "thaw", "1", "--reason", "known", "--yes"]);
    let left_open = |what: &str| {
        let (code, text) = run();
        assert!(code == Some(2) && !text.contains("frozen by"), "{what}: {text}");
        assert!(text.ends_with("payouts are open: a person lifted the freeze for just this\n"), "{what}: {text}");
    };
    left_open("both");
    world.done(&["ledger", "explain", &paid[0], "--as", "payout", "--reason", "ticket 812"]);
    left_open("what is left of them");
    pay();
    let (code, text) = run();
    assert!(code == Some(2) && text.contains("frozen by (3) audit of 'bursar'"), "{text}");
}

/// As a person orders it: what froze thaws with the word itself, and no word is taken twice.
#[test]
fn a_spend_that_froze_thaws_when_it_is_explained() {
    let world = World::with(Generation::Knots, &[("payouts.method", "\"journaled\"")]);
    drop(world.start_daemon());
    world.fund(&["5"]);
    world.done(&["ledger", "sync"]);
    world.rpc("settxfee", json!([0.0002]));
    let by_hand = world.rpc("sendtoaddress", json!([world.outside_address(), 1]));
    let by_hand = by_hand.as_str().unwrap();
    let explain = |txid: &str| world.order(&["ledger", "explain", txid, "--as", "payout", "--reason", "by hand"]);
    let (unknown, code) = explain(&Txid::from_bytes([7; 32]).to_string());
    let next = unknown["error"]["next"].as_str().unwrap_or_default();
    assert!(code == 1 && next.starts_with("`bursar ledger sync`"), "{unknown:#}");
    assert_eq!(world.order(&["audit", "run"]).1, 2);
    let (check, _) = world.order(&["check"]);
    assert!(check["checks"].to_string().contains("\"1 transactions without an explanation at"), "{check:#}");
    world.done(&["ledger", "sync"]);
    let frozen = world.done(&["status"])["frozen"].clone();
    assert!(frozen.as_array().unwrap().iter().any(|frozen| frozen["freeze"]["cause"] == "unknown_spend"), "{frozen:#}");
    let (explained, code) = explain(by_hand);
    assert_eq!(code, 0, "{explained:#}");
    let frozen = world.done(&["status"])["frozen"].clone();
    assert!(frozen.as_array().unwrap().iter().all(|frozen| frozen["freeze"]["cause"] != "unknown_spend"), "{frozen:#}");
    let (again, code) = explain(by_hand);
    let words = again["error"]["message"].as_str().unwrap_or_default();
    assert!(code == 1 && words.contains("stands under payout already"), "{again:#}");
}
