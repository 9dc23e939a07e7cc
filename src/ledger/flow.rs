//! What a reading of the wallet leads to, transaction by transaction: decides, posts, takes back.

use tracing::{error, info, warn};

use super::reading::{Forgotten, Sighting};
use super::rules::{self, Decision, Leg, Purpose};
use super::{Account, Claim, Followed, Kind, LedgerError, SyncReport, TxState, credit, records, transfer, wallets};
use crate::coin::{Amount, Timestamp, Txid};
use crate::config::CoinSettings;
use crate::daemon::{Tip, WalletIdentity};
use crate::gate::{self, Cause, Freeze};
use crate::store::{Store, StoreError, Tx};

/// What applying a reading needs to know besides it.
pub(super) struct Desk<'a> {
    pub(super) wallet: &'a str,
    /// It is the one that pays: marks and orders are of its payments alone.
    pub(super) pays: bool,
    pub(super) mark_prefix: String,
    /// The order that stands for payments from before bursar.
    pub(super) opening_order: String,
    pub(super) minted: Account,
    /// The highest fee that is believed without an order.
    pub(super) most_fee: Amount,
    pub(super) credit_depth: u64,
    pub(super) final_depth: u64,
    pub(super) now: Timestamp,
}

impl<'a> Desk<'a> {
    pub(super) fn new(store: &Store, wallet: &'a str, coin: &CoinSettings, now: Timestamp) -> Desk<'a> {
        Desk {
            wallet,
            pays: coin.wallet.followed(wallet).is_none(),
            mark_prefix: format!("bursar:{}:", store.id()),
            opening_order: format!("bursar:opening:{}", store.id()),
            minted: if coin.profile.staking.is_some() { Account::Staked } else { Account::Mined },
            most_fee: coin.most_tx_fee(),
            credit_depth: coin.credit_depth,
            final_depth: coin.final_depth,
            now,
        }
    }

    /// Its name where it is followed and does not pay.
    pub(super) fn followed(&self) -> Option<&str> {
        (!self.pays).then_some(self.wallet)
    }

    /// What a payment of this wallet was claimed by.
    fn claim(&self, tx: &Tx<'_>, txid: &Txid, comment: Option<&str>) -> Result<Option<Claim>, StoreError> {
        records::claim_of(tx, self.wallet, txid, comment.filter(|_| self.pays))
    }

    /// The account that a payment of this wallet was claimed for. A mark in another wallet than the paying one is none of ours.
    pub(super) fn claimed(&self, tx: &Tx<'_>, txid: &Txid, comment: Option<&str>) -> Result<Option<Account>, StoreError> {
        Ok(self.claim(tx, txid, comment)?.map(|claim| claim.account))
    }
}

/// Whether the ledger follows this wallet already, in this role. Another wallet freezes payouts.
pub(super) fn is_the_followed_wallet(
    store: &mut Store,
    identity: &WalletIdentity,
    coin: &CoinSettings,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let name = &identity.name;
    let (known, paying) = store.read(|tx| Ok::<_, StoreError>((wallets::wallet(tx, name)?, wallets::paying(tx)?)))?;
    let followed = coin.wallet.followed(name);
    // Whose freeze it is says the ledger: settings that exchange the roles of two wallets are put right one day, and then each sync lifts its own.
    let concerned = match &known {
        Some(known) => (!known.pays).then(|| name.clone()),
        None => followed.map(str::to_owned),
    };
    let detail = match (known, paying) {
        (Some(known), _) if known.pays != followed.is_none() => {
            let role = if known.pays { "pays from" } else { "only follows" };
            format!("it {role} '{name}', which is not what the settings say of that wallet")
        }
        (Some(known), _) if known.fingerprint.is_some() && known.fingerprint != identity.fingerprint => {
            format!("wallet '{name}' has other keys than before")
        }
        (Some(_), _) => return Ok(true),
        (None, Some(paying)) if followed.is_none() => {
            format!("it follows '{}', the daemon answered for '{name}'", paying.name)
        }
        (None, _) => return Ok(false),
    };
    let freeze = Freeze { cause: Cause::Wallet, detail: detail.clone(), txids: vec![], amount: None, wallet: concerned };
    store.write::<_, StoreError>(|tx| gate::freeze(tx, &freeze, now))?;
    error!(detail, "another wallet answers: payouts are frozen");
    Err(LedgerError::OtherWallet(detail))
}

pub(super) fn apply_sighting(
    tx: &Tx<'_>,
    desk: &Desk<'_>,
    sighting: &Sighting,
    book: &mut credit::Book<'_>,
    report: &mut SyncReport,
) -> Result<(), LedgerError> {
    let Sighting { old, seen, state, ground_held, .. } = sighting;
    let decision = rules::decide(old.as_ref(), state, *ground_held);
    let comment = seen.comment.clone().or_else(|| old.as_ref().and_then(|old| old.comment.clone()));
    let mut next = Followed {
        txid: sighting.txid,
        state: *state,
        net: seen.net,
        seen_net: seen.net,
        own: seen.own || old.as_ref().is_some_and(|old| old.own),
        event: old.as_ref().and_then(|old| old.event),
        is_final: rules::is_final(state, seen, &report.tip, desk.final_depth),
        comment,
    };
    match (decision, old) {
        (Decision::Post, _) => {
            let (event, transfers) = post(tx, desk, sighting, book)?;
            next.event = Some(event);
            report.posted += 1 + transfers;
        }
        (Decision::Reverse, Some(old)) => {
            reverse(tx, desk, old)?;
            next.event = None;
            report.reversed += 1;
        }
        (Decision::Keep, Some(old)) => next = Followed { seen_net: seen.net, ..old.clone() },
        (Decision::Note, Some(old)) if next.event.is_some() => next.net = old.net,
        _ => {}
    }
    if next.event.is_some() && next.net != next.seen_net {
        warn!(txid = %next.txid, "the wallet changed the amount of a transaction; what was posted stays");
    }
    report.limbo.extend(Some(next.txid).filter(|_| next.state == TxState::Limbo));
    book.follow(tx, sighting, &next)?;
    if old.as_ref() != Some(&next) {
        records::put_followed(tx, desk.wallet, &next, is_stray(tx, desk, sighting)?)?;
    }
    Ok(())
}

/// Whether it is a payment with a mark of this store that no claim knows. Receipts with foreign marks mean nothing.
fn is_stray(tx: &Tx<'_>, desk: &Desk<'_>, sighting: &Sighting) -> Result<bool, StoreError> {
    match &sighting.seen.comment {
        Some(mark) if desk.pays && mark.starts_with(&desk.mark_prefix) => {
            Ok(desk.claimed(tx, &sighting.txid, Some(mark))?.is_none())
        }
        _ => Ok(false),
    }
}

/// Returns the event, and how many more a transfer between two wallets took.
fn post(tx: &Tx<'_>, desk: &Desk<'_>, sighting: &Sighting, book: &mut credit::Book<'_>) -> Result<(u64, u64), LedgerError> {
    // A repaired wallet forgets the comment; the ledger's own copy still tells what the payment was for.
    let known = sighting.old.as_ref().and_then(|old| old.comment.as_deref());
    let comment = sighting.seen.comment.as_deref().or(known);
    let claim = if sighting.seen.own { desk.claim(tx, &sighting.txid, comment)? } else { None };
    let purpose = Purpose {
        claimed: claim.as_ref().map(|claim| claim.account),
        by_word: claim.as_ref().is_some_and(Claim::is_persons_word),
        minted: desk.minted,
        most_fee: desk.most_fee,
    };
    let legs = rules::legs(&sighting.entries, &purpose)?;
    if legs.iter().any(|leg| leg.account == Account::Unexplained) {
        error!(txid = %sighting.txid, "the wallet paid what bursar did not order");
    }
    let block = match sighting.state {
        TxState::Confirmed { height, block } => Some(Tip { height, hash: block }),
        _ => None,
    };
    let event = event(desk, Kind::Posting, sighting.txid);
    let number = records::append(tx, &records::Event { block, ..event }, &legs)?;
    let (received, transfers) = transfer::settle(tx, desk.wallet, number, &sighting.txid, &legs, desk.now)?;
    book.noted(tx, number, sighting, &legs, &received)?;
    Ok((number, transfers))
}

fn event<'a>(desk: &'a Desk<'_>, kind: Kind, txid: Txid) -> records::Event<'a> {
    records::Event { wallet: desk.wallet, time: desk.now, kind, txid: Some(txid), block: None, reverses: None, note: None }
}

/// Takes back all that stands for a transaction, explanations included.
fn reverse(tx: &Tx<'_>, desk: &Desk<'_>, old: &Followed) -> Result<(), LedgerError> {
    let Some(number) = old.event else { return Ok(()) };
    let mut standing = records::standing(tx, desk.wallet, &old.txid, number)?;
    if records::kind_of(tx, number)? == Kind::Opening {
        // What a person corrected since stands by itself, and is part of `net`.
        let corrected = standing.iter().filter(|(account, _)| *account == Account::Wallet).map(|(_, amount)| *amount);
        let summed = old.net.checked_sub(Amount::sum(corrected)?)?;
        standing.extend([(Account::Wallet, summed), (Account::Opening, summed.checked_neg()?)]);
        // If it comes back, it is still from before bursar, unless a person has said what it is.
        if records::claim_of(tx, desk.wallet, &old.txid, None)?.is_none() {
            records::insert_claim_txid(tx, &desk.opening_order, &old.txid, Some(desk.wallet))?;
        }
    }
    let mut legs = Vec::new();
    for (account, amount) in standing {
        legs.push(Leg { account, vout: None, category: None, amount: amount.checked_neg()? });
    }
    if legs.is_empty() {
        legs.push(Leg { account: Account::Wallet, vout: None, category: None, amount: Amount::ZERO });
    }
    warn!(txid = %old.txid, "a transaction is not money any more: reversed");
    records::append(tx, &records::Event { reverses: Some(number), ..event(desk, Kind::Reversal, old.txid) }, &legs)?;
    Ok(())
}

pub(super) fn apply_forgotten(
    tx: &Tx<'_>,
    desk: &Desk<'_>,
    forgotten: &Forgotten,
    report: &mut SyncReport,
) -> Result<(), LedgerError> {
    let Forgotten { old, ground_held, in_mempool } = forgotten;
    let state = rules::forgotten(old, *ground_held, *in_mempool);
    if state == TxState::Dead {
        let next = Followed { state, is_final: true, ..old.clone() };
        return Ok(records::put_followed(tx, desk.wallet, &next, false)?);
    }
    warn!(txid = %old.txid, "the wallet does not know a transaction any more; what was posted stays");
    report.limbo.extend(Some(old.txid).filter(|_| state == TxState::Limbo));
    let deep = matches!(state, TxState::Confirmed { height, .. } if rules::depth(height, &report.tip) >= desk.final_depth);
    let next = Followed { state, is_final: *ground_held && deep, ..old.clone() };
    Ok(records::put_followed(tx, desk.wallet, &next, false)?)
}

/// Moves unexplained amounts that a claim knows by now. Returns how many events that took.
pub(super) fn move_claimed(tx: &Tx<'_>, desk: &Desk<'_>) -> Result<u64, LedgerError> {
    let mut moved = 0;
    for (txid, amount) in records::outstanding(tx, desk.wallet, Account::Unexplained)? {
        let Some(followed) = records::followed_by_txid(tx, desk.wallet, &txid)? else { continue };
        let Some(claim) = desk.claim(tx, &txid, followed.comment.as_deref())? else { continue };
        let leg = |account, amount| Leg { account, vout: None, category: None, amount };
        let account = claim.account;
        // An order paid what it paid, and its fee is one, however high: payouts judge that.
        let fee = if claim.is_persons_word() { Amount::ZERO } else { records::doubtful_fee(tx, desk.wallet, &followed)? };
        let (fee, paid) = (fee.max(Amount::ZERO), amount.checked_sub(fee.max(Amount::ZERO))?);
        if paid < Amount::ZERO && rules::is_spending(account) {
            // Others put more into it than it paid them: where that came from, a person has to say.
            continue;
        }
        let mut legs = vec![leg(Account::Unexplained, amount.checked_neg()?), leg(account, paid)];
        legs.extend(Some(leg(Account::Fee, fee)).filter(|leg| leg.amount != Amount::ZERO));
        records::append(tx, &records::Event { reverses: followed.event, ..event(desk, Kind::Claimed, txid) }, &legs)?;
        info!(%txid, ?account, "a claim explains a payment");
        moved += 1;
    }
    Ok(moved)
}
