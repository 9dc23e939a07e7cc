//! The gate: payouts of this coin are open, or frozen for stated causes.
//!
//! Anything may freeze; a freeze stops new sends and nothing else (sync, rebroadcast, resolution and audits go on). It thaws when
//! what it waits for is proven (an audit that agrees), or by a person's named word.

mod records;

use serde::{Deserialize, Serialize};

use crate::coin::{Amount, Timestamp, Txid};
use crate::store::{StoreError, Tx};

/// Why payouts are frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Ledger and wallet differ and nothing innocent explains it.
    Audit,
    /// A repair or rescan is under way, or no audit has agreed since.
    Repair,
    /// The store was restored, or the wallet knows batches that the store does not: it went back in time.
    StoreWentBack,
    /// The wallet is not the one that the ledger follows.
    Wallet,
    /// Final transactions lost their blocks: a reorg below the final depth, or another chain. Only a person thaws it.
    DeepReorg,
    /// A transaction of ours does not pay what was asked, or pays more than once. Only a person thaws it.
    Payment,
    /// The wallet knows fewer transactions or addresses than it did. It thaws when it knows them again, by a repair that ended well, or by a person.
    ShrunkWallet,
    /// The wallet paid what no batch of this store ordered, while batches are sent without a mark: the store may have forgotten a payment of
    /// its own. It thaws when all is explained.
    UnknownSpend,
    /// Staking is on, or not proven to be off.
    Staking,
    /// Too little room where the daemon or the service writes.
    Disk,
}

impl Cause {
    /// Its name, in the store and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Audit => "audit",
            Cause::Repair => "repair",
            Cause::StoreWentBack => "store_went_back",
            Cause::Wallet => "wallet",
            Cause::DeepReorg => "deep_reorg",
            Cause::Payment => "payment",
            Cause::ShrunkWallet => "shrunk_wallet",
            Cause::UnknownSpend => "unknown_spend",
            Cause::Staking => "staking",
            Cause::Disk => "disk",
        }
    }

    /// Whether it is about one wallet, and not about the coin's store, payouts or machine.
    pub fn concerns_a_wallet(self) -> bool {
        match self {
            Cause::Audit | Cause::Repair | Cause::Wallet | Cause::DeepReorg | Cause::ShrunkWallet | Cause::UnknownSpend => true,
            Cause::StoreWentBack | Cause::Payment | Cause::Staking | Cause::Disk => false,
        }
    }

    /// What a person does about a freeze of this number; none: about what would freeze.
    pub fn next(self, freeze: Option<i64>) -> String {
        let number = freeze.map_or_else(|| "NUMBER".to_owned(), |id| id.to_string());
        let thaw = format!("`bursar audit thaw {number} --reason …`");
        match self {
            Cause::Audit => "`bursar audit run` names the transactions, and thaws when ledger and wallet agree".to_owned(),
            Cause::Repair => "`bursar repair run`, or `bursar audit run` when the repair is over".to_owned(),
            Cause::StoreWentBack => format!("{thaw} adopts the payments that the store forgot; read its help first"),
            Cause::Wallet => {
                "find out which wallet the daemon loaded; if only its keys changed, `bursar ledger rekeyed` (for a followed one with `--wallet NAME`)".to_owned()
            }
            Cause::DeepReorg => format!(
                "find out whether the daemon follows the right chain; `bursar pay list --state sent` has the payouts that are open again, \
                 `bursar ledger events` the credits that were taken back; then {thaw}"
            ),
            Cause::Payment => format!("look at the transactions on the chain, then {thaw}"),
            Cause::ShrunkWallet => format!(
                "`bursar repair plan`, or bring the wallet back from a backup; if you know why, {thaw} takes the wallet as it is"
            ),
            Cause::UnknownSpend => format!(
                "find out who made the transaction. A person: `bursar ledger explain` says so, and it thaws, at the next sync at the latest. Nobody: this store is \
                 older than its wallet, and {thaw} takes the transaction as its payment and holds what is queued"
            ),
            Cause::Staking => {
                "switch staking off in the daemon's conf and restart it; it thaws when the daemon proves it".to_owned()
            }
            Cause::Disk => "make room; it thaws by itself".to_owned(),
        }
    }
}

