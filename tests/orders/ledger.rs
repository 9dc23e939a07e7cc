//! What ledger and audit answer, with all that they can tell.

use bursar::ledger::credit::{CreditEvent, CreditKind, Reason};

use super::*;

pub(super) fn a_statement() -> audit::SignedStatement {
    let (wallet, account, hash) = ("w".to_owned(), Account::Wallet, "0".repeat(64));
    let kind = ledger::Kind::Reversal;
    let statement = audit::Statement {
        coin: "coin".to_owned(),
        ticker: "LTC".to_owned(),
        decimals: 8,
        store: "0".repeat(32),
        day: "2026-11-20".parse().unwrap(),
        is_over: false,
        out_of_order: true,
        balances: vec![ledger::DayBalance { wallet: wallet.clone(), account, opening: LEAST, closing: MOST }],
        movements: vec![ledger::Movement { wallet: wallet.clone(), account, kind, amount: LEAST, entries: u64::MAX }],
        audits: vec![audit::AuditLine {
            wallet,
            time: Timestamp(i64::MAX),
            verdict: audit::Verdict::Explained,
            height: u64::MAX,
            difference: LEAST,
            txids: vec![txid()],
        }],
        last: Some(ledger::LastEntry { seq: u64::MAX, hash }),
    };
    let text = || "t".to_owned();
    audit::SignedStatement { statement, name: text(), document: text(), signature: text(), public_key: text() }
}

pub(super) fn a_verification() -> ledger::VerifyReport {
    let fault = ledger::Fault { seq: Some(u64::MAX), words: "changed".to_owned() };
    let head = "0".repeat(64);
    ledger::VerifyReport {
        postings: u64::MAX,
        events: 1,
        head,
        checkpoints: u64::MAX,
        credits: u64::MAX,
        chronicle: 7,
        exported: 7,
        unread: Some("w".to_owned()),
        next: Some("n".to_owned()),
        fault: Some(fault),
    }
}

pub(super) fn a_credit_event() -> CreditEvent {
    let block = Tip { height: u64::MAX, hash: BlockHash::from_bytes([9; 32]) };
    CreditEvent {
        seq: u64::MAX,
        kind: CreditKind::Reversal,
        time: Timestamp(i64::MIN),
        wallet: "w".to_owned(),
        txid: txid(),
        vout: u32::MAX,
        address: Some("a".to_owned()),
        amount: LEAST,
        block,
        tip_height: u64::MAX,
        follows: Some(u64::MAX),
        reason: Some(Reason::Forgotten),
        event: u64::MAX,
        previous: "0".repeat(64),
        hash: "f".repeat(64),
    }
}

pub(super) fn a_sync() -> ledger::SyncReport {
    let marks = vec!["bursar:s:2:b".to_owned()];
    ledger::SyncReport {
        tip: tip(),
        posted: u64::MAX,
        reversed: 1,
        unknown_marks: marks,
        limbo: vec![txid()],
        credited: 3,
        uncredited: vec![txid()],
    }
}

pub(super) fn a_posting() -> ledger::Posting {
    ledger::Posting {
        seq: u64::MAX,
        event: 1,
        time: TIME,
        wallet: "w".to_owned(),
        account: Account::Unexplained,
        txid: Some(txid()),
        vout: Some(u32::MAX),
        category: Some("send".to_owned()),
        block: Some(tip()),
        amount: LEAST,
        kind: Kind::Reversal,
        reverses: Some(u64::MAX),
        note: None,
        previous: "0".repeat(64),
        hash: "1".repeat(64),
    }
}

pub(super) fn a_checkpoint() -> ledger::checkpoint::CheckpointReport {
    let checkpoint = ledger::checkpoint::Checkpoint {
        n: u64::MAX,
        time: TIME,
        postings: u64::MAX,
        hash: "0".repeat(64),
        balances: "1".repeat(64),
        credits: Some(ledger::Head { seq: u64::MAX, hash: "2".repeat(64) }),
        chronicle: Some(ledger::Head { seq: 0, hash: "3".repeat(64) }),
        tip: None,
    };
    let (name, content, signature) = ("f".to_owned(), "{\n}\n".to_owned(), "s\n".to_owned());
    let file = ledger::checkpoint::CheckpointFile { name, content, signature };
    ledger::checkpoint::CheckpointReport { checkpoint, file, exported: Some(PathBuf::from("/e/f")), public_key: "RWQ".to_owned() }
}

pub(super) fn some_followed() -> Vec<FollowedAudit> {
    let failed = |error: &str| Failure::new("not_connected", error, exit::LATER);
    let of = |report, error: Option<&str>| FollowedAudit { wallet: "cold".to_owned(), report, error: error.map(failed) };
    vec![of(Some(an_audit()), None), of(None, Some("not loaded"))]
}
