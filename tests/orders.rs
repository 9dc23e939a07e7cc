//! Every order and every answer survives the control socket: written as JSON and read back, each says the same, to the unit.
//!
//! With `arbitrary_precision` a number that goes through a buffer on its way (an internally tagged, flattened or untagged type) can be
//! written and not be read: only a read-back shows it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "orders/audit.rs"]
mod audit_answers;
#[path = "orders/ledger.rs"]
mod ledger_answers;
#[path = "orders/status.rs"]
mod status;

use std::collections::BTreeMap;
use std::path::PathBuf;

use audit_answers::{an_audit, an_explanation};
use bursar::audit;
use bursar::backup::{self, Destination};
use bursar::coin::{Amount, BlockHash, Chain, FeeRate, OutPoint, Timestamp, Txid};
use bursar::daemon::health::{Condition, ConditionKind, Severity};
use bursar::daemon::staking::StakingVerdict;
use bursar::daemon::{BalanceSource, Balances, Tip, WalletIdentity};
use bursar::gate::{Cause, Freeze, InForce};
use bursar::keeper::{Phase, ProcessState};
use bursar::ledger::{self, Account, Kind};
use bursar::payout::rules::Fate;
use bursar::payout::{self, BatchState, Resolution, State};
use bursar::repair;
use bursar::service::{
    Answer, AuditSummary, DaemonReport, Failure, FollowedAudit, FollowedStatus, FollowedSync, KeeperWords, LastFlush, Order,
    QueueStatus, StatusReport, exit,
};
use ledger_answers::{a_checkpoint, a_credit_event, a_posting, a_statement, a_sync, a_verification, some_followed};
use serde::Serialize;
use serde::de::DeserializeOwned;
use status::{a_flush, a_status};

/// The largest amount: more digits than a float keeps.
const MOST: Amount = Amount::from_base_units(i64::MAX);
const LEAST: Amount = Amount::from_base_units(i64::MIN + 1);
const TIME: Timestamp = Timestamp(1_800_000_000);

fn txid() -> Txid {
    Txid::from_bytes([0xab; 32])
}

fn tip() -> Tip {
    Tip { height: u64::MAX, hash: BlockHash::from_bytes([1; 32]) }
}

fn back<T: Serialize + DeserializeOwned>(value: &T) {
    let written = serde_json::to_string(value).unwrap();
    let read: T = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
}

fn id() -> payout::PayoutId {
    "caller's \"own\" é".parse().unwrap()
}

fn batch_id() -> payout::BatchId {
    payout::BatchId::from_bytes([7; 16])
}

fn a_payout() -> payout::Payout {
    payout::Payout {
        seq: i64::MAX,
        id: id(),
        address: "addr".to_owned(),
        amount: MOST,
        priority: payout::Priority::Normal,
        state: State::InDoubt,
        reason: Some("why".to_owned()),
        batch: Some(batch_id()),
        not_sent_count: u32::MAX,
        submitted: TIME,
    }
}

fn a_batch() -> payout::Batch {
    payout::Batch {
        id: batch_id(),
        seq: u64::MAX,
        state: BatchState::Disputed,
        mark: "bursar:s:1:b".to_owned(),
        node: "127.0.0.1:1".to_owned(),
        wallet: String::new(),
        fingerprint: Some("f".to_owned()),
        boot_id: "boot".to_owned(),
        tip: tip(),
        method: bursar::config::Method::Sendmany,
        fee_rate: Some(bursar::coin::FeeRate::from_per_kvb(u64::MAX)),
        not_sent_count: 2,
        created: TIME,
        doubt_since: Some(TIME),
        doubt_reason: Some("lost".to_owned()),
        fenced: Some(TIME),
        outcome: None,
    }
}

fn a_detail() -> payout::Detail {
    let line = payout::HistoryLine { at: TIME, from: None, to: State::Queued, reason: None, batch: Some(batch_id()) };
    let member = payout::Member { txid: txid(), raw_hex: None, matched: Some(false) };
    payout::Detail {
        payout: a_payout(),
        history: vec![line],
        batch: Some(a_batch()),
        transactions: vec![member],
        confirmations: Some(u64::MAX),
        waits_for: Some("w".to_owned()),
    }
}

