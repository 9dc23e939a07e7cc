//! A statement and a verification with all that they can tell.

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
        balances: vec![ledger::DayBalance { wallet: wallet.clone(), account, opening: LEAST, closing: MOST }],
        movements: vec![ledger::Movement { wallet, account, kind, amount: LEAST, entries: u64::MAX }],
        audits: vec![audit::AuditLine {
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
    ledger::VerifyReport { postings: u64::MAX, events: 1, head: "0".repeat(64), checkpoints: u64::MAX, fault: Some(fault) }
}
