//! Could the wallet have forgotten a payment since a batch was made? Gathers what `rules::breaks` judges.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::batch::{Batch, mark_prefix};
use super::error::PayoutError;
use super::host::Host;
use super::rules::Continuity;
use super::{journaled, records};
use crate::coin::{Timestamp, Txid};
use crate::config::CoinSettings;
use crate::daemon::{self, RpcError, Wallet};
use crate::gate::{self, Cause};
use crate::keeper::wallet_dir;
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
pub(super) fn observe(store: &mut Store, wallet: &dyn Wallet, host: &dyn Host, batch: &Batch) -> Result<Continuity, PayoutError> {
    let (followed, witnesses) =
        store.read(|tx| Ok::<_, PayoutError>((ledger::transactions(tx)?, records::witnesses(tx, &batch.id)?)))?;
    let listed = Listed::of(wallet, &mark_prefix(store.id()), &witnesses)?;
    // A stranger's unconfirmed receipt may vanish by itself, and so may what is dead.
    let kept = |state: &TxState| !matches!(state, TxState::Pending | TxState::Dead);
    let followed: Vec<Txid> = followed.into_iter().filter(|(_, state)| kept(state)).map(|(txid, _)| txid).collect();
    let missing = followed.iter().filter(|txid| !listed.txids.contains(txid)).copied().collect();
    let unmarked = witnesses.iter().filter(|witness| !listed.carrying.contains(witness)).map(|(txid, _)| *txid).collect();
    let mut signs = host.signs_since(batch.created);
    signs.extend(signs_in_store(store, batch.created)?);
    signs.extend(forgotten_marks(store, wallet, listed.marks)?);
    signs.extend(batch.doubt_reason.as_deref().and_then(write_error));
    Ok(Continuity {
        fingerprints: (batch.fingerprint.clone(), wallet.identity()?.fingerprint),
        boots: (batch.boot_id.clone(), host.boot_id()),
        followed: followed.len(),
        missing,
        unmarked,
        signs,
    })
}

/// A store that went back in time, before a sync has seen that: what became of the batch may be among what it forgot, and under another mark.
fn forgotten_marks(store: &mut Store, wallet: &dyn Wallet, mut ours: BTreeSet<String>) -> Result<Option<String>, PayoutError> {
    let prefix = mark_prefix(store.id());
    ours.extend(journaled::remembered(wallet, store.id())?.into_iter().filter(|mark| mark.starts_with(&prefix)));
    store.read(|tx| {
        for mark in ours {
            if !records::knows_mark(tx, &mark)? {
                return Ok(Some(format!("this store went back in time: it does not know {mark}, which the wallet has")));
            }
        }
        Ok(None)
    })
}

/// What counts here of the wallet's whole listing.
#[derive(Default)]
struct Listed {
    txids: HashSet<Txid>,
    /// Witnesses that still carry their marks.
    carrying: BTreeSet<(Txid, String)>,
    /// Marks of this store.
    marks: BTreeSet<String>,
}

impl Listed {
    fn of(wallet: &dyn Wallet, prefix: &str, witnesses: &[(Txid, String)]) -> Result<Listed, RpcError> {
        let mut listed = Listed::default();
        daemon::each_watched_entry(wallet, None, |entry| {
            listed.txids.insert(entry.txid);
            if let Some(comment) = entry.comment {
                let is_witness = |(txid, mark): &&(Txid, String)| *txid == entry.txid && *mark == comment;
                listed.carrying.extend(witnesses.iter().find(is_witness).cloned());
                listed.marks.extend(Some(comment).filter(|comment| comment.starts_with(prefix)));
            }
            Ok::<_, RpcError>(())
        })?;
        Ok(listed)
    }
}

/// A repair since the batch, or a wallet that was seen to be another one. That an audit agreed afterwards says nothing here: the ledger
/// never saw the payment in doubt, so it does not miss it.
fn signs_in_store(store: &mut Store, since: Timestamp) -> Result<Vec<String>, PayoutError> {
    let frozen = store.read(|tx| gate::frozen_since(tx, since))?.into_iter();
    let causes = [Cause::Repair, Cause::Wallet, Cause::ShrunkWallet, Cause::StoreWentBack];
    let telling = frozen.filter(|frozen| causes.contains(&frozen.freeze.cause));
    Ok(telling.map(|frozen| frozen.freeze.detail).collect())
}

fn write_error(doubt_reason: &str) -> Option<String> {
    let sign = SIGNS_IN_LOG.iter().find(|sign| doubt_reason.contains(**sign))?;
    Some(format!("the wallet could not write when the batch was sent ({sign})"))
}

/// What the daemon's log and the wallet's folder say.
pub(super) fn signs_on_disk(coin: &CoinSettings, since: Timestamp) -> Vec<String> {
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
    let (mut first, mut last) = (None, None);
    while reader.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        let time: String = text.chars().take(19).collect::<String>().replacen(' ', "T", 1);
        let telling = SIGNS_IN_LOG.iter().any(|sign| text.contains(sign));
        let dated = time.starts_with("20");
        if telling && (time >= since || !dated) {
            found.push(format!("the daemon's log says: {}", text.trim()));
        }
        if dated {
            first.get_or_insert_with(|| time.clone());
            last = Some(time);
        }
        line.clear();
    }
    // A start shortens a long log, and rotation or another folder takes it away: what is not in it may have happened all the same.
    let covers = |first: String, last: String| first <= since && since <= last;
    if !first.zip(last).is_some_and(|(first, last)| covers(first, last)) {
        found.push(format!("the daemon's log {} does not reach from before the batch until now", log.display()));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(lines: &str) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), lines).unwrap();
        // 2026-01-15T08:00:00Z
        signs_in_log(file.path(), Timestamp(1_768_464_000)).unwrap()
    }

    #[test]
    fn a_log_counts_only_if_it_reaches_from_before_the_batch_until_now() {
        let (before, after) = ("2026-01-15T07:59:59Z init\n", "2026-01-15T08:00:01Z init\n");
        assert_eq!(signs(&format!("\n\n{before}{after}")), [] as [String; 0]);
        assert_eq!(signs("2026-01-15 07:59:59 init\n2026-01-15 08:00:00 init\n"), [] as [String; 0], "before 0.17");
        for partial in ["", before, after, "undated\n"] {
            let found = signs(partial);
            assert!(found.len() == 1 && found[0].contains("does not reach"), "{partial}: {found:?}");
        }
    }

    #[test]
    fn a_sign_counts_from_the_second_of_the_batch() {
        let (before, sign) = ("2026-01-15T07:59:58Z init\n", "Error: Disk space is low!\n");
        let of = |time: &str| signs(&format!("{before}2026-01-15T{time}Z {sign}2026-01-15T08:00:01Z init\n")).len();
        assert_eq!((of("07:59:59"), of("08:00:00")), (0, 1));
    }
}
