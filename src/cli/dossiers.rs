//! What each side knows of a transaction, as a person reads it.

use crate::audit::{ChainFacts, CoinSide, Dossier, Explanation, LedgerFacts, StrayCoin, StrayCoins, WalletFacts};
use crate::coin::{Amount, shell_word};
use crate::daemon::{Category, Entry};
use crate::ledger::credit::{CreditEvent, CreditKind, Reason};
use crate::ledger::{Posting, TxState};

/// Everything that was asked for.
pub(super) fn explanation(explanation: &Explanation, decimals: u8) -> String {
    let page = Page { decimals };
    let mut parts = vec![match (explanation.audited, explanation.verdict) {
        (Some(time), Some(verdict)) => {
            format!("wallet '{}', last audit {time}: {}", explanation.wallet, super::tables::verdict(verdict))
        }
        _ => format!("wallet '{}' was never audited", explanation.wallet),
    }];
    parts.extend(explanation.unasked.iter().map(|why| format!("the wallet was not asked: {why}")));
    parts.extend(explanation.dossiers.iter().map(|dossier| page.dossier(dossier, explanation)));
    parts.extend(explanation.coins.iter().map(|coins| stray_coins(coins, decimals)).filter(|coins| !coins.is_empty()));
    parts.extend(explanation.remarks.clone());
    if explanation.dossiers.is_empty() {
        parts.push("it named no transaction; `bursar audit explain TXID` tells of any other".to_owned());
    }
    if explanation.more > 0 {
        parts.push(format!("{} more transactions are named: ask for one by its id", explanation.more));
    }
    parts.join("\n")
}

/// Coins that one side alone has, a line each; empty where there is nothing to say.
pub(super) fn stray_coins(coins: &StrayCoins, decimals: u8) -> String {
    let mut lines: Vec<String> = coins.named.iter().map(|coin| stray(coin, decimals)).collect();
    if coins.more > 0 {
        lines.push(format!("  and {} coins more", coins.more));
    }
    lines.extend(coins.note.iter().map(|note| format!("  {note}")));
    lines.join("\n")
}

fn stray(coin: &StrayCoin, decimals: u8) -> String {
    let amount = coin.amount.map(|amount| format!(" of {}", amount.to_decimal(decimals))).unwrap_or_default();
    let side = match (coin.side, &coin.spent_by) {
        (CoinSide::Ledger, _) => "should be there, and the wallet does not list it".to_owned(),
        (CoinSide::Wallet, Some(by)) => format!("is listed by the wallet, and posted as spent by {by}"),
        (CoinSide::Wallet, None) => "is listed by the wallet, and no posted transaction made it".to_owned(),
    };
    format!("  coin {}{amount} {side}; {}", coin.outpoint, there(coin.unspent, coin.in_mempool))
}

fn there(unspent: Option<bool>, in_mempool: bool) -> &'static str {
    match (unspent, in_mempool) {
        (Some(true), true) => "unspent in the mempool",
        (Some(true), false) => "the chain holds it unspent",
        (Some(false), _) => "neither chain nor mempool hold it unspent",
        (None, _) => "the daemon does not say whether it is spent",
    }
}

struct Page {
    decimals: u8,
}

impl Page {
    fn coins(&self, amount: Amount) -> String {
        amount.to_decimal(self.decimals)
    }

    fn dossier(&self, dossier: &Dossier, of: &Explanation) -> String {
        let named = match &dossier.suspect {
            Some(suspect) => format!("{}: {}", suspect.kind.name(), suspect.words),
            None => "not named by the last audit".to_owned(),
        };
        let mut lines = vec![format!("{}\n  {named}", dossier.txid)];
        lines.extend(self.ledger(&dossier.ledger, &of.wallet));
        match &dossier.wallet {
            Some(wallet) => lines.extend(self.wallet(wallet)),
            None if of.unasked.is_none() && dossier.unasked.is_none() => lines.push("  wallet   does not know it".to_owned()),
            None => {}
        }
        lines.extend(dossier.chain.iter().map(|chain| self.chain(chain)));
        lines.extend(dossier.unasked.iter().map(|why| format!("  unasked  {why}")));
        lines.push(format!("  next     {}", dossier.next));
        lines.join("\n")
    }

