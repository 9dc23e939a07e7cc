//! Which transactions are wrong: judged one by one, and gathered without keeping them all. Pure.

use sha2::{Digest, Sha256};

use super::{Suspect, SuspectKind};
use crate::coin::{Amount, AmountError, Txid};
use crate::ledger::{Followed, Seen, Standing, TxState};

/// Transactions that a report names. A wallet that was replaced by an empty one lacks all of them, and nobody reads a million names.
pub(super) const NAMED: usize = 250;

/// Transactions that one side has and the other has not, or otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Wrong {
    named: Vec<Suspect>,
    more: u64,
    /// Stands for those that are not named.
    digest: Sha256,
    gap: Amount,
}

impl Wrong {
    /// Judges one transaction by what each side knows of it.
    pub(super) fn judge(&mut self, txid: Txid, ledger: Option<&Followed>, wallet: Option<&Seen>) -> Result<(), AmountError> {
        let Some((kind, words)) = judge(ledger, wallet) else { return Ok(()) };
        let posted = ledger.filter(|ledger| ledger.event.is_some() || is_immature(ledger)).map(|ledger| ledger.net);
        let shown = wallet.filter(|_| kind != SuspectKind::Contradicted).map(|seen| seen.net);
        if moves_the_balance(kind) && !ledger.is_some_and(is_immature) {
            self.gap = self.gap.checked_add(posted.unwrap_or_default().checked_sub(shown.unwrap_or_default())?)?;
        }
        if self.named.len() >= NAMED {
            self.more += 1;
            self.digest.update(format!("{txid} {kind:?}\n"));
            return Ok(());
        }
        self.named.push(Suspect {
            txid,
            kind,
            ledger: posted,
            wallet: shown,
            words: words.to_owned(),
            state: ledger.map(|ledger| ledger.state),
            standing: wallet.map(|seen| seen.standing),
        });
        Ok(())
    }

    /// Those that are named, in the order of their ids.
    pub(super) fn named(&self) -> Vec<Suspect> {
        let mut named = self.named.clone();
        named.sort_by_key(|suspect| suspect.txid);
        named
    }

    /// How many are not named, and a digest that stands for them.
    pub(super) fn unnamed(&self) -> (u64, Option<String>) {
        let digest = (self.more > 0).then(|| hex::encode(self.digest.clone().finalize()));
        (self.more, digest)
    }

    /// What the ledger's balance has for all of them beyond what the wallet's has.
    pub(super) fn gap(&self) -> Amount {
        self.gap
    }
}

pub(super) fn is_immature(followed: &Followed) -> bool {
    matches!(followed.state, TxState::Immature { .. })
}

/// Whether the wallet shows it as something that the ledger should have posted.
fn is_money(seen: &Seen) -> bool {
    match seen.standing {
        Standing::Block(_) => true,
        Standing::Unconfirmed => seen.own,
        Standing::Dead { .. } | Standing::Immature(_) => false,
    }
}

fn judge(ledger: Option<&Followed>, wallet: Option<&Seen>) -> Option<(SuspectKind, &'static str)> {
    let posted = ledger.filter(|ledger| ledger.event.is_some());
    let awaited = ledger.filter(|ledger| is_immature(ledger));
    match (posted, awaited, wallet) {
        (_, _, Some(seen)) if seen.puzzling => {
            Some((SuspectKind::Puzzling, "it has an entry of a category that this version does not know"))
        }
        (Some(_), _, None) => {
            Some((SuspectKind::Lost, "the ledger has it, the wallet does not know it any more; see `bursar repair plan`"))
        }
        (None, Some(_), None) => {
            Some((SuspectKind::Lost, "these coins were to mature, and the wallet does not know them any more"))
        }
        (Some(posted), _, Some(seen)) if is_money(seen) && seen.net != posted.net => {
            Some((SuspectKind::Changed, "the wallet gives it another amount than was posted"))
        }
        (Some(posted), _, Some(seen)) if posted.own && !seen.own && seen.net != posted.net => {
            Some((SuspectKind::Changed, "the wallet shows our own payment as a stranger's: it lost what the payment spends"))
        }
        (Some(_), _, Some(seen)) if !is_money(seen) => {
            Some((SuspectKind::Contradicted, "it is posted, and the wallet says without proof that it is not money"))
        }
        (None, Some(awaited), Some(seen)) if seen.net != awaited.net => {
            Some((SuspectKind::Changed, "the wallet gives coins that were to mature another amount than before"))
        }
        (None, awaited, Some(seen)) if is_money(seen) || awaited.is_none() && matches!(seen.standing, Standing::Immature(_)) => {
            Some((SuspectKind::Extra, "the wallet has it, the ledger has not posted it"))
        }
        _ => None,
    }
}

/// Whether a suspect's amounts are part of the two balances that are compared.
fn moves_the_balance(kind: SuspectKind) -> bool {
    matches!(kind, SuspectKind::Lost | SuspectKind::Extra | SuspectKind::Changed | SuspectKind::Contradicted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::BlockHash;

    fn row(number: u16) -> Followed {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        let (net, block) = (Amount::from_base_units(5), BlockHash::from_bytes([1; 32]));
        Followed {
            txid: Txid::from_bytes(bytes),
            state: TxState::Confirmed { height: 1, block },
            net,
            seen_net: net,
            own: false,
            event: Some(1),
            is_final: true,
            comment: None,
        }
    }

    fn all_lost(rows: impl Iterator<Item = u16>) -> Wrong {
        let mut wrong = Wrong::default();
        rows.map(row).for_each(|row| wrong.judge(row.txid, Some(&row), None).unwrap());
        wrong
    }

    #[test]
    fn of_very_many_some_are_named_and_all_are_counted() {
        let wrong = all_lost(0..1000);
        assert_eq!((wrong.named().len(), wrong.unnamed().0), (NAMED, 750));
        assert_eq!(wrong.gap().base_units(), 5000);
        assert_eq!(all_lost(0..3).unnamed(), (0, None));
    }

    #[test]
    fn those_that_are_not_named_are_told_apart() {
        let digest = |wrong: Wrong| wrong.unnamed().1.unwrap();
        assert_eq!(digest(all_lost(0..1000)), digest(all_lost(0..1000)));
        assert_ne!(digest(all_lost(0..1000)), digest(all_lost((0..999).chain([2000]))));
    }
}