fn resolutions() -> payout::ResolveReport {
    let all = [
        Resolution::Sent { txids: vec![txid()] },
        Resolution::NotSent { times: u32::MAX },
        Resolution::Held,
        Resolution::Disputed { reasons: vec!["r".to_owned()] },
        Resolution::Waiting { waits_for: "w".to_owned() },
    ];
    let batch = |resolution| payout::ResolvedBatch { id: batch_id(), doubt: "d".to_owned(), resolution };
    payout::ResolveReport { batches: all.into_iter().map(batch).collect(), open: doubt() }
}

fn doubt() -> payout::DoubtReport {
    let fate = |fate| payout::CoinInDoubt { outpoint: OutPoint { txid: txid(), vout: u32::MAX }, amount: Some(MOST), fate };
    let fates = [Fate::Unspent, Fate::NotFinal(txid()), Fate::PaysAPayee(txid()), Fate::Swept(txid())];
    let batch = a_batch();
    let explanation = payout::Explanation {
        id: batch.id,
        seq: u64::MAX,
        state: payout::BatchState::Disputed,
        method: batch.method,
        created: batch.created,
        payouts: usize::MAX,
        total: MOST,
        doubt_since: None,
        answer: Some("a".to_owned()),
        disputed_because: None,
        tip_then: tip(),
        tip_now: Some(tip()),
        fenced: Some(batch.created),
        look: "l".to_owned(),
        breaks: vec!["b".to_owned()],
        transactions: vec![],
        coins: fates.into_iter().map(fate).collect(),
        waits_for: "w".to_owned(),
        can_do: vec!["c".to_owned()],
    };
    payout::DoubtReport { batches: vec![explanation], held: vec![id()] }
}

fn a_plan() -> payout::Plan {
    let output =
        payout::rules::PlannedOutput { address: "a".to_owned(), script_hex: "76".to_owned(), amount: MOST, payouts: vec![id()] };
    let left_over = Some(payout::rules::LeftOver::Funds);
    payout::Plan {
        outputs: vec![output],
        payouts: 1,
        total: MOST,
        price: payout::rules::Price::default(),
        vbytes: 141,
        fee: MOST,
        saving_percent: 100,
        left_over,
        patient: u64::MAX,
        rejects: vec![payout::RejectedPayout { id: id(), reason: "dust".to_owned() }],
        planned_at: TIME,
        decimals: 8,
        spend: None,
    }
}

fn a_backup() -> backup::BackupReport {
    let destination = Destination { directory: PathBuf::from("/b"), error: Some("full".to_owned()) };
    backup::BackupReport {
        archive: "a.bursar.age".to_owned(),
        created: TIME,
        sha256: "0".repeat(64),
        size_bytes: u64::MAX,
        destinations: vec![destination],
        complete: false,
    }
}

fn a_manifest() -> backup::Manifest {
    let member = backup::Member { name: "wallet.dat".to_owned(), size_bytes: u64::MAX, sha256: "0".repeat(64) };
    let wallet = WalletIdentity { name: "w".to_owned(), fingerprint: None, tx_count: u64::MAX, keypool: 1, encrypted: true };
    backup::Manifest {
        schema: 1,
        bursar_version: "0".to_owned(),
        instance: "ltc".to_owned(),
        coin: "litecoin".to_owned(),
        chain: Chain::Regtest,
        created: TIME,
        wallet,
        wallet_format: backup::WalletFormat::Bdb,
        tip: tip(),
        addresses: vec![backup::OwnAddress { address: "a".to_owned(), is_mine: true }],
        store_id: "s".to_owned(),
        ledger: a_verification(),
        members: vec![member],
    }
}

fn a_drill() -> backup::DrillReport {
    let check = backup::Check { name: "n".to_owned(), passed: true, detail: "d".to_owned() };
    backup::DrillReport {
        file: PathBuf::from("/b/a"),
        sha256: "0".repeat(64),
        started: TIME,
        archive_created: TIME,
        checks: vec![check],
        passed: true,
    }
}

