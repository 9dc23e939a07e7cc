//! How a store begins, and where none may. An empty store in the place of a lost one knows no payout: what was paid could be asked for and paid again.

use std::fs;
use std::path::{Path, PathBuf};

use tracing::{error, warn};

use crate::config::CoinSettings;
use crate::ledger::{LedgerError, checkpoint, signing};
use crate::service::{Failure, WithoutStore, exit};
use crate::store::{Store, StoreError};

/// What a person does about it.
pub(super) const HOW_IT_BEGINS: &str =
    "it is made by `bursar run`, or by the first order that does something: `bursar daemon start`, `bursar ledger sync`";

/// Opens the coin's store.
pub(super) fn open(coin: &CoinSettings, without: WithoutStore) -> Result<Store, Failure> {
    let dir = coin.service_dir();
    let mut is_new = false;
    let mut store = match Store::open_existing(&dir) {
        Err(StoreError::Absent(file)) => match (was_lost(coin, &file), without) {
            (Some(lost), WithoutStore::Archives) => {
                warn!("{}", lost.message);
                return Ok(Store::passing()?);
            }
            (Some(lost), _) => return Err(lost),
            (None, WithoutStore::Begin) => {
                is_new = true;
                Store::open(&dir)?
            }
            (None, WithoutStore::LookOn | WithoutStore::Archives) => {
                warn!(file = %file.display(), "there is no store yet: {HOW_IT_BEGINS}");
                return Ok(Store::passing()?);
            }
            (None, WithoutStore::Refuse) => return Err(not_begun(file)),
        },
        // What it comes back from is shown.
        Err(spoilt) if spoilt.is_spoilt() && without == WithoutStore::Archives => {
            warn!(file = %file_of(coin).display(), "{spoilt}");
            return Ok(Store::passing()?);
        }
        opened => opened?,
    };
    if without == WithoutStore::Begin && signing::ensure_key(coin).map_err(LedgerError::from)? && !is_new {
        tell_of_new_key(coin, &mut store)?;
    }
    Ok(store)
}

/// Whoever has the public half of the key that was there can check nothing that this one signs.
fn tell_of_new_key(coin: &CoinSettings, store: &mut Store) -> Result<(), Failure> {
    let file = signing::key_file(coin);
    if store.read(checkpoint::any_made)? {
        error!(
            file = %file.display(),
            "THE SIGNING KEY WAS GONE, though this store has signed checkpoints by it: a new one was made. Bring the old one back, or tell whoever checks \
             signatures the new one (`bursar ledger key`)"
        );
    } else {
        warn!(file = %file.display(), "there was no signing key, and one was made: statements that were signed before bear another one");
    }
    Ok(())
}

/// The file that is opened.
fn file_of(coin: &CoinSettings) -> PathBuf {
    coin.service_dir().join("bursar.db")
}

/// SQLite does not say which file it cannot read.
pub(super) fn naming_file(coin: &CoinSettings, failure: Failure) -> Failure {
    match failure.code.as_str() {
        "store_malformed" => Failure { message: format!("{}: {}", file_of(coin).display(), failure.message), ..failure },
        _ => failure,
    }
}

/// Why none may begin in the place of this file; none: there was none, as far as anything tells.
fn was_lost(coin: &CoinSettings, file: &Path) -> Option<Failure> {
    match traces(coin, file) {
        Ok(traces) if traces.is_empty() => None,
        Ok(traces) => Some(lost(file, &traces)),
        Err(unknown) => Some(unknown),
    }
}

/// What only a store of this coin leaves behind: its key, its log, its checkpoints.
fn traces(coin: &CoinSettings, file: &Path) -> Result<Vec<PathBuf>, Failure> {
    let log = log_of(file);
    let log_has_something = fs::metadata(&log).is_ok_and(|facts| facts.len() > 0);
    let key = signing::key_file(coin);
    let checkpoint = checkpoint::newest_exported(coin).map_err(|error| {
        let message = format!(
            "{}: there is no store, and whether there was one cannot be told: ledger.checkpoints_dir cannot be read ({error}). Nothing was made",
            file.display()
        );
        Failure::new("store_missing", message, exit::CONFIG).next("make that folder readable for this user, then give the order again")
    })?;
    let key = Some(key).filter(|key| key.exists());
    let log = Some(log).filter(|_| log_has_something);
    Ok([key, log, checkpoint].into_iter().flatten().collect())
}

fn lost(file: &Path, traces: &[PathBuf]) -> Failure {
    let state = if file.exists() { "the store is empty" } else { "the store is missing" };
    let named: Vec<String> = traces.iter().map(|trace| trace.display().to_string()).collect();
    let named = named.join(", ");
    let message = format!(
        "{}: {state}, though there was one: {named} lies there still. No new one was made, and nothing is sent: it would know no payout that was paid",
        file.display()
    );
    let next = format!(
        "{}bring `bursar.db` back from the newest backup (see *Backups* in the README). To begin with an empty ledger all the same, move away {named}: \
         whatever was paid before is then unknown, and paid again if somebody asks for it again",
        log_aside(&log_of(file), traces)
    );
    Failure::new("store_missing", message, exit::CONFIG).next(&next)
}

fn log_of(store: &Path) -> PathBuf {
    store.with_extension("db-wal")
}

/// SQLite takes a log for that of whatever database lies beside it: an older copy would get pages of the lost one.
fn log_aside(log: &Path, traces: &[PathBuf]) -> &'static str {
    if traces.iter().any(|trace| trace == log) {
        "move `bursar.db-wal` and `bursar.db-shm` to another folder first, and keep them: they would be written into any store that is put beside them. Then "
    } else {
        ""
    }
}

fn not_begun(file: PathBuf) -> Failure {
    Failure::new("no_store", format!("{}: there is no store yet, and looking makes none", file.display()), exit::FAILED)
        .next(HOW_IT_BEGINS)
}
