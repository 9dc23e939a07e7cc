//! A person's word that the wallet under the followed name is the followed one, though its keys changed.

use std::collections::BTreeMap;

use tracing::warn;

use super::reading::{self, Since};
use super::{LedgerError, Rekeyed, TxState, records, wallets};
use crate::coin::{Amount, Timestamp, Txid};
use crate::config::CoinSettings;
use crate::daemon::Wallet;
use crate::gate::{self, Cause};
use crate::store::Store;

pub(super) fn rekeyed(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    reason: &str,
    who: &str,
    now: Timestamp,
) -> Result<Rekeyed, LedgerError> {
    let refused = |words: String| LedgerError::Refused(format!("{words}; nothing was changed"));
    if who.trim().is_empty() || reason.trim().is_empty() {
        return Err(refused("this needs a name and a reason".to_owned()));
    }
    let identity = wallet.identity()?;
    let Some(followed) = store.read(|tx| wallets::wallet(tx, &identity.name))? else {
        return Err(refused(format!("the ledger does not follow the wallet '{}' that the daemon answered for", identity.name)));
    };
    if followed.fingerprint == identity.fingerprint {
        return Err(refused(format!("wallet '{}' has the keys that the ledger knows", followed.name)));
    }
    let seen = reading::take(store, wallet, &identity.name, coin.final_depth, Since::Beginning)?.sightings;
    let seen: BTreeMap<Txid, Amount> = seen.iter().map(|sighting| (sighting.txid, sighting.seen.net)).collect();
    let (old, new) = (followed.fingerprint, identity.fingerprint);
    store.write(|tx| {
        let mut transactions = 0;
        for known in records::followed(tx, &followed.name)? {
            // A stranger's unconfirmed receipt may vanish by itself, and so may what is dead.
            if matches!(known.state, TxState::Pending | TxState::Dead) {
                continue;
            }
            transactions += 1;
            let txid = known.txid;
            match seen.get(&txid) {
                Some(net) if *net == known.seen_net => {}
                Some(_) => return Err(refused(format!("the wallet gives transaction {txid} another amount than before"))),
                None => {
                    return Err(refused(format!("the wallet does not list transaction {txid}: it is another one, or lost it")));
                }
            }
        }
        wallets::replace_fingerprint(tx, &followed.name, (old.as_deref(), new.as_deref()), (who, reason), now)?;
        gate::cleared(
            tx,
            Cause::Wallet,
            coin.wallet.followed(&followed.name),
            &format!("{}: {}", who.trim(), reason.trim()),
            now,
        )?;
        warn!(wallet = followed.name, old, new, who, reason, "a person declared that the wallet's keys changed");
        Ok(Rekeyed { wallet: followed.name, old, new, transactions })
    })
}
