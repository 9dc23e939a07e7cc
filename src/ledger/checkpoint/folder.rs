//! The folder of exported checkpoints, `ledger.checkpoints_dir`, as it is now, and what it says of this store: the newest that the store knows has to fit,
//! and one that the store does not know was made by a later state of it, or by another store.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::troubles::{Trouble, Troubles};
use super::{Checkpoint, CheckpointFile, Exported, Unclear, records, rules};
use crate::config::CoinSettings;
use crate::ledger::signing::{PublicKey, SIGNATURE_SUFFIX, SigningKey};
use crate::ledger::verify::Mark;
use crate::store::{Store, StoreError, Tx};

/// Bytes of a checkpoint at most: it has a dozen lines.
const MOST_BYTES: u64 = 64 << 10;
/// Of files that the store does not know, how many are read until one is signed by our key: others may leave files there.
const MOST_UNKNOWN: usize = 16;
/// Of files that the store knows, how many are read until one can be.
const MOST_UNREAD: usize = 16;

/// A checkpoint's file, as its name tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    /// The checkpoint's number in the store that made it.
    pub(super) n: u64,
    /// When it was made, as in the name.
    pub(super) time: String,
    /// The file.
    pub(super) file: PathBuf,
}

/// The coin's checkpoints there, by number. None where the folder is not there.
pub(super) fn list(dir: &Path, coin: &str) -> io::Result<Vec<Named>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let named = entry.file_name().to_str().and_then(|name| rules::read_file_name(coin, name));
        if let Some((n, time)) = named
            && entry.file_type()?.is_file()
        {
            found.push(Named { n, time, file: entry.path() });
        }
    }
    found.sort();
    Ok(found)
}

/// What was found there.
#[derive(Default)]
pub(super) struct Look {
    /// The newest that this store made and knows, of those that can be read.
    pub(super) newest: Option<Mark>,
    /// Why this store cannot be the one that made what lies there, in words.
    pub(super) contradiction: Option<String>,
    /// What could not be found out.
    pub(super) unclear: Option<Unclear>,
}

/// What the store says that it made.
struct Own {
    all: Vec<Checkpoint>,
    id: String,
    key: PublicKey,
}

impl Own {
    /// Whether it made one of this number and time. There are many after years: each is looked for by its number.
    fn knows(&self, n: u64, time: &str) -> bool {
        let at = self.all.binary_search_by_key(&n, |made| made.n);
        at.is_ok_and(|at| self.all[at].time.compact() == time)
    }
}

/// Looks at the names of all, and reads as few as tell.
pub(super) fn look(store: &mut Store, coin: &CoinSettings) -> Result<Look, StoreError> {
    let Some(dir) = &coin.checkpoints_dir else { return Ok(Look::default()) };
    let mut troubles = Troubles::default();
    let listed = list(dir, &coin.name).unwrap_or_else(|error| {
        troubles.add(Trouble::Unreadable, format!("{}: the folder cannot be read: {error}", dir.display()));
        Vec::new()
    });
    let exported = store.read(records::newest_exported)?;
    let mut look = Look::default();
    let mut newest = 0;
    match SigningKey::of(coin) {
        Ok(key) if !listed.is_empty() => {
            let own = Own { all: store.read(records::all)?, id: store.id().to_owned(), key: key.public().clone() };
            match read_newest(&own, &listed, &mut troubles) {
                Ok(found) => (newest, look.newest) = found.map_or((0, None), |read| (read.n, Some(read.mark))),
                Err(words) => look.contradiction = Some(words),
            }
        }
        // Nothing is to be checked by it.
        _ if listed.is_empty() && exported.is_none() => {}
        Ok(_) => {}
        Err(error) => troubles.add(Trouble::NoKey, error.to_string()),
    }
    if let Some(exported) = exported.filter(|exported| exported.n != newest) {
        let name = rules::file_name(&coin.name, &exported);
        if !listed.iter().any(|named| named.file.file_name().is_some_and(|listed| listed == name.as_str())) {
            let path = dir.join(name);
            let words =
                format!("checkpoint {} was exported and is not there: {} (is its disk mounted?)", exported.n, path.display());
            troubles.add(Trouble::Missing, words);
        }
    }
    look.unclear = troubles.unclear();
    Ok(look)
}