    fn ledger(&self, ledger: &LedgerFacts, wallet: &str) -> Vec<String> {
        let mut lines = vec![match &ledger.followed {
            None => format!("  ledger   never saw it in wallet '{wallet}'"),
            Some(followed) => {
                let event =
                    followed.event.map_or_else(|| "nothing is posted".to_owned(), |event| format!("posted as event {event}"));
                format!("  ledger   {}, {}, {event}", state(&followed.state), self.coins(followed.net))
            }
        }];
        lines.extend(
            ledger
                .elsewhere
                .iter()
                .map(|other| format!("           it is in wallet '{other}', too: --wallet {}", shell_word(other))),
        );
        // What a person said of it stands beside its posting.
        if let Some(claim) = ledger.claim.as_ref().filter(|claim| !claim.is_persons_word()) {
            lines.push(format!("           ordered as {} ({})", claim.order, claim.account.name()));
        }
        lines.extend(ledger.postings.iter().map(|posting| self.posting(posting)));
        lines.extend(ledger.credits.iter().map(|event| self.credit(event)));
        let depth = ledger.confirmations.map_or_else(String::new, |confirmations| {
            format!(": {} of {} confirmations", confirmations.now, confirmations.to_credit)
        });
        lines.extend(ledger.waiting.iter().map(|deposit| {
            format!("           output {}, {}, waits to be credited{depth}", deposit.vout, self.coins(deposit.amount))
        }));
        lines
    }

    fn posting(&self, posting: &Posting) -> String {
        let (seq, event, time, amount) = (posting.seq, posting.event, posting.time, self.coins(posting.amount));
        let (wallet, account, kind) = (&posting.wallet, posting.account.name(), posting.kind.name());
        let vout = posting.vout.map(|vout| format!(" output {vout}")).unwrap_or_default();
        // Each posting of an event has its note.
        let note = posting.note.as_ref().filter(|_| posting.seq == posting.event);
        let note = note.map(|note| format!("  ({note})")).unwrap_or_default();
        format!("           {seq}  event {event}  {time}  wallet '{wallet}'  {kind}  {account}{vout}  {amount}{note}")
    }

    fn credit(&self, event: &CreditEvent) -> String {
        let what = match event.kind {
            CreditKind::Credit => "credited".to_owned(),
            CreditKind::Reversal => format!("credit taken back ({})", event.reason.map_or("no reason", Reason::name)),
        };
        let (seq, time, vout, amount) = (event.seq, event.time, event.vout, self.coins(event.amount));
        format!("           output {vout}, {amount}, {what} at {time}: number {seq} of `bursar ledger events`")
    }

    fn wallet(&self, wallet: &WalletFacts) -> Vec<String> {
        let mut lines = vec![format!("  wallet   {} confirmations", wallet.confirmations)];
        if wallet.entries.is_empty() {
            lines.push("           it lists nothing for it".to_owned());
        }
        lines.extend(wallet.entries.iter().map(|entry| self.entry(entry)));
        lines
    }

    fn entry(&self, entry: &Entry) -> String {
        let category = match &entry.category {
            Category::Send => "send",
            Category::Receive => "receive",
            Category::Generate => "generate",
            Category::Immature => "immature",
            Category::Orphan => "orphan",
            Category::Other(word) => word,
        };
        let vout = entry.vout.map(|vout| format!(" output {vout}")).unwrap_or_default();
        let fee = entry.fee.map(|fee| format!(", fee {}", self.coins(fee))).unwrap_or_default();
        let abandoned = if entry.abandoned { ", abandoned" } else { "" };
        format!("           {}  {category}{vout}  {}{fee}{abandoned}", entry.time, self.coins(entry.amount))
    }

    fn chain(&self, chain: &ChainFacts) -> String {
        let mut lines = vec![format!("  chain    {} in the mempool", if chain.in_mempool { "it is" } else { "it is not" })];
        for placed in &chain.blocks {
            let place = match (placed.height, placed.active) {
                (Some(height), true) => format!("is on the active chain, at height {height}"),
                (Some(height), false) => format!("is not on the active chain, at height {height} of another branch"),
                (None, _) => "is unknown to the daemon".to_owned(),
            };
            lines.push(format!("           block {} {place}", placed.block));
        }
        for output in &chain.outputs {
            let amount = output.amount.map(|amount| format!(" of {}", self.coins(amount))).unwrap_or_default();
            lines.push(format!("           output {}{amount}: {}", output.vout, there(output.unspent, output.in_mempool)));
        }
        lines.join("\n")
    }
}

fn state(state: &TxState) -> String {
    match state {
        TxState::Confirmed { height, .. } => format!("confirmed at height {height}"),
        TxState::Mempool => "ours, in the mempool".to_owned(),
        TxState::Limbo => "ours, in limbo".to_owned(),
        TxState::Pending => "a stranger's, unconfirmed".to_owned(),
        TxState::Immature { height, .. } => format!("immature since height {height}"),
        TxState::Dead => "dead".to_owned(),
    }
}
