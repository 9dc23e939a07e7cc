//! What a person does about a transaction, or may expect of it. Pure.

use super::dossier::LedgerFacts;
use super::{Suspect, SuspectKind};
use crate::coin::{Txid, shell_word};
use crate::ledger::{Kind, Posting, TxState};

/// Whether the wallet knows a transaction now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Yes,
    No,
    /// It could not be asked.
    Unasked,
}

/// Where the daemon has a transaction now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Block,
    Mempool,
    Neither,
    /// It could not be asked.
    Unasked,
}

/// What the daemon says of a transaction, and who makes it known to the network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing<'a> {
    pub(super) known: Known,
    pub(super) place: Place,
    /// The wallet that made it.
    pub(super) payer: &'a str,
    /// A batch paid by it: bursar broadcasts it again.
    pub(super) by_batch: bool,
}

/// The next step, where there is one.
pub(super) fn next(txid: &Txid, suspect: Option<&Suspect>, ledger: &LedgerFacts, standing: &Standing<'_>) -> String {
    let in_limbo = ledger.followed.as_ref().is_some_and(|followed| followed.state == TxState::Limbo);
    let may_be_nowhere = match suspect.map(|suspect| suspect.kind) {
        Some(SuspectKind::Limbo) => true,
        Some(SuspectKind::Transfer) => in_limbo || standing.place == Place::Neither,
        Some(_) => false,
        None => in_limbo,
    };
    match suspect {
        _ if may_be_nowhere => of_limbo(txid, standing),
        Some(suspect) => of_suspect(suspect.kind, standing.known).replace("TXID", &txid.to_string()),
        None => of_unnamed(txid, ledger, standing.known),
    }
}

/// Of a payment that was not in the mempool.
fn of_limbo(txid: &Txid, standing: &Standing<'_>) -> String {
    let Standing { place, payer, by_batch, .. } = standing;
    match (place, by_batch) {
        (Place::Mempool, _) => WAITS.to_owned(),
        (Place::Block, _) => "nothing: a block has it; `bursar audit run` looks again".to_owned(),
        (_, true) => {
            "nothing yet: it is in neither mempool nor chain, and bursar broadcasts it again at each sync; if it stays, its fee may be too low, or \
             another one replaced it"
                .to_owned()
        }
        (_, false) => format!(
            "it is in neither mempool nor chain, and bursar broadcasts only what its batches paid: broadcast it again by `sendrawtransaction` of the \
             hex that `gettransaction {txid}` gives in wallet '{payer}', or give it up there by `abandontransaction {txid}`; one that was \
             replaced waits for a block"
        ),
    }
}

fn of_suspect(kind: SuspectKind, known: Known) -> &'static str {
    match (kind, known) {
        (SuspectKind::Lost, Known::Yes) => "the wallet knows it again: `bursar audit run --deep`",
        (SuspectKind::Lost, _) => "`bursar repair plan` says how the wallet finds it again",
        (SuspectKind::Extra, _) => "`bursar ledger sync`, then `bursar audit run --deep`: it should be posted by then",
        (SuspectKind::Changed, _) => {
            "see on the chain which amount is true. The ledger's: `bursar repair plan`. The wallet's: `bursar ledger explain TXID --as ACCOUNT --reason …` follows it, under your name"
        }
        (SuspectKind::Contradicted, _) => {
            "if its block is on the active chain, the wallet is wrong: `bursar repair plan`; if not, `bursar ledger sync` finds the proof"
        }
        (SuspectKind::Puzzling, _) => "a newer bursar may know what it is; until then a person has to look at it on the chain",
        (SuspectKind::Unexplained, _) => "find out who paid, then `bursar ledger explain TXID --as ACCOUNT --reason …`",
        (SuspectKind::FoundLate, _) => "nothing: it is posted now",
        (SuspectKind::Limbo | SuspectKind::Transfer | SuspectKind::Untrusted | SuspectKind::Pending, _) => WAITS,
    }
}

const WAITS: &str = "nothing: it waits for its confirmation";