/// Transactions of a freeze that a person is shown with it; all of them are in its JSON.
const SHOWN: usize = 3;

/// What an audit that agrees is proof against. Each is a state, told anew by each finding; the others are events, which add up.
const THAWED_BY_AGREEMENT: [Cause; 2] = [Cause::Audit, Cause::Repair];

/// One reason why payouts are frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// The kind of reason.
    pub cause: Cause,
    /// One sentence for a person.
    pub detail: String,
    /// The transactions concerned.
    pub txids: Vec<Txid>,
    /// The difference, where there is one.
    pub amount: Option<Amount>,
    /// The followed wallet that it concerns, which alone can prove it over; none: the paying wallet, or the coin as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wallet: Option<String>,
}

/// A freeze that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Its number, for a person to name it.
    pub id: i64,
    /// Why.
    pub freeze: Freeze,
    /// Since when.
    pub since: Timestamp,
}

impl Freeze {
    /// Why, with the first of the transactions that the reason does not name itself.
    pub fn words(&self) -> String {
        let unnamed: Vec<String> = self.txids.iter().map(Txid::to_string).filter(|txid| !self.detail.contains(txid)).collect();
        let (shown, more) = unnamed.split_at(unnamed.len().min(SHOWN));
        match (shown.join(", "), more.len()) {
            (shown, _) if shown.is_empty() => self.detail.clone(),
            (shown, 0) => format!("{} ({shown})", self.detail),
            (shown, more) => format!("{} ({shown} and {more} more)", self.detail),
        }
    }
}

impl InForce {
    /// What a person does about it.
    pub fn next(&self) -> String {
        let next = self.freeze.cause.next(Some(self.id));
        match &self.freeze.wallet {
            Some(wallet) if THAWED_BY_AGREEMENT.contains(&self.freeze.cause) => format!(
                "{next}; no audit of wallet '{wallet}' comes where it is off wallet.follow: then `bursar audit thaw {} --reason …`",
                self.id
            ),
            _ => next,
        }
    }
}

/// Freezes payouts, unless for exactly this finding they are frozen already or a person's override is in force.
pub fn freeze(tx: &Tx<'_>, freeze: &Freeze, now: Timestamp) -> Result<(), StoreError> {
    // Words included: a finding can have neither a transaction nor an amount, and then only they tell it from another.
    let known = records::in_force(tx)?.into_iter().chain(records::overridden(tx)?).any(|old| old.freeze == *freeze);
    if known {
        return Ok(());
    }
    if THAWED_BY_AGREEMENT.contains(&freeze.cause) {
        let wallet = freeze.wallet.as_deref();
        records::thaw(tx, freeze.cause, wallet, "bursar", "replaced by a newer finding", now)?;
        records::end_overrides(tx, freeze.cause, wallet)?;
    }
    records::insert(tx, freeze, now)
}

/// Narrows a person's word against an audit's finding to a part of it, which is found alone now: the word is kept for this finding as it was given, and
/// ends for what else it was given for. Whether it is a part says the audit.
pub fn narrow(tx: &Tx<'_>, overruled: &InForce, part: &Freeze, now: Timestamp) -> Result<(), StoreError> {
    let (cause, wallet) = (part.cause, part.wallet.as_deref());
    let Some((who, reason)) = records::overridden_by(tx, overruled.id)? else { return freeze(tx, part, now) };
    records::end_overrides(tx, cause, wallet)?;
    records::insert(tx, part, now)?;
    for frozen in records::in_force(tx)?.iter().filter(|frozen| frozen.freeze == *part) {
        records::override_by(tx, frozen.id, true, &who, &reason, now)?;
    }
    Ok(())
}

