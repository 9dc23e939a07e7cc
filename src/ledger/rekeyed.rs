//! A person's word that the wallet under the followed name is the followed one, though its keys changed.

use tracing::warn;

use super::flow::Desk;
use super::pages::PAGE;
use super::reading;
use super::spool::Spool;
use super::{LedgerError, Rekeyed, TxState, following, wallets};
use crate::coin::Timestamp;
use crate::config::CoinSettings;
use crate::daemon::Wallet;
use crate::gate::{self, Cause};
use crate::store::{Store, Tx};

pub(super) fn rekeyed(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    reason: &str,
    who: &str,
    now: Timestamp,
) -> Result<Rekeyed, LedgerError> {
    let identity = wallet.identity()?;
    let Some(followed) = store.read(|tx| wallets::wallet(tx, &identity.name))? else {
        return Err(refused(&format!("the ledger does not follow the wallet '{}' that the daemon answered for", identity.name)));
    };
    if followed.fingerprint == identity.fingerprint {
        return Err(refused(&format!("wallet '{}' has the keys that the ledger knows", followed.name)));
    }
    let desk = Desk::new(store, &identity.name, coin, now);
    let seen = reading::take_settled(store, wallet, &desk)?.spool;
    let (old, new) = (followed.fingerprint, identity.fingerprint);
    store.write(|tx| {
        let transactions = compare(tx, &followed.name, &seen)?;
        wallets::replace_fingerprint(tx, &followed.name, (old.as_deref(), new.as_deref()), (who, reason), now)?;
        let words = format!("{who}: {reason}");
        gate::cleared(tx, Cause::Wallet, coin.wallet.followed(&followed.name), &words, now)?;
        warn!(wallet = followed.name, old, new, who, reason, "a person declared that the wallet's keys changed");
        Ok(Rekeyed { wallet: followed.name, old, new, transactions })
    })
}

/// Every transaction that the ledger follows is shown with the amount that it had. Returns how many they are.
fn compare(tx: &Tx<'_>, wallet: &str, seen: &Spool) -> Result<u64, LedgerError> {
    let (mut after, mut transactions) = (None, 0);
    loop {
        let page = following::page(tx, wallet, after.as_ref(), PAGE)?;
        for known in &page {
            // A stranger's unconfirmed receipt may vanish by itself, and so may what is dead.
            if matches!(known.state, TxState::Pending | TxState::Dead) {
                continue;
            }
            transactions += 1;
            let txid = known.txid;
            match seen.net(&txid)? {
                Some(net) if net == known.seen_net => {}
                Some(_) => return Err(refused(&format!("the wallet gives transaction {txid} another amount than before"))),
                None => {
                    return Err(refused(&format!("the wallet does not list transaction {txid}: it is another one, or lost it")));
                }
            }
        }
        match page.last() {
            Some(last) => after = Some(last.txid),
            None => return Ok(transactions),
        }
    }
}

fn refused(words: &str) -> LedgerError {
    LedgerError::Refused(format!("{words}; nothing was changed"))
}