fn a_repair() -> repair::RepairRecord {
    let step = repair::StepRecord { step: repair::Step::Rescan, begun: TIME, done: Some(TIME), detail: "d".to_owned() };
    let pending = repair::PendingRecord { txid: txid(), raw_hex: "00".to_owned(), own: true, fate: None };
    repair::RepairRecord {
        id: i64::MAX,
        started: TIME,
        folder: PathBuf::from("/r"),
        fingerprint: Some("f".to_owned()),
        tip_height: Some(u64::MAX),
        finished: None,
        agrees: Some(true),
        steps: vec![step],
        pending: vec![pending],
    }
}

fn some_words() -> KeeperWords {
    let (text, version, outdated) = ("t".to_owned(), "0.1.0".to_owned(), Some("o".to_owned()));
    KeeperWords { phase: Phase::GaveUp, text, version, outdated, unordered_ends: 1 }
}

fn a_queue() -> QueueStatus {
    let last_flush = LastFlush {
        time: TIME,
        waiting: Some("w".to_owned()),
        waits_for: Some(payout::rules::WaitsFor::Company),
        patient: u64::MAX,
        follows: true,
        fee_rate_per_kvb: Some(bursar::coin::FeeRate::from_per_kvb(u64::MAX)),
        saving_percent: Some(100),
    };
    let depths = payout::Priority::ALL.map(|priority| (priority, payout::Depth { count: u64::MAX, oldest: TIME }));
    QueueStatus { depths: depths.into_iter().collect(), waiting: Some("w".to_owned()), last_flush: Some(last_flush) }
}

#[test]
fn every_answer_about_payouts_is_read_as_it_was_written() {
    back(&Answer::PaySubmit(payout::Submitted { payout: a_payout(), new: true, address_checked: false }));
    let rejected_rows = vec![payout::RejectedPayout { id: id(), reason: "r".to_owned() }];
    let report = payout::ImportReport { dry_run: true, queued: u64::MAX, existing: 1, rejected: 2, rejected_rows, unchecked: 3 };
    back(&Answer::PayImport(report));
    back(&Answer::PayList { payouts: vec![a_payout()], next: Some(id()) });
    back(&Answer::PayShow(Box::new(a_detail())));
    back(&Answer::PayDecided { payouts: vec![a_payout()], dry_run: true });
    back(&Answer::PayPlan(a_plan()));
    back(&Answer::PayFlush(a_flush()));
    back(&Answer::PayResolve(resolutions()));
    back(&Answer::PayDoubt(doubt()));
    let txids = vec![txid()];
    let spend = payout::rules::SpendPlan { inputs: vec![], change: Some(MOST), fee: MOST, vsize: u64::MAX };
    let (before, rate) = (vec![txid()], FeeRate::from_per_kvb(u64::MAX));
    let bump = payout::BumpReport { batch: batch_id(), before, fee_before: MOST, txid: None, spend, rate, note: None };
    back(&Answer::PayBump(bump));
    back(&Answer::PayRule(payout::Decided { batch: batch_id(), state: payout::BatchState::Ended, txids, done: true }));
}

