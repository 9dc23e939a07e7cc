//! The repair ladder on real daemons: what a wallet lost comes back, nothing is touched before it is copied, and every step can be
//! broken off and gone on with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bursar::audit::{self, Verdict};
use bursar::coin::{Amount, Timestamp, Txid};
use bursar::config::{CoinSettings, DaemonMode};
use bursar::daemon::{FeeChoice, SendMany, Wallet};
use bursar::gate::{self, Cause};
use bursar::keeper::{Keeper, KeeperError, ProcessState, wallet_dir};
use bursar::ledger::{self, Account, Claim};
use bursar::repair::{self, Moment, Progress, Refusal, RepairError, RepairReport, Step};
use bursar::store::{Store, StoreError};
use serde_json::json;
use sha2::{Digest, Sha256};
use support::{FaultProxy, Generation, World};

const NOW: Timestamp = Timestamp(1_767_323_045);

/// A world with deposits and an ordered payment, all final, whose audit agrees.
fn lived_in(world: &World) -> (Store, Keeper) {
    let keeper = world.start_daemon();
    world.fund(&["1.5", "2.25", "0.75"]);
    let mut store = Store::open(&world.coin().service_dir()).unwrap();
    ledger::sync(&mut store, &world.wallet(), world.coin(), NOW).unwrap();
    pay_out(world, &mut store, "one");
    world.mine(world.coin().final_depth);
    assert_eq!(audited(world, &mut store).verdict, Verdict::Agrees);
    (store, keeper)
}

/// An ordered payment to a stranger, as `payout` makes it.
fn pay_out(world: &World, store: &mut Store, order: &str) -> Txid {
    let mark = format!("bursar:{}:1:{order}", store.id());
    let claim = Claim { mark: mark.clone(), order: order.to_owned(), account: Account::Payout };
    store.write::<_, StoreError>(|tx| ledger::claim(tx, &claim)).unwrap();
    let outputs = [(world.outside_address(), Amount::from_base_units(20_000_000))];
    let order = SendMany { rpc_id: order, comment: &mark, outputs: &outputs, fee: FeeChoice::Daemons };
    world.wallet().send_many(&order).unwrap()
}

fn audited(world: &World, store: &mut Store) -> audit::Report {
    audit::run(store, &world.wallet(), world.coin(), NOW).unwrap()
}

fn causes(store: &mut Store) -> Vec<Cause> {
    store.read(gate::frozen).unwrap().into_iter().map(|freeze| freeze.freeze.cause).collect()
}

/// A confirmed transaction of the wallet, picked at random.
fn picked(world: &World) -> Txid {
    let listed = world.wallet().list_since(None).unwrap();
    let confirmed: BTreeSet<Txid> = listed.iter().filter(|entry| entry.confirmations > 0).map(|entry| entry.txid).collect();
    let mut random = [0; 1];
    getrandom::fill(&mut random).unwrap();
    *confirmed.iter().nth(usize::from(random[0]) % confirmed.len()).unwrap()
}

fn lose(world: &World, txid: &Txid) {
    world.rpc("removeprunedfunds", json!([txid]));
    assert!(world.wallet().transaction(txid).unwrap().is_none());
}

/// What the wallet can spend, by the daemon's own words.
fn unspent(world: &World) -> Amount {
    Amount::sum(world.wallet().unspent().unwrap().into_iter().map(|coin| coin.amount)).unwrap()
}

fn run(store: &mut Store, keeper: &mut Keeper, coin: &CoinSettings) -> Result<RepairReport, RepairError> {
    repair::run(store, keeper, coin, &mut |_| ControlFlow::Continue(()), NOW)
}

/// Runs with `act` at one moment of one step.
fn run_with(
    store: &mut Store,
    keeper: &mut Keeper,
    coin: &CoinSettings,
    at: (Step, Moment),
    mut act: impl FnMut(&Progress),
) -> Result<RepairReport, RepairError> {
    let mut observer = |progress: &Progress| {
        if (progress.step, progress.moment) == at {
            act(progress);
        }
        ControlFlow::Continue(())
    };
    repair::run(store, keeper, coin, &mut observer, NOW)
}