fn of_unnamed(txid: &Txid, ledger: &LedgerFacts, known: Known) -> String {
    let words = match (&ledger.followed, ledger.elsewhere.as_slice(), known) {
        (None, [other, ..], _) => {
            return format!("it is of wallet '{other}': `bursar audit explain {txid} --wallet {}`", shell_word(other));
        }
        (None, [], Known::No) => "neither ledger nor wallet know it: check the id",
        (None, [], _) => "the ledger does not follow it: `bursar ledger sync`",
        (Some(followed), _, _) => match followed.state {
            TxState::Pending if taken_back(&ledger.postings) => {
                "it lost its block, and what was posted for it is taken back. It is posted again, and a deposit credited again, \
                 when a block has it again; if a block has another transaction that spends the same coins, it never is"
            }
            TxState::Mempool if taken_back(&ledger.postings) => {
                "it lost its block and waits for another one: nothing is to be done"
            }
            TxState::Dead => {
                "it is no money now: a block has another transaction that spends its coins, it was abandoned, or it lost its block and no mempool \
                 holds it. It is posted again if a block has it again. Where it was a credited deposit, `bursar ledger events` has the reversal"
            }
            TxState::Pending => "nothing: it is posted when a block has it",
            TxState::Mempool | TxState::Limbo => WAITS,
            TxState::Immature { .. } => "nothing: it is posted when it is mature",
            TxState::Confirmed { .. } if !ledger.waiting.is_empty() => "nothing: it is credited when it is deep enough",
            TxState::Confirmed { .. } => "nothing: the last audit did not name it",
        },
    };
    words.to_owned()
}

/// Whether a block had it once.
fn taken_back(postings: &[Posting]) -> bool {
    postings.iter().any(|posting| posting.kind == Kind::Reversal || posting.block.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::{Amount, BlockHash, Timestamp};
    use crate::daemon::Tip;
    use crate::ledger::{Account, Followed};

    fn txid() -> Txid {
        Txid::from_bytes([1; 32])
    }

    fn facts(state: Option<TxState>) -> LedgerFacts {
        let followed = state.map(|state| Followed {
            txid: txid(),
            state,
            net: Amount::ZERO,
            seen_net: Amount::ZERO,
            own: false,
            event: None,
            is_final: false,
            comment: None,
        });
        LedgerFacts {
            followed,
            elsewhere: vec![],
            claim: None,
            postings: vec![],
            credits: vec![],
            waiting: vec![],
            confirmations: None,
        }
    }

    fn reversal() -> Posting {
        let hash = BlockHash::from_bytes([2; 32]);
        Posting {
            seq: 3,
            event: 3,
            time: Timestamp(1),
            wallet: "w".to_owned(),
            account: Account::Deposit,
            txid: Some(txid()),
            vout: None,
            category: None,
            block: Some(Tip { height: 1, hash }),
            amount: Amount::ZERO,
            kind: Kind::Reversal,
            reverses: Some(1),
            note: None,
            previous: String::new(),
            hash: String::new(),
        }
    }

    fn unnamed(facts: &LedgerFacts, known: Known) -> String {
        next(&txid(), None, facts, &Standing { known, place: Place::Unasked, payer: "w", by_batch: true })
    }

    #[test]
    fn only_what_a_batch_paid_is_broadcast_again_by_bursar() {
        let limbo = facts(Some(TxState::Limbo));
        let told = |place, by_batch, suspect: Option<SuspectKind>| {
            let suspect = suspect.map(|kind| Suspect {
                txid: txid(),
                kind,
                ledger: None,
                wallet: None,
                words: String::new(),
                state: None,
                standing: None,
            });
            let standing = Standing { known: Known::Yes, place, payer: "cold", by_batch };
            next(&txid(), suspect.as_ref(), &limbo, &standing)
        };
        for kind in [None, Some(SuspectKind::Limbo), Some(SuspectKind::Transfer)] {
            let by_hand = told(Place::Neither, false, kind);
            let words = ["in neither mempool nor chain", "`sendrawtransaction`", "in wallet 'cold'", "`abandontransaction 0101"];
            assert!(words.iter().all(|word| by_hand.contains(word)), "{kind:?}: {by_hand}");
            assert!(told(Place::Neither, true, kind).contains("bursar broadcasts it again at each sync"), "{kind:?}");
            assert_eq!(told(Place::Mempool, false, kind), WAITS);
        }
    }

    #[test]
    fn a_transaction_of_another_wallet_is_told_of_there() {
        let facts = LedgerFacts { elsewhere: vec!["deposits".to_owned()], ..facts(None) };
        let words = format!("it is of wallet 'deposits': `bursar audit explain {} --wallet deposits`", txid());
        assert_eq!(unnamed(&facts, Known::No), words);
        assert_eq!(unnamed(&super::tests::facts(None), Known::No), "neither ledger nor wallet know it: check the id");
    }

    #[test]
    fn what_a_reorg_took_out_of_the_chain_is_told_what_to_expect() {
        let never = facts(Some(TxState::Pending));
        assert_eq!(unnamed(&never, Known::Yes), "nothing: it is posted when a block has it");
        let reorged = LedgerFacts { postings: vec![reversal()], ..never };
        assert!(unnamed(&reorged, Known::Yes).starts_with("it lost its block, and what was posted for it is taken back."));
        let dead = LedgerFacts { postings: vec![reversal()], ..facts(Some(TxState::Dead)) };
        assert!(unnamed(&dead, Known::Yes).contains("It is posted again if a block has it again."));
    }
}