#[test]
fn every_other_answer_is_read_as_it_was_written() {
    back(&Answer::Status(Box::new(a_status())));
    for process in [ProcessState::Attached, ProcessState::Stopped, ProcessState::Running { pid: u32::MAX }] {
        back(&Answer::Daemon(DaemonReport { process, keeper: Some(some_words()), abilities: None }));
    }
    let in_step = FollowedSync { wallet: "cold".to_owned(), report: Some(a_sync()), error: None };
    let away =
        FollowedSync { report: None, error: Some(Failure::new("rpc", "its file is gone", exit::FAILED)), ..in_step.clone() };
    back(&Answer::LedgerSync { report: a_sync(), followed: vec![in_step, away] });
    back(&Answer::LedgerSync { report: a_sync(), followed: vec![] });
    back(&Answer::LedgerBalance {
        balances: vec![ledger::AccountBalance { wallet: "cold".to_owned(), account: Account::Wallet, amount: LEAST }],
    });
    back(&Answer::LedgerEntries { entries: vec![a_posting()], next: Some(u64::MAX) });
    back(&Answer::LedgerEvents { events: vec![a_credit_event()], next: None });
    let explained = ledger::Explained { txid: txid(), account: Account::Fee, amount: MOST, event: u64::MAX };
    back(&Answer::LedgerExplain(explained));
    let rekeyed = ledger::Rekeyed { wallet: "w".to_owned(), old: Some("f".to_owned()), new: None, transactions: u64::MAX };
    back(&Answer::LedgerRekeyed(rekeyed));
    back(&Answer::LedgerKey { public_key: "RWQ".to_owned() });
    back(&Answer::LedgerCheckpoint(a_checkpoint()));
    back(&Answer::LedgerStatement(Box::new(a_statement())));
    back(&Answer::LedgerVerify(a_verification()));
    for followed in [vec![], some_followed()] {
        back(&Answer::AuditRun { report: an_audit(), followed });
    }
    back(&Answer::AuditExplain(Box::new(an_explanation())));
    back(&Answer::AuditThaw(a_status().frozen.remove(0)));
    back(&Answer::AuditHistory { audits: vec![an_audit()] });
    back(&Answer::BackupCreate(a_backup()));
    let listed = backup::Listed {
        archive: "a".to_owned(),
        record: Some(a_backup()),
        found_in: vec![PathBuf::from("/b")],
        size_bytes: Some(u64::MAX),
    };
    back(&Answer::BackupList { archives: vec![listed] });
    let verified = backup::VerifyReport {
        file: PathBuf::from("/b/a"),
        sha256: "0".repeat(64),
        size_bytes: u64::MAX,
        manifest: a_manifest(),
    };
    back(&Answer::BackupVerify(verified));
    back(&Answer::BackupDrill(a_drill()));
    let step = repair::PlannedStep { step: repair::Step::Copy, text: "t".to_owned() };
    back(&Answer::RepairPlan(repair::Plan { resumes: Some(i64::MAX), steps: vec![step] }));
    back(&Answer::RepairRun(repair::RepairReport { repair: a_repair(), audit: an_audit(), agrees: false, next: None }));
    back(&Answer::RepairHistory { repairs: vec![a_repair()] });
    back(&Failure::new("code", "message", exit::CONFIG).next("step"));
}