/// The findings of this cause, in a followed wallet (none: in the paying one), against which a person's word stands.
pub fn overruled(tx: &Tx<'_>, cause: Cause, wallet: Option<&str>) -> Result<Vec<InForce>, StoreError> {
    let mut overruled = records::overridden(tx)?;
    overruled.retain(|old| old.freeze.cause == cause && old.freeze.wallet.as_deref() == wallet);
    Ok(overruled)
}

/// A person's word against one freeze. It binds to exactly these transactions, this amount and these words: what an audit finds again in the same way does
/// not freeze again, until an audit agrees or finds something else ([`narrow`]: which is no part of it). The other causes freeze again as soon as they are seen again.
///
/// None when no freeze of that number is in force.
pub fn override_by(tx: &Tx<'_>, id: i64, who: &str, reason: &str, now: Timestamp) -> Result<Option<InForce>, StoreError> {
    let found = records::in_force(tx)?.into_iter().find(|frozen| frozen.id == id);
    if let Some(frozen) = &found {
        records::override_by(tx, id, frozen.freeze.cause == Cause::Audit, who, reason, now)?;
    }
    Ok(found)
}

/// The freezes in force; payouts are open when there are none.
pub fn frozen(tx: &Tx<'_>) -> Result<Vec<InForce>, StoreError> {
    records::in_force(tx)
}

/// The freezes that were in force at some time since then, thawed or not, oldest first.
pub fn frozen_since(tx: &Tx<'_>, then: Timestamp) -> Result<Vec<InForce>, StoreError> {
    records::in_force_since(tx, then)
}

/// Whether something is frozen that only an audit of this followed wallet (none: of the paying one) thaws.
pub fn awaits_audit(tx: &Tx<'_>, wallet: Option<&str>) -> Result<bool, StoreError> {
    let awaits = |freeze: &Freeze| THAWED_BY_AGREEMENT.contains(&freeze.cause) && freeze.wallet.as_deref() == wallet;
    Ok(records::in_force(tx)?.iter().any(|frozen| awaits(&frozen.freeze)))
}

/// An audit of a followed wallet (none: of the paying one) agreed: what waits for that thaws, and nothing of another wallet. Returns how many
/// freezes did.
pub fn audit_agreed(tx: &Tx<'_>, wallet: Option<&str>, now: Timestamp) -> Result<usize, StoreError> {
    let thawed = THAWED_BY_AGREEMENT.iter().map(|cause| {
        records::end_overrides(tx, *cause, wallet)?;
        records::thaw(tx, *cause, wallet, "audit", "ledger and wallet agree", now)
    });
    thawed.sum()
}

/// Keeps a cause that is a state in step with what is found now: one freeze with these words while it lasts, none with this proof when it is
/// over. Of one followed wallet, where one is given. Returns whether anything changed.
pub fn follow(
    tx: &Tx<'_>,
    cause: Cause,
    wallet: Option<&str>,
    finding: Option<&str>,
    proof: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let in_force: Vec<String> = records::in_force(tx)?
        .into_iter()
        .filter(|frozen| frozen.freeze.cause == cause && frozen.freeze.wallet.as_deref() == wallet)
        .map(|frozen| frozen.freeze.detail)
        .collect();
    let Some(words) = finding else { return Ok(records::thaw(tx, cause, wallet, "bursar", proof, now)? > 0) };
    if in_force == [words] {
        return Ok(false);
    }
    records::thaw(tx, cause, wallet, "bursar", "replaced by a newer finding", now)?;
    let wallet = wallet.map(str::to_owned);
    records::insert(tx, &Freeze { cause, detail: words.to_owned(), txids: vec![], amount: None, wallet }, now)?;
    Ok(true)
}

