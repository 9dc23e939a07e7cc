//! Which of several wallets a question about an audit is of.

use super::{AuditError, Report, Verdict, records};
use crate::coin::Txid;
use crate::config::CoinSettings;
use crate::ledger::{self, LedgerWallet, following};
use crate::store::{StoreError, Tx};

/// The only wallet whose ledger follows the transaction, or whose last audit named it; without a transaction the only one whose last audit did not agree.
/// The paying one where that is none.
pub(super) fn place(tx: &Tx<'_>, coin: &CoinSettings, txid: Option<&Txid>) -> Result<String, AuditError> {
    let mut places = Vec::new();
    for LedgerWallet { name, pays, .. } in ledger::wallets(tx, coin)? {
        // Some daemons call the paying wallet otherwise than the settings; one that is followed no more cannot be asked.
        let known = if pays { Some(&coin.wallet.name) } else { coin.wallet.follow.iter().find(|followed| **followed == name) };
        let Some(known) = known else { continue };
        let last = records::last(tx, (!pays).then_some(name.as_str()))?;
        if last.is_some_and(|last| is_named(&last, txid)) || follows(tx, &name, txid)? {
            places.push(known);
        }
    }
    match places.as_slice() {
        [] => Ok(coin.wallet.name.clone()),
        [only] => Ok((*only).clone()),
        several => {
            let wallets = several.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
            let what = txid.map_or_else(|| "the last audits".to_owned(), |txid| format!("transaction {txid}"));
            Err(AuditError::Ambiguous { what, wallets })
        }
    }
}

fn is_named(last: &Report, txid: Option<&Txid>) -> bool {
    match txid {
        Some(txid) => last.suspects.iter().any(|suspect| suspect.txid == *txid),
        None => last.verdict != Verdict::Agrees,
    }
}

fn follows(tx: &Tx<'_>, wallet: &str, txid: Option<&Txid>) -> Result<bool, StoreError> {
    txid.map_or(Ok(false), |txid| Ok(following::one(tx, wallet, txid)?.is_some()))
}
