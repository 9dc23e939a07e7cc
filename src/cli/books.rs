//! What the ledger answers, as a person reads it.

use super::tables::table;
use crate::ledger::credit::CreditEvent;
use crate::ledger::{self, AccountBalance, Kind, Posting};
use crate::service::FollowedSync;

pub(super) fn balances(balances: &[AccountBalance], decimals: u8) -> String {
    let account = |balance: &AccountBalance| balance.account.name().to_owned();
    if balances.iter().all(|balance| balance.wallet == balances[0].wallet) {
        let rows = balances.iter().map(|balance| [account(balance), balance.amount.to_decimal(decimals)]);
        return table(["account", "balance"], &[1], rows.collect());
    }
    let rows = balances.iter().map(|balance| [balance.wallet.clone(), account(balance), balance.amount.to_decimal(decimals)]);
    table(["wallet", "account", "balance"], &[2], rows.collect())
}

/// The wallet is always told: what is shown may be of one, and the ledger of several.
pub(super) fn entries(entries: &[Posting], decimals: u8) -> String {
    let rows = entries.iter().map(|entry| {
        let txid = entry.txid.map_or_else(String::new, |txid| txid.to_string());
        let unconfirmed = if entry.kind == Kind::Posting { "mempool" } else { "" };
        let height = entry.block.map_or_else(|| unconfirmed.to_owned(), |block| block.height.to_string());
        let (account, amount) = (entry.account.name().to_owned(), entry.amount.to_decimal(decimals));
        [entry.seq.to_string(), entry.time.to_string(), entry.wallet.clone(), account, amount, height, txid]
    });
    table(["seq", "time", "wallet", "account", "amount", "height", "txid"], &[0, 4], rows.collect())
}

pub(super) fn events(events: &[CreditEvent], decimals: u8) -> String {
    let rows = events.iter().map(|event| {
        let reason = event.reason.map(|reason| format!(" ({})", reason.name())).unwrap_or_default();
        let what = format!("{}{reason}", event.kind.name());
        let follows = event.follows.map(|seq| seq.to_string()).unwrap_or_default();
        let output = format!("{}:{}", event.txid, event.vout);
        let (amount, height) = (event.amount.to_decimal(decimals), event.block.height.to_string());
        [event.seq.to_string(), event.time.to_string(), event.wallet.clone(), what, follows, amount, height, output]
    });
    table(["n", "time", "wallet", "what", "of", "amount", "height", "output"], &[0, 4, 5], rows.collect())
}

/// How to go on behind a page.
pub(super) fn more(last: Option<u64>) -> String {
    last.map(|last| format!("\nmore: add --after {last}")).unwrap_or_default()
}

pub(super) fn checkpoint(report: &ledger::checkpoint::CheckpointReport) -> String {
    let (made, file) = (&report.checkpoint, &report.file);
    let what = format!("checkpoint {} at {}: {} postings, head {}", made.n, made.time, made.postings, made.hash);
    match &report.exported {
        Some(path) => format!("{what}\n  {}", path.display()),
        None => {
            format!(
                "{what}\n  it stays here: ledger.checkpoints_dir is not set. Its file and signature:\n\n{}\n{}",
                file.content, file.signature
            )
        }
    }
}

/// Of a followed wallet a line where something happened.
pub(super) fn synced(report: &ledger::SyncReport, followed: &[FollowedSync]) -> String {
    let mut text = synced_one(report);
    for FollowedSync { wallet, report, error } in followed {
        if let Some(report) = report.as_ref().filter(|report| something_happened(report)) {
            text += &format!("\nwallet '{wallet}': {}", synced_one(report));
        }
        if let Some(error) = error {
            text += &format!("\nWALLET '{wallet}' IS NOT IN STEP: {}", error.in_a_line());
        }
    }
    text
}

fn something_happened(report: &ledger::SyncReport) -> bool {
    let ledger::SyncReport { posted, reversed, credited, uncredited, .. } = report;
    posted + reversed + credited > 0 || !uncredited.is_empty()
}

fn synced_one(report: &ledger::SyncReport) -> String {
    let ledger::SyncReport { tip, posted, reversed, credited, uncredited, .. } = report;
    let mut text =
        format!("in step at height {}: {posted} posted, {reversed} reversed, {credited} deposits credited", tip.height);
    for txid in uncredited {
        text += &format!("\nA CREDITED DEPOSIT WAS TAKEN BACK: {txid}; `bursar ledger events` tells why");
    }
    text
}

pub(super) fn verified(report: &ledger::VerifyReport) -> String {
    let ledger::VerifyReport { postings, events, head, checkpoints, exported, credits, chronicle, unread, next, fault } = report;
    let unread =
        unread.as_ref().map(|words| format!("\nNOT COMPARED with all exported checkpoints: {words}")).unwrap_or_default();
    let next = next.as_ref().map(|next| format!("\nnext: {next}")).unwrap_or_default();
    match fault {
        None => {
            let elsewhere = match exported {
                0 => ", and was compared with none that was exported".to_owned(),
                many => format!(" and {many} exported or given"),
            };
            format!(
                "whole: {postings} postings, {events} events, {credits} credits and reversals, {chronicle} rows of the chronicle, \
                 head {head}; fits {} checkpoints of its own{elsewhere}{unread}{next}",
                checkpoints.saturating_sub(*exported)
            )
        }
        Some(fault) => {
            let place = fault.seq.map(|seq| format!(" at posting {seq}")).unwrap_or_default();
            format!("NOT WHOLE{place}: {}{unread}{next}", fault.words)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::{Amount, BlockHash, Timestamp, Txid};
    use crate::daemon::Tip;
    use crate::ledger::credit::CreditKind;
    use crate::ledger::{Account, Kind};

    #[test]
    fn a_page_that_is_not_the_last_says_how_to_go_on() {
        assert_eq!((more(Some(100)), more(None)), ("\nmore: add --after 100".to_owned(), String::new()));
    }

    #[test]
    fn entries_and_events_say_whose_they_are() {
        let (txid, block) = (Txid::from_bytes([1; 32]), Tip { height: 7, hash: BlockHash::from_bytes([2; 32]) });
        let (amount, hash) = (Amount::from_base_units(5), String::new);
        let entry = |wallet: &str| Posting {
            seq: 1,
            event: 1,
            time: Timestamp(0),
            wallet: wallet.to_owned(),
            account: Account::Wallet,
            txid: Some(txid),
            vout: None,
            category: None,
            block: Some(block),
            amount,
            kind: Kind::Posting,
            reverses: None,
            note: None,
            previous: hash(),
            hash: hash(),
        };
        let event = |wallet: &str| CreditEvent {
            seq: 1,
            kind: CreditKind::Credit,
            time: Timestamp(0),
            wallet: wallet.to_owned(),
            txid,
            vout: 0,
            address: None,
            amount,
            block,
            tip_height: 8,
            follows: None,
            reason: None,
            event: 1,
            previous: hash(),
            hash: hash(),
        };
        let shown = [entries(&[entry("hot"), entry("cold")], 8), events(&[event("hot"), event("cold")], 8)];
        for text in shown {
            let wallets: Vec<_> = text.lines().map(|line| line.split_whitespace().nth(2).unwrap_or_default()).collect();
            assert_eq!(wallets, ["wallet", "hot", "cold"], "{text}");
        }
    }
}
