//! Make, sign, export; read back, compare.

use std::io;
use std::path::{Path, PathBuf};

use super::{CheckpointFile, CheckpointReport, Unclear, folder, marks, records, rules};
use crate::coin::Timestamp;
use crate::config::CoinSettings;
use crate::daemon::create_file;
use crate::ledger::signing::{PublicKey, SIGNATURE_SUFFIX, SigningKey};
use crate::ledger::verify::{Fault, Mark, VerifyReport, verify as verify_ledger};
use crate::ledger::{LedgerError, signing};
use crate::store::{Store, StoreError};

/// Anybody may read an exported checkpoint: it holds no secret and no amount.
const FILE_MODE: u32 = 0o644;

/// What a person does about a ledger that is not whole.
const NOT_WHOLE: &str = "stop the service and keep a copy of `bursar.db` and `bursar.db-wal` as they are; `bursar ledger verify --checkpoint FILE` with checkpoints \
                         from elsewhere tells how far it still fits, and the newest backup has an older one. See *What a verification covers* in the README";

pub(super) fn make(store: &mut Store, coin: &CoinSettings, now: Timestamp) -> Result<CheckpointReport, LedgerError> {
    let key = SigningKey::of(coin)?;
    let checkpoint = store.write::<_, StoreError>(|tx| records::add(tx, now))?;
    let content = rules::content(&coin.name, coin.chain, store.id(), &checkpoint);
    let content = content.map_err(|error| LedgerError::Damaged(format!("checkpoint {}: {error}", checkpoint.n)))?;
    let signature = key.sign(content.as_bytes(), &rules::comment(&coin.name, &checkpoint))?;
    let file = CheckpointFile { name: rules::file_name(&coin.name, &checkpoint), content, signature };
    let exported = coin.checkpoints_dir.as_deref().map(|dir| export(dir, &file)).transpose()?;
    if exported.is_some() {
        store.write::<_, StoreError>(|tx| records::exported(tx, checkpoint.n, now))?;
    }
    Ok(CheckpointReport { checkpoint, file, exported, public_key: key.public().to_string() })
}

/// Writes both files; the signature first, so that a checkpoint that is there has one.
fn export(dir: &Path, file: &CheckpointFile) -> Result<PathBuf, LedgerError> {
    let path = dir.join(&file.name);
    let not_exported = |problem: String| LedgerError::NotExported { file: path.clone(), problem };
    if !dir.is_dir() {
        return Err(not_exported("the folder does not exist (is its disk mounted?); bursar does not create it".to_owned()));
    }
    let write = |name: String, content: &str| create_file(&dir.join(name), FILE_MODE, content.as_bytes());
    let written = write(format!("{}{SIGNATURE_SUFFIX}", file.name), &file.signature);
    written.and_then(|()| write(file.name.clone(), &file.content)).map_err(|error: io::Error| not_exported(error.to_string()))?;
    Ok(path)
}

pub(super) fn verify(
    store: &mut Store,
    coin: &CoinSettings,
    files: &[CheckpointFile],
    key: Option<&str>,
) -> Result<VerifyReport, LedgerError> {
    if files.is_empty() {
        return verify_by_folder(store, coin);
    }
    let read = read(coin, files, key)?;
    let store_id = store.id().to_owned();
    let other = read.iter().find(|read| read.store != store_id).map(|read| {
        format!(
            "{} is of store {}, and this is store {store_id}: the file belongs to another coin, or another ledger was put in the place of this one",
            read.mark.by, read.store
        )
    });
    verify_by(store, read.into_iter().filter(|read| read.store == store_id).map(|read| read.mark), other)
}

/// By what lies in the folder of exported checkpoints.
fn verify_by_folder(store: &mut Store, coin: &CoinSettings) -> Result<VerifyReport, LedgerError> {
    let folder::Look { newest, contradiction, unclear } = folder::look(store, coin)?;
    let report = verify_by(store, newest, contradiction)?;
    let (unread, next) = unclear.map(|Unclear { words, next }| (words, next)).unzip();
    Ok(VerifyReport { unread, next: report.next.or(next), ..report })
}

fn verify_by(
    store: &mut Store,
    more: impl IntoIterator<Item = Mark>,
    other: Option<String>,
) -> Result<VerifyReport, LedgerError> {
    store.read(|tx| {
        let mut marks = marks(tx)?;
        let own = marks.len();
        marks.extend(more);
        let exported = (marks.len() - own) as u64;
        let report = verify_ledger(tx, marks)?;
        Ok(match report.fault.or(other.map(|words| Fault { seq: None, words })) {
            None => VerifyReport { exported, fault: None, ..report },
            fault => VerifyReport { fault, next: Some(NOT_WHOLE.to_owned()), ..report },
        })
    })
}

fn read(coin: &CoinSettings, files: &[CheckpointFile], key: Option<&str>) -> Result<Vec<rules::Read>, LedgerError> {
    let key: PublicKey = match key {
        Some(text) => text.parse().map_err(LedgerError::Refused)?,
        None => signing::SigningKey::of(coin)?.public().clone(),
    };
    files
        .iter()
        .map(|file| rules::read(file, &key))
        .collect::<Result<_, _>>()
        .map_err(|words: String| LedgerError::Refused(format!("{words}; nothing was verified")))
}