/// The cause is gone by proof other than an audit (such as the right wallet answering again); that of one followed wallet, where one is given.
pub fn cleared(tx: &Tx<'_>, cause: Cause, wallet: Option<&str>, proof: &str, now: Timestamp) -> Result<usize, StoreError> {
    records::thaw(tx, cause, wallet, "bursar", proof, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_cause_has_the_name_of_its_json() {
        for cause in [
            Cause::Audit,
            Cause::Repair,
            Cause::StoreWentBack,
            Cause::Wallet,
            Cause::DeepReorg,
            Cause::Payment,
            Cause::ShrunkWallet,
            Cause::UnknownSpend,
            Cause::Staking,
            Cause::Disk,
        ] {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.name());
        }
        assert!(Cause::DeepReorg.next(Some(7)).ends_with("then `bursar audit thaw 7 --reason …`"));
    }

    #[test]
    fn some_of_a_freezes_transactions_are_shown_and_the_others_counted() {
        let txids: Vec<Txid> = (1..=5).map(|number| Txid::from_bytes([number; 32])).collect();
        let of = |count: usize| Freeze { txids: txids[..count].to_vec(), ..finding(0) };
        assert_eq!(of(0).words(), "differs");
        assert_eq!(of(1).words(), format!("differs ({})", txids[0]));
        assert_eq!(of(5).words(), format!("differs ({}, {}, {} and 2 more)", txids[0], txids[1], txids[2]));
        let named = Freeze { detail: format!("{} is wrong", txids[0]), ..of(1) };
        assert_eq!(named.words(), named.detail);
    }

    fn finding(amount: i64) -> Freeze {
        let amount = Some(Amount::from_base_units(amount));
        Freeze { cause: Cause::Audit, detail: "differs".to_owned(), txids: vec![], amount, wallet: None }
    }

    #[test]
    fn a_newer_finding_replaces_the_older_and_agreement_thaws() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        store
            .write(|tx| {
                freeze(tx, &finding(1), Timestamp(1))?;
                freeze(tx, &finding(1), Timestamp(2))?;
                freeze(tx, &finding(2), Timestamp(3))
            })
            .unwrap();
        let in_force = store.read(frozen).unwrap();
        assert_eq!(in_force.len(), 1);
        assert_eq!(in_force[0].freeze, finding(2));
        assert_eq!(store.write(|tx| audit_agreed(tx, None, Timestamp(4))).unwrap(), 1);
        assert_eq!(store.read(frozen).unwrap(), vec![]);
    }

    #[test]
    fn an_override_binds_to_its_finding_and_ends_with_agreement() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let frozen_by = |store: &mut Store, amount| {
            store.write(|tx| freeze(tx, &finding(amount), Timestamp(1))).unwrap();
            store.read(frozen).unwrap()
        };
        let id = frozen_by(&mut store, 1)[0].id;
        let word = |store: &mut Store, id| store.write(|tx| override_by(tx, id, "ada", "known", Timestamp(2))).unwrap();
        assert!(word(&mut store, id).is_some());
        assert_eq!(word(&mut store, id), None);
        assert_eq!(frozen_by(&mut store, 1), vec![], "the same finding");
        assert_eq!(frozen_by(&mut store, 2).len(), 1, "another finding");
        assert_eq!(frozen_by(&mut store, 1).len(), 1, "another finding ended the override");
        let id = store.read(frozen).unwrap()[0].id;
        assert!(word(&mut store, id).is_some());
        store.write(|tx| audit_agreed(tx, None, Timestamp(3))).unwrap();
        assert_eq!(frozen_by(&mut store, 1).len(), 1, "agreement ended the override");
    }

    #[test]
    fn a_freeze_that_thawed_since_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        store.write(|tx| freeze(tx, &finding(1), Timestamp(10))).unwrap();
        store.write(|tx| audit_agreed(tx, None, Timestamp(20))).unwrap();
        let since = |store: &mut Store, then| store.read(|tx| frozen_since(tx, Timestamp(then))).unwrap().len();
        assert_eq!((since(&mut store, 5), since(&mut store, 20), since(&mut store, 21)), (1, 1, 0));
        store.write(|tx| freeze(tx, &finding(2), Timestamp(30))).unwrap();
        assert_eq!(since(&mut store, 100), 1, "still in force");
    }

    #[test]
    fn an_override_of_one_remark_is_none_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let remark = |words: &str| Freeze { detail: words.to_owned(), ..finding(0) };
        store.write(|tx| freeze(tx, &remark("immature coins differ"), Timestamp(1))).unwrap();
        let id = store.read(frozen).unwrap()[0].id;
        store.write(|tx| override_by(tx, id, "ada", "known", Timestamp(2))).unwrap();
        store.write(|tx| freeze(tx, &remark("immature coins differ"), Timestamp(3))).unwrap();
        assert_eq!(store.read(frozen).unwrap(), vec![]);
        store.write(|tx| freeze(tx, &remark("the wallet contradicts itself"), Timestamp(4))).unwrap();
        assert_eq!(store.read(frozen).unwrap().len(), 1);
    }

    #[test]
    fn two_bad_payments_are_two_freezes() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let payment = |amount| Freeze { cause: Cause::Payment, ..finding(amount) };
        store.write(|tx| [1, 2].into_iter().try_for_each(|amount| freeze(tx, &payment(amount), Timestamp(1)))).unwrap();
        assert_eq!(store.read(frozen).unwrap().len(), 2);
    }

    #[test]
    fn a_state_has_one_freeze_while_it_lasts() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let mut found = |finding: Option<&str>, now| {
            let changed =
                store.write(|tx| follow(tx, Cause::Disk, None, finding, "there is room again", Timestamp(now))).unwrap();
            let frozen = store.read(frozen).unwrap();
            (changed, frozen.into_iter().map(|frozen| (frozen.freeze.detail, frozen.since.0)).collect::<Vec<_>>())
        };
        assert_eq!(found(None, 1), (false, vec![]));
        assert_eq!(found(Some("full"), 2), (true, vec![("full".to_owned(), 2)]));
        assert_eq!(found(Some("full"), 3), (false, vec![("full".to_owned(), 2)]));
        assert_eq!(found(Some("fuller"), 4), (true, vec![("fuller".to_owned(), 4)]));
        assert_eq!(found(None, 5), (true, vec![]));
    }

    #[test]
    fn a_wallet_that_agrees_thaws_its_own_freeze_and_no_other_ones() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let of = |wallet: Option<&str>, amount| Freeze { wallet: wallet.map(str::to_owned), ..finding(amount) };
        let wallets = [None, Some("cold"), Some("deposits")];
        store.write(|tx| wallets.into_iter().try_for_each(|wallet| freeze(tx, &of(wallet, 1), Timestamp(1)))).unwrap();
        store.write(|tx| freeze(tx, &of(Some("cold"), 2), Timestamp(2))).unwrap();
        let concerned = |store: &mut Store| {
            let frozen = store.read(frozen).unwrap().into_iter();
            frozen.map(|frozen| (frozen.freeze.wallet, frozen.freeze.amount.unwrap().base_units())).collect::<Vec<_>>()
        };
        let [cold, deposits] = ["cold", "deposits"].map(|name| Some(name.to_owned()));
        assert_eq!(concerned(&mut store), [(None, 1), (deposits.clone(), 1), (cold.clone(), 2)], "a newer finding of its own");
        assert_eq!(store.write(|tx| audit_agreed(tx, Some("deposits"), Timestamp(3))).unwrap(), 1);
        assert_eq!(store.write(|tx| audit_agreed(tx, None, Timestamp(4))).unwrap(), 1);
        assert_eq!(concerned(&mut store), [(cold, 2)]);
        assert_eq!(store.write(|tx| audit_agreed(tx, Some("cold"), Timestamp(5))).unwrap(), 1);
        assert_eq!(concerned(&mut store), []);
    }

    #[test]
    fn agreement_does_not_thaw_a_store_that_went_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let went_back = Freeze { cause: Cause::StoreWentBack, ..finding(1) };
        store.write(|tx| freeze(tx, &went_back, Timestamp(1))).unwrap();
        assert_eq!(store.write(|tx| audit_agreed(tx, None, Timestamp(2))).unwrap(), 0);
        assert_eq!(store.read(frozen).unwrap().len(), 1);
    }
}
