//! Could the wallet have forgotten a payment since a batch was made? Gathers what `rules::breaks` judges.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::batch::Batch;
use super::error::PayoutError;
use super::records;
use super::rules::Continuity;
use crate::coin::{Timestamp, Txid};
use crate::config::CoinSettings;
use crate::daemon::Wallet;
use crate::gate::{self, Cause};
use crate::keeper::{boot_id, wallet_dir};
use crate::ledger::{self, TxState};
use crate::store::Store;

/// Lines of the daemon's log after which its wallet may lack transactions that it had, seen on Litecoin 0.18 and 0.21 and Knots.
const SIGNS_IN_LOG: &[&str] = &[
    "Zapping all transactions",
    "Salvage",
    "data salvaged",
    "-salvagewallet",
    "Disk space is too low",
    "Disk space is low",
    "out of disk space",
    "AddKey failed",
    "HD chain model failed",
];
/// How far back the daemon's log is read: a busy day of a busy node.
const LOG_BYTES: u64 = 256 << 20;

/// What is known about the wallet's memory since the batch was made.
pub(super) fn observe(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    batch: &Batch,
) -> Result<Continuity, PayoutError> {
    let listed: BTreeMap<Txid, BTreeSet<String>> = listing(wallet)?;
    let (followed, witnesses) =
        store.read(|tx| Ok::<_, PayoutError>((ledger::transactions(tx)?, records::witnesses(tx, &batch.id)?)))?;
    // A stranger's unconfirmed receipt may vanish by itself, and so may what is dead.
    let kept = |state: &TxState| !matches!(state, TxState::Pending | TxState::Dead);
    let followed: Vec<Txid> = followed.into_iter().filter(|(_, state)| kept(state)).map(|(txid, _)| txid).collect();
    let missing = followed.iter().filter(|txid| !listed.contains_key(txid)).copied().collect();
    let carries = |(txid, mark): &(Txid, String)| listed.get(txid).is_some_and(|comments| comments.contains(mark));
    let unmarked = witnesses.iter().filter(|witness| !carries(witness)).map(|(txid, _)| *txid).collect();
    let mut signs = signs_on_disk(coin, batch.created);
    signs.extend(signs_in_store(store)?);
    signs.extend(batch.doubt_reason.as_deref().and_then(write_error));
    Ok(Continuity {
        fingerprints: (batch.fingerprint.clone(), wallet.identity()?.fingerprint),
        boots: (batch.boot_id.clone(), boot_id()),
        followed: followed.len(),
        missing,
        unmarked,
        signs,
    })
}

fn listing(wallet: &dyn Wallet) -> Result<BTreeMap<Txid, BTreeSet<String>>, PayoutError> {
    let mut listed: BTreeMap<Txid, BTreeSet<String>> = BTreeMap::new();
    for entry in wallet.list_since(None)?.entries {
        let comments = listed.entry(entry.txid).or_default();
        comments.extend(entry.comment);
    }
    Ok(listed)
}

/// A repair that no audit has confirmed since, or a wallet that was seen to be another one.
fn signs_in_store(store: &mut Store) -> Result<Vec<String>, PayoutError> {
    let frozen = store.read(gate::frozen)?.into_iter();
    let telling = frozen.filter(|frozen| matches!(frozen.freeze.cause, Cause::Repair | Cause::Wallet | Cause::StoreWentBack));
    Ok(telling.map(|frozen| frozen.freeze.detail).collect())
}

fn write_error(doubt_reason: &str) -> Option<String> {
    let sign = SIGNS_IN_LOG.iter().find(|sign| doubt_reason.contains(**sign))?;
    Some(format!("the wallet could not write when the batch was sent ({sign})"))
}

fn signs_on_disk(coin: &CoinSettings, since: Timestamp) -> Vec<String> {
    let log = coin.chain_dir().join("debug.log");
    match signs_in_log(&log, since) {
        Ok(mut signs) => {
            signs.extend(salvage_leftovers(coin, since));
            signs
        }
        // What cannot be seen cannot be ruled out.
        Err(error) => {
            vec![format!("the daemon's log {} cannot be read ({error}), so a repair cannot be ruled out", log.display())]
        }
    }
}

/// Lines begin with the time in UTC, `2026-11-20T10:30:00Z` (before 0.17: a space for the `T` and no `Z`), which sorts as text.
fn signs_in_log(log: &Path, since: Timestamp) -> std::io::Result<Vec<String>> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
    let since = since.to_string().chars().take(19).collect::<String>();
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut found = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        let time: String = text.chars().take(19).collect::<String>().replacen(' ', "T", 1);
        let telling = SIGNS_IN_LOG.iter().any(|sign| text.contains(sign));
        if telling && (time >= since || !time.starts_with("20")) {
            found.push(format!("the daemon's log says: {}", text.trim()));
        }
        line.clear();
    }
    Ok(found)
}

/// Salvage and migration rename the old file to `….bak`.
fn salvage_leftovers(coin: &CoinSettings, since: Timestamp) -> Vec<String> {
    let folders = [coin.chain_dir(), wallet_dir(coin)];
    let since = UNIX_EPOCH + Duration::from_secs(u64::try_from(since.0).unwrap_or(0));
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let newer = |entry: &fs::DirEntry| entry.metadata().and_then(|data| changed(&data)).is_ok_and(|time| time >= since);
    let leftovers = files.filter(|entry| entry.path().extension().is_some_and(|ext| ext == "bak") && newer(entry));
    leftovers.map(|entry| format!("the wallet was salvaged or migrated since: {}", entry.path().display())).collect()
}

/// A rename keeps the time of the content and sets the time of the inode: that one tells when the file got its name.
fn changed(data: &fs::Metadata) -> std::io::Result<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    Ok(UNIX_EPOCH + Duration::from_secs(u64::try_from(data.ctime()).unwrap_or(0)))
}