/// Reads what the store does not know by name, and of what it knows the newest that can be read. Words if one of them is of another store, or of a later
/// state of this one: what is signed tells, not the name.
fn read_newest(own: &Own, listed: &[Named], troubles: &mut Troubles) -> Result<Option<rules::Read>, String> {
    let (known, unknown): (Vec<&Named>, Vec<&Named>) = listed.iter().partition(|named| own.knows(named.n, &named.time));
    let mut newest: Option<rules::Read> = None;
    let unknown = unknown.into_iter().rev().take(MOST_UNKNOWN).map(|named| (named, false));
    for (named, is_known) in unknown.chain(known.iter().rev().take(MOST_UNREAD).map(|named| (*named, true))) {
        let read = match read(named, &own.key) {
            Ok(read) => read,
            Err((trouble, words)) => {
                troubles.add(trouble, words);
                continue;
            }
        };
        if read.store != own.id || !own.knows(read.n, &read.time.compact()) {
            return Err(unknown_words(&read, &own.id));
        }
        let is_named_well = read.n == named.n && is_known;
        if !is_named_well {
            let words =
                format!("{} has another name than what is signed in it, which is checkpoint {}", named.file.display(), read.n);
            troubles.add(Trouble::Misnamed, words);
        }
        if newest.as_ref().is_none_or(|newest| newest.n < read.n) {
            newest = Some(read);
        }
        if is_named_well {
            break;
        }
    }
    // What was signed before a key was lost stays signed by it, however many were made since.
    if let Some(oldest) = known.first()
        && !troubles.has(Trouble::OtherKey)
        && CheckpointFile::open(&oldest.file).is_ok_and(|file| own.key.is_of_another(&file.signature))
    {
        troubles.add(Trouble::OtherKey, format!("{} was signed by another key than {}", oldest.file.display(), own.key));
    }
    Ok(newest)
}

/// Holds the newest that the store knows against the rows that it names: a few look-ups.
pub(super) fn compare(store: &mut Store, coin: &CoinSettings) -> Result<Exported, StoreError> {
    let look = look(store, coin)?;
    let misfit = match &look.newest {
        Some(mark) => store.read(|tx| misfit(tx, mark))?,
        None => None,
    };
    Ok(match (look.contradiction.or(misfit), look.unclear, look.newest) {
        (Some(words), _, _) => Exported::Contradicts(words),
        (None, Some(Unclear { words, next }), Some(mark)) => {
            Exported::Unclear(Unclear { words: format!("{words}; the store fits {}", mark.by), next })
        }
        (None, Some(unclear), None) => Exported::Unclear(unclear),
        (None, None, Some(mark)) => Exported::Fits(mark.by),
        (None, None, None) => Exported::Nothing,
    })
}

fn unknown_words(read: &rules::Read, store: &str) -> String {
    let by = &read.mark.by;
    if read.store == store {
        return format!(
            "{by} was made by this store, which does not know it: this is an older state, brought back from a backup or copied into its place"
        );
    }
    format!("{by} was made by store {}, and this is store {store}: another ledger was put in the place of that one", read.store)
}

/// A row that is not what the checkpoint saw; words.
fn misfit(tx: &Tx<'_>, mark: &Mark) -> Result<Option<String>, StoreError> {
    let by = &mark.by;
    if !records::has_posting(tx, mark.seq, &mark.hash)? {
        return Ok(Some(format!("{by} saw another posting {}, or it is not there any more", mark.seq)));
    }
    if let Some(head) = &mark.credits
        && !records::has_credit(tx, head)?
    {
        return Ok(Some(format!("{by} saw another credit event {}, or it is not there any more", head.seq)));
    }
    if let Some(head) = &mark.chronicle
        && !records::has_row(tx, head)?
    {
        return Ok(Some(format!("{by} saw another row {} of the chronicle, or it is not there any more", head.seq)));
    }
    Ok(None)
}

/// The checkpoint in this file, or what is the matter with it.
fn read(named: &Named, key: &PublicKey) -> Result<rules::Read, (Trouble, String)> {
    let unreadable = |words: String| (Trouble::Unreadable, words);
    let file = CheckpointFile::open(&named.file).map_err(unreadable)?;
    let trouble = if key.is_of_another(&file.signature) { Trouble::OtherKey } else { Trouble::Unreadable };
    rules::read(&file, key).map_err(|words| (trouble, words))
}

impl CheckpointFile {
    /// Reads one and the `.minisig` beside it; what it says is not judged.
    ///
    /// # Errors
    /// The file that cannot be read and why, in words.
    pub fn open(file: &Path) -> Result<CheckpointFile, String> {
        let signature = [file.as_os_str(), OsStr::new(SIGNATURE_SUFFIX)].into_iter().collect::<OsString>();
        let (content, signature) = (text(file)?, text(signature.as_ref())?);
        Ok(CheckpointFile { name: file.display().to_string(), content, signature })
    }
}

fn text(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(file).and_then(|opened| opened.take(MOST_BYTES).read_to_string(&mut text));
    read.map(|_| text).map_err(|error| format!("{}: {error}", file.display()))
}