fn copy_of(store: &mut Store) -> PathBuf {
    store.read(|tx| repair::history(tx, 1)).unwrap()[0].folder.join("wallet-copy")
}

fn hash(file: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(file).unwrap()))
}

fn heals(world: &World) -> RepairReport {
    let (mut store, mut keeper) = lived_in(world);
    let before = unspent(world);
    let lost = picked(world);
    lose(world, &lost);
    let audit = audited(world, &mut store);
    assert_eq!(audit.verdict, Verdict::Unexplained);
    assert!(audit.suspects.iter().any(|suspect| suspect.txid == lost), "{lost}: {:?}", audit.suspects);
    assert_eq!(causes(&mut store), [Cause::Audit]);
    let plan = repair::plan(&mut store, &mut keeper, world.coin()).unwrap();
    assert_eq!(plan.steps.len(), Step::ALL.len(), "{plan}");
    assert_eq!(causes(&mut store), [Cause::Audit], "a plan changes nothing");

    let report = run(&mut store, &mut keeper, world.coin()).unwrap();
    assert!(report.agrees, "{report:?}");
    assert_eq!(report.next, None);
    assert_eq!(causes(&mut store), []);
    assert_eq!(unspent(world), before);
    assert!(world.wallet().transaction(&lost).unwrap().is_some());
    assert!(store.read(repair::unfinished).unwrap().is_none());
    report
}

#[test]
fn a_transaction_that_the_wallet_lost_comes_back_on_every_generation() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let report = heals(&world);
        let rescan = report.repair.steps.iter().find(|record| record.step == Step::Rescan).unwrap();
        assert!(rescan.detail.contains("rescanblockchain"), "{}", rescan.detail);
        assert!(report.repair.folder.join("wallet-copy/wallet.dat").is_file());
        assert!(report.repair.folder.join("SHA256SUMS").is_file());
    }
}

#[test]
fn a_daemon_without_rescanblockchain_is_started_with_rescan() {
    let world = World::getinfo_standin();
    let report = heals(&world);
    let rescan = report.repair.steps.iter().find(|record| record.step == Step::Rescan).unwrap();
    assert!(rescan.detail.contains("-rescan"), "{}", rescan.detail);
    assert!(report.repair.folder.join("wallet-copy/wallet.dat").is_file());
}

#[test]
fn broken_off_at_every_moment_of_every_step_it_goes_on_and_ends_well() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let (mut store, _) = lived_in(&world);
        let lost = picked(&world);
        lose(&world, &lost);
        let mut seen = Vec::new();
        let report = loop {
            // As a new process would: nothing is carried over but the store and the daemon.
            drop(store);
            store = Store::open(&world.coin().service_dir()).unwrap();
            let mut broken_off = false;
            let mut observer = |progress: &Progress| {
                let moment = (progress.step, progress.moment);
                if seen.contains(&moment) {
                    return ControlFlow::Continue(());
                }
                seen.push(moment);
                broken_off = true;
                ControlFlow::Break(())
            };
            match repair::run(&mut store, &mut world.keeper(), world.coin(), &mut observer, NOW) {
                Ok(report) => break report,
                Err(RepairError::Interrupted(_)) => assert!(broken_off),
                Err(error) => panic!("after {:?}: {error}", seen.last()),
            }
            let history = store.read(|tx| repair::history(tx, 10)).unwrap();
            assert_eq!(history.len(), 1, "one repair is gone on with");
            // Only between the audit and the end of the repair has an audit agreed already.
            let may_be_thawed = matches!(seen.last(), Some((Step::Audit, Moment::Effected | Moment::Done)));
            assert!(may_be_thawed || causes(&mut store).contains(&Cause::Repair));
        };
        assert_eq!(seen.len(), 3 * Step::ALL.len());
        assert!(report.agrees && causes(&mut store).is_empty());
        assert!(world.wallet().transaction(&lost).unwrap().is_some());
    }
}

