//! An audit and its explanation with all that they can tell.

use bursar::daemon::{Category, Entry};

use super::*;

fn a_suspect() -> audit::Suspect {
    audit::Suspect {
        txid: txid(),
        kind: audit::SuspectKind::FoundLate,
        ledger: Some(MOST),
        wallet: None,
        words: "w".to_owned(),
        state: Some(ledger::TxState::Confirmed { height: u64::MAX, block: tip().hash }),
        standing: Some(ledger::Standing::Dead { buried: u64::MAX }),
    }
}

fn coins() -> audit::StrayCoins {
    let coin = audit::StrayCoin {
        outpoint: bursar::coin::OutPoint { txid: txid(), vout: u32::MAX },
        amount: Some(MOST),
        side: audit::CoinSide::Wallet,
        spent_by: Some(txid()),
        unspent: Some(false),
        in_mempool: true,
    };
    audit::StrayCoins { named: vec![coin], more: u64::MAX, note: Some("n".to_owned()) }
}

pub(super) fn an_audit() -> audit::Report {
    let suspect = a_suspect();
    audit::Report {
        of: "cold".to_owned(),
        verdict: audit::Verdict::Unexplained,
        time: TIME,
        tip: tip(),
        depth: audit::Depth::Routine,
        counts: Some(audit::Counts { wallet: None, ledger: u64::MAX }),
        ledger: audit::LedgerSide { balance: MOST, unconfirmed: LEAST, immature: MOST, pending: LEAST },
        wallet: audit::WalletSide {
            trusted: MOST,
            immature: Some(LEAST),
            pending: None,
            unspent: MOST,
            locked: MOST,
            source: BalanceSource::Getwalletinfo,
        },
        difference: LEAST,
        residue: MOST,
        suspects: vec![suspect],
        remarks: vec!["r".to_owned()],
        coins: Some(coins()),
        chain: Some(audit::ChainSide {
            addresses: u64::MAX,
            coins: u64::MAX,
            total: MOST,
            unlisted: vec![bursar::daemon::HeldCoin { outpoint: OutPoint { txid: txid(), vout: u32::MAX }, amount: MOST }],
            missed: (u64::MAX, LEAST),
            note: Some("n".to_owned()),
        }),
        frozen: true,
        frozen_by: vec![audit::FrozenBy { id: i64::MAX, cause: bursar::gate::Cause::DeepReorg, wallet: Some("cold".to_owned()) }],
    }
}

pub(super) fn an_explanation() -> audit::Explanation {
    let state = ledger::TxState::Confirmed { height: u64::MAX, block: tip().hash };
    let followed = ledger::Followed {
        txid: txid(),
        state,
        net: LEAST,
        seen_net: MOST,
        own: true,
        event: Some(u64::MAX),
        is_final: true,
        comment: Some("m".to_owned()),
    };
    let entry = Entry {
        txid: txid(),
        vout: Some(u32::MAX),
        category: Category::Other("mweb".to_owned()),
        address: Some("a".to_owned()),
        amount: LEAST,
        fee: Some(LEAST),
        confirmations: i64::MIN,
        block: Some(tip().hash),
        abandoned: true,
        comment: Some("c".to_owned()),
        time: TIME,
    };
    let claim = ledger::Claim { mark: "m".to_owned(), order: "o".to_owned(), account: Account::Payout };
    let dossier = audit::Dossier {
        txid: txid(),
        suspect: Some(a_suspect()),
        ledger: audit::LedgerFacts {
            followed: Some(followed),
            elsewhere: vec!["e".to_owned()],
            claim: Some(claim),
            postings: vec![a_posting()],
            credits: vec![a_credit_event()],
            waiting: vec![ledger::following::WaitingDeposit { vout: u32::MAX, amount: MOST }],
            confirmations: Some(audit::Confirmations { now: 0, to_credit: u64::MAX }),
        },
        wallet: Some(audit::WalletFacts { confirmations: i64::MIN, entries: vec![entry] }),
        chain: Some(audit::ChainFacts {
            in_mempool: true,
            blocks: vec![audit::PlacedBlock { block: tip().hash, height: Some(u64::MAX), active: false }],
            outputs: vec![audit::PlacedOutput { vout: u32::MAX, amount: Some(MOST), unspent: None, in_mempool: true }],
        }),
        unasked: Some("u".to_owned()),
        next: "n".to_owned(),
    };
    audit::Explanation {
        wallet: "cold".to_owned(),
        audited: Some(TIME),
        verdict: Some(audit::Verdict::Unexplained),
        remarks: vec!["r".to_owned()],
        coins: Some(coins()),
        dossiers: vec![dossier],
        more: u64::MAX,
        unasked: Some("away".to_owned()),
    }
}
