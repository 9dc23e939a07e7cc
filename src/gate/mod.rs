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
    /// Staking is on, or could not be proven off.
    Staking,
    /// A transaction of ours does not pay what was asked, or pays more than once. Only a person thaws it.
    Payment,
}

/// What an audit that agrees is proof against.
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

/// Freezes payouts. A freeze of the same cause that is in force is replaced by the newer account of it.
pub fn freeze(tx: &Tx<'_>, freeze: &Freeze, now: Timestamp) -> Result<(), StoreError> {
    if records::in_force(tx)?.iter().any(|old| old.freeze == *freeze) {
        return Ok(());
    }
    records::thaw(tx, freeze.cause, "bursar", "replaced by a newer finding", now)?;
    records::insert(tx, freeze, now)
}

/// The freezes in force; payouts are open when there are none.
pub fn frozen(tx: &Tx<'_>) -> Result<Vec<InForce>, StoreError> {
    records::in_force(tx)
}

/// An audit agreed: what waits for that thaws. Returns how many freezes did.
pub fn audit_agreed(tx: &Tx<'_>, now: Timestamp) -> Result<usize, StoreError> {
    let thawed = THAWED_BY_AGREEMENT.iter().map(|cause| records::thaw(tx, *cause, "audit", "ledger and wallet agree", now));
    thawed.sum()
}

/// The cause is gone by proof other than an audit (such as staking seen to be off).
pub fn cleared(tx: &Tx<'_>, cause: Cause, proof: &str, now: Timestamp) -> Result<usize, StoreError> {
    records::thaw(tx, cause, "bursar", proof, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    fn finding(amount: i64) -> Freeze {
        Freeze { cause: Cause::Audit, detail: "differs".to_owned(), txids: vec![], amount: Some(Amount::from_base_units(amount)) }
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
        assert_eq!(store.write(|tx| audit_agreed(tx, Timestamp(4))).unwrap(), 1);
        assert_eq!(store.read(frozen).unwrap(), vec![]);
    }

    #[test]
    fn agreement_does_not_thaw_a_store_that_went_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let went_back = Freeze { cause: Cause::StoreWentBack, ..finding(1) };
        store.write(|tx| freeze(tx, &went_back, Timestamp(1))).unwrap();
        assert_eq!(store.write(|tx| audit_agreed(tx, Timestamp(2))).unwrap(), 0);
        assert_eq!(store.read(frozen).unwrap().len(), 1);
    }
}