#[test]
fn before_the_verified_copy_exists_nothing_of_the_wallet_changes() {
    let world = World::new(Generation::Litecoin018);
    let (mut store, mut keeper) = lived_in(&world);
    let wallet_file = wallet_dir(world.coin()).join("wallet.dat");
    let mut stopped = None;
    let mut observer = |progress: &Progress| {
        match (progress.step, progress.moment) {
            (Step::Stop, Moment::Done) => stopped = Some(hash(&wallet_file)),
            (Step::Copy, Moment::Done) => assert_eq!(Some(hash(&wallet_file)), stopped),
            (Step::Rescan, Moment::Begun) => return ControlFlow::Break(()),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let error = repair::run(&mut store, &mut keeper, world.coin(), &mut observer, NOW).unwrap_err();
    assert!(matches!(error, RepairError::Interrupted(Step::Rescan)), "{error}");
    let copy = copy_of(&mut store);
    assert_eq!(Some(hash(&copy.join("wallet.dat"))), stopped);

    // A copy that is not whole any more is no copy: the wallet stays untouched.
    fs::write(copy.join("wallet.dat"), "gone").unwrap();
    let error = run(&mut store, &mut keeper, world.coin()).unwrap_err();
    assert!(matches!(error, RepairError::CopyDiffers(_)), "{error}");
    assert_eq!(Some(hash(&wallet_file)), stopped);
    assert_eq!(keeper.state(), ProcessState::Stopped);
}

#[test]
fn a_pending_payment_that_the_wallet_and_the_network_lost_is_broadcast_again() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let (mut store, mut keeper) = lived_in(&world);
        let older = world.dir().join("older-wallet.dat");
        world.wallet().backup_to(&older).unwrap();
        let pending = pay_out(&world, &mut store, "two");
        ledger::sync(&mut store, &world.wallet(), world.coin(), NOW).unwrap();
        let coin = world.coin();
        let forget = |_: &Progress| {
            fs::copy(&older, wallet_dir(coin).join("wallet.dat")).unwrap();
            fs::remove_file(coin.chain_dir().join("mempool.dat")).unwrap();
        };
        let report = run_with(&mut store, &mut keeper, coin, (Step::Copy, Moment::Done), forget).unwrap();
        let noted = report.repair.pending.iter().find(|noted| noted.txid == pending).unwrap();
        assert!(noted.own && noted.fate.as_deref() == Some("broadcast again"), "{generation:?}: {:?}", noted.fate);
        assert!(world.wallet().in_mempool(&pending).unwrap());
        let list = fs::read_to_string(report.repair.folder.join("pending-transactions.txt")).unwrap();
        assert!(list.lines().any(|line| line == format!("{pending} {}", noted.raw_hex)));
        assert!(report.agrees, "{generation:?}: {:?}", report.audit);
    }
}

#[test]
fn another_wallet_in_the_place_of_ours_stops_the_repair_and_the_daemon() {
    let world = World::new(Generation::Litecoin021);
    let (mut store, mut keeper) = lived_in(&world);
    let stranger = World::new(Generation::Litecoin021);
    let _other_keeper = stranger.start_daemon();
    let other = stranger.dir().join("other-wallet.dat");
    stranger.wallet().backup_to(&other).unwrap();
    let coin = world.coin();
    let swap = |_: &Progress| {
        fs::copy(&other, wallet_dir(coin).join("wallet.dat")).unwrap();
    };
    let error = run_with(&mut store, &mut keeper, coin, (Step::Copy, Moment::Done), swap).unwrap_err();
    assert!(matches!(error, RepairError::OtherWallet { .. }), "{error}");
    assert_eq!(keeper.state(), ProcessState::Stopped);
    assert_eq!(causes(&mut store), [Cause::Repair]);

    // The copy goes back by hand, and the repair goes on.
    fs::copy(copy_of(&mut store).join("wallet.dat"), wallet_dir(coin).join("wallet.dat")).unwrap();
    assert!(run(&mut store, &mut keeper, coin).unwrap().agrees);
}

#[test]
fn a_wallet_that_still_differs_stays_frozen_and_the_next_rung_is_named() {
    let world = World::new(Generation::Knots);
    let (mut store, mut keeper) = lived_in(&world);
    let lost = picked(&world);
    let lose_again = |_: &Progress| lose(&world, &lost);
    let report = run_with(&mut store, &mut keeper, world.coin(), (Step::Rebroadcast, Moment::Done), lose_again).unwrap();
    assert!(!report.agrees);
    assert!(report.next.is_some_and(|next| next.contains("salvage")));
    assert!(causes(&mut store).contains(&Cause::Repair));
    // It ended; the next one is a new one.
    assert!(store.read(repair::unfinished).unwrap().is_none());
    let report = repair::run(&mut store, &mut keeper, world.coin(), &mut |_| ControlFlow::Continue(()), Timestamp(NOW.0 + 60));
    assert!(report.unwrap().agrees);
    assert_eq!(store.read(|tx| repair::history(tx, 10)).unwrap().len(), 2);
}

