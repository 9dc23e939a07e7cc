//! Noting what is pending before a wallet is worked on, and bringing back afterwards what it lost.

use super::copy::write_synced;
use super::rules::{self, Whereabouts};
use super::{PendingRecord, RepairError, RepairRecord, records};
use crate::coin::Txid;
use crate::config::CoinSettings;
use crate::daemon::{RpcError, RpcWallet, Wallet};
use crate::keeper::{Keeper, ProcessState};
use crate::store::{Store, StoreError};

/// Name of the list of noted transactions in the repair's folder: a txid and its bytes per line.
const LIST: &str = "pending-transactions.txt";

/// What could be learned from the wallet before it is worked on.
struct Noted {
    fingerprint: Option<String>,
    tip_height: u64,
    pending: Vec<(Txid, String, bool)>,
}

/// Writes down the pending transactions, in the store and in a file. A wallet that cannot answer has nothing noted: that is no
/// reason not to repair it.
pub(super) fn note(
    store: &mut Store,
    keeper: &mut Keeper,
    coin: &CoinSettings,
    repair: &RepairRecord,
) -> Result<String, RepairError> {
    if !matches!(keeper.state(), ProcessState::Running { .. }) {
        // It is not started for this: a start may write to a wallet of which there is no copy yet.
        return Ok("the daemon does not run: nothing could be noted from the wallet".to_owned());
    }
    let noted = match ask(coin) {
        Ok(noted) => noted,
        // The daemon lives and the wallet does not answer: as damaged ones do.
        Err(error @ RpcError::Daemon { .. }) if !error.is_warming_up() => {
            return Ok(format!("nothing could be noted, the wallet does not answer: {error}"));
        }
        Err(error) => return Err(error.into()),
    };
    let lines: String = noted.pending.iter().map(|(txid, raw_hex, _)| format!("{txid} {raw_hex}\n")).collect();
    write_synced(&repair.folder.join(LIST), lines.as_bytes())?;
    store.write(|tx| -> Result<(), StoreError> {
        records::set_before(tx, repair.id, noted.fingerprint.as_deref(), noted.tip_height)?;
        noted.pending.iter().try_for_each(|(txid, raw_hex, own)| records::note(tx, repair.id, txid, raw_hex, *own))
    })?;
    let own = noted.pending.iter().filter(|(_, _, own)| *own).count();
    Ok(format!(
        "{} pending or recent transactions noted, {own} of them ours, at height {}",
        noted.pending.len(),
        noted.tip_height
    ))
}

fn ask(coin: &CoinSettings) -> Result<Noted, RpcError> {
    let mut wallet = RpcWallet::connect(coin)?;
    wallet.ensure_loaded()?;
    let tip = wallet.tip()?;
    let since = tip.height.checked_sub(coin.final_depth).map(|height| wallet.block_hash(height)).transpose()?;
    let mut pending = Vec::new();
    for (txid, own) in rules::pending(&wallet.list_since(since.as_ref())?) {
        if let Some(known) = wallet.transaction(&txid)? {
            pending.push((txid, known.raw_hex, own));
        }
    }
    Ok(Noted { fingerprint: wallet.identity()?.fingerprint, tip_height: tip.height, pending })
}

/// Gives the network again what it lost of ours: the same bytes, never a new payment. Records what became of each transaction.
pub(super) fn rebroadcast(store: &mut Store, wallet: &dyn Wallet, repair: &RepairRecord) -> Result<String, RepairError> {
    let mut again = 0_usize;
    for noted in &repair.pending {
        let whereabouts = find(wallet, &noted.txid)?;
        let broadcast = rules::should_broadcast(noted.own, whereabouts);
        let fate = match whereabouts {
            Whereabouts::Block => "in a block".to_owned(),
            Whereabouts::Mempool => "in the mempool".to_owned(),
            Whereabouts::Nowhere if broadcast => give_again(wallet, noted)?,
            Whereabouts::Nowhere => "in no block and no mempool; not ours to broadcast".to_owned(),
        };
        again += usize::from(broadcast);
        tracing::info!(txid = %noted.txid, "noted before the repair: {fate}");
        store.write(|tx| records::set_fate(tx, repair.id, &noted.txid, &fate))?;
    }
    Ok(format!("{} noted transactions looked for, {again} broadcast again", repair.pending.len()))
}

fn find(wallet: &dyn Wallet, txid: &Txid) -> Result<Whereabouts, RpcError> {
    let confirmed = wallet.transaction(txid)?.is_some_and(|known| known.entries.iter().any(|entry| entry.confirmations > 0));
    if confirmed {
        return Ok(Whereabouts::Block);
    }
    Ok(if wallet.in_mempool(txid)? { Whereabouts::Mempool } else { Whereabouts::Nowhere })
}

/// A refusal is a fate like another (its inputs may be spent, or it is in a block that this wallet does not see); silence is not.
fn give_again(wallet: &dyn Wallet, noted: &PendingRecord) -> Result<String, RpcError> {
    match wallet.broadcast(&noted.raw_hex) {
        Ok(()) => Ok("broadcast again".to_owned()),
        Err(RpcError::Daemon { code, message, .. }) => Ok(format!("broadcast again and refused: {message} (code {code})")),
        Err(error) => Err(error),
    }
}