#[test]
fn every_order_is_read_as_it_was_written() {
    let id = || "id".to_owned();
    let archive = || Some(PathBuf::from("/b/a"));
    let request = payout::Request {
        id: id(),
        address: "a".to_owned(),
        amount: "0.00000001".to_owned(),
        priority: payout::Priority::Normal,
    };
    let ruling = payout::Ruling::PaidBy(txid());
    let decision = payout::Decision { batch: batch_id(), ruling, who: id(), reason: "r".to_owned() };
    let filter =
        payout::Filter { state: Some(State::Held), after: Some(self::id()), limit: usize::MAX, ..payout::Filter::default() };
    let (account, reason, who) = (Account::Internal, "r".to_owned(), "w".to_owned());
    let explain = Order::LedgerExplain { txid: txid(), wallet: Some("cold".to_owned()), account, reason, who };
    let orders = [
        Order::Status,
        Order::DaemonStatus,
        Order::Check,
        Order::DaemonStart { extra: vec!["-rescan".to_owned()] },
        Order::DaemonStop { kill: true },
        Order::DaemonRestart { extra: vec![] },
        Order::PaySubmit(request),
        Order::PayImport {
            how: payout::ImportOrder { format: payout::Format::JsonLines, reject_bad_payees: true, dry_run: false },
            file: PathBuf::from("/tmp/a file.jsonl"),
        },
        Order::PayList { filter, states: vec![State::Queued, State::InDoubt] },
        Order::PayShow { id: id() },
        Order::PayDecide {
            wish: payout::Wish {
                ids: vec![id()],
                word: payout::PersonsWord::Hold,
                who: "ada".to_owned(),
                reason: Some("w".to_owned()),
            },
            dry_run: true,
        },
        Order::PayFlush { dry_run: false, scheduled: false },
        Order::PayResolve { restarted: true },
        Order::PayDoubt,
        Order::PayRule { decision, dry_run: true },
        Order::PayBump { batch: batch_id(), fee_rate_per_vb: Some(u64::MAX), dry_run: true },
        Order::LedgerOpen { at: Some(u64::MAX), wallet: Some("cold".to_owned()) },
        Order::LedgerSync,
        Order::LedgerBalance,
        Order::LedgerEntries { after: u64::MAX, limit: usize::MAX },
        Order::LedgerEvents { after: u64::MAX, limit: usize::MAX },
        explain,
        Order::LedgerRekeyed { wallet: None, reason: "r".to_owned(), who: "w".to_owned() },
        Order::LedgerKey,
        Order::LedgerCheckpoint,
        Order::LedgerVerify { checkpoints: vec![a_checkpoint().file], key: Some("RWQ".to_owned()) },
        Order::LedgerStatement { day: "2026-11-20".parse().unwrap(), format: bursar::audit::StatementFormat::Csv },
        Order::AuditRun { deep: true },
        Order::AuditExplain { txid: Some(txid()), wallet: Some("cold".to_owned()) },
        Order::AuditHistory { limit: usize::MAX },
        Order::AuditThaw { id: i64::MAX, reason: "r".to_owned(), who: "w".to_owned() },
        Order::BackupCreate,
        Order::BackupList,
        Order::BackupVerify { archive: archive(), identity: archive() },
        Order::BackupDrill { archive: None, identity: None },
        Order::RepairPlan,
        Order::RepairRun,
        Order::RepairHistory { limit: 1 },
    ];
    for order in orders {
        back(&order);
    }
}

#[test]
fn the_exit_code_says_what_became_of_payouts() {
    let flush = |change: fn(&mut payout::FlushReport)| {
        let mut report = a_flush();
        report.batches[0].state = BatchState::Sent;
        (report.rejected, report.waiting, report.locked) = (vec![], None, false);
        change(&mut report);
        Answer::PayFlush(report).exit_code()
    };
    assert_eq!(flush(|_| {}), exit::DONE);
    assert_eq!(flush(|report| report.waiting = Some("funds".to_owned())), exit::PARTLY);
    assert_eq!(flush(|report| report.locked = true), exit::LOCKED);
    assert_eq!(flush(|report| report.batches[0].state = BatchState::InDoubt), exit::PARTLY);
    assert_eq!(flush(|report| report.batches[0].state = BatchState::Disputed), exit::PARTLY);
    assert_eq!(flush(|report| report.rejected = a_flush().rejected), exit::PARTLY);
    let codes = resolutions()
        .batches
        .into_iter()
        .map(|batch| Answer::PayResolve(payout::ResolveReport { batches: vec![batch], ..Default::default() }).exit_code());
    assert_eq!(codes.collect::<Vec<_>>(), [exit::DONE, exit::DONE, exit::PARTLY, exit::PARTLY, exit::PARTLY]);
    assert_eq!(Answer::PayResolve(payout::ResolveReport::default()).exit_code(), exit::DONE);
}

#[test]
fn an_audit_without_a_verdict_is_unknown_and_no_warning() {
    let unreachable = || Failure::new("daemon_unreachable", "m", exit::LATER);
    assert_eq!(Order::AuditRun { deep: false }.exit_code_of(&unreachable()), exit::PARTLY);
    assert_eq!(Order::LedgerSync.exit_code_of(&unreachable()), exit::LATER);
}

#[test]
fn where_a_transaction_stands_is_read_as_it_was_written() {
    let block = BlockHash::from_bytes([2; 32]);
    back(&ledger::TxState::Dead);
    back(&ledger::TxState::Confirmed { height: u64::MAX, block });
    back(&ledger::TxState::Immature { height: 7, block });
}