#[test]
fn no_audit_before_the_tip_is_regained() {
    let world = World::new(Generation::Litecoin018);
    let (mut store, mut keeper) = lived_in(&world);
    let tip = world.node_rpc("getbestblockhash", json!([]));
    let lose_block = |_: &Progress| {
        world.node_rpc("invalidateblock", json!([tip]));
    };
    let error = run_with(&mut store, &mut keeper, world.coin(), (Step::Rebroadcast, Moment::Done), lose_block).unwrap_err();
    assert!(matches!(error, RepairError::TipNotRegained { .. }), "{error}");
    assert_eq!(causes(&mut store), [Cause::Repair]);
    world.node_rpc("reconsiderblock", json!([tip]));
    assert!(run(&mut store, &mut keeper, world.coin()).unwrap().agrees);
}

#[test]
fn a_daemon_that_crashed_is_repaired_without_notes() {
    let world = World::new(Generation::Knots);
    let (mut store, _) = lived_in(&world);
    world.node_rpc("gettxoutsetinfo", json!([])); // has the blocks written: a crash loses those that are not
    world.kill_daemon();
    let report = run(&mut store, &mut world.keeper(), world.coin()).unwrap();
    assert!(report.repair.steps[0].detail.contains("does not run"), "{}", report.repair.steps[0].detail);
    assert!(report.agrees, "{:?}", report.audit);
}

#[test]
fn a_wallet_that_the_daemon_replaced_by_a_partial_one_is_copied_before_the_next_start() {
    let world = World::new(Generation::Litecoin018);
    let (mut store, mut keeper) = lived_in(&world);
    keeper.stop().unwrap();
    let file = wallet_dir(world.coin()).join("wallet.dat");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let error = keeper.start(&[]).unwrap_err();
    assert!(matches!(error, KeeperError::NotStarted { .. }), "{error}");
    assert!(matches!(keeper.start(&[]), Err(KeeperError::SuspectWallet { .. })));
    // The ladder's first rungs cannot heal this; what counts is that all that is left is in the copy, the daemon's own copy included.
    let result = run(&mut store, &mut keeper, world.coin());
    let copied: Vec<String> =
        fs::read_dir(copy_of(&mut store)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(copied.iter().any(|name| name.ends_with(".bak")), "{copied:?}");
    assert!(!causes(&mut store).is_empty(), "{result:?}");
    assert!(!result.is_ok_and(|report| report.agrees));
}

#[test]
fn what_cannot_be_repaired_safely_is_refused_and_nothing_is_frozen() {
    let world = World::new(Generation::Litecoin021);
    let (mut store, mut keeper) = lived_in(&world);
    let mut attached = world.coin().clone();
    attached.daemon.mode = DaemonMode::Attach;
    let error = run(&mut store, &mut Keeper::new(&attached), &attached).unwrap_err();
    assert!(matches!(error, RepairError::Refused(Refusal::Attached)), "{error}");

    let proxy = FaultProxy::start_rewriting(
        world.coin().daemon.rpc_connect,
        Box::new(|call, upstream| {
            let (status, body) = upstream.forward(call, None, None).ok()?;
            let pruned = body.replace("\"pruned\":false", "\"pruned\":true,\"pruneheight\":120");
            Some((status, if call.method == "getblockchaininfo" { pruned } else { body }))
        }),
    );
    let mut pruned = world.coin().clone();
    pruned.daemon.rpc_connect = proxy.address();
    let error = run(&mut store, &mut keeper, &pruned).unwrap_err();
    assert!(matches!(error, RepairError::Refused(Refusal::Pruned(120))), "{error}");
    assert_eq!(causes(&mut store), []);
    assert!(matches!(keeper.state(), ProcessState::Running { .. }));
    assert!(store.read(repair::unfinished).unwrap().is_none());
}
