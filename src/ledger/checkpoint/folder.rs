//! The folder of exported checkpoints, `ledger.checkpoints_dir`, as it is now, and what it says of this store: the newest that the store knows has to fit,
//! and one that the store does not know was made by a later state of it, or by another store.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::{CheckpointFile, Exported, records, rules};
use crate::config::CoinSettings;
use crate::ledger::signing::{PublicKey, SIGNATURE_SUFFIX, SigningKey};
use crate::ledger::verify::Mark;
use crate::store::{Store, StoreError, Tx};

/// Bytes of a checkpoint at most: it has a dozen lines.
const MOST_BYTES: u64 = 64 << 10;
/// Of files that the store does not know, how many are read until one is signed by our key: others may leave files there.
const MOST_UNKNOWN: usize = 16;

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
    /// The newest that this store made and knows.
    pub(super) newest: Option<Mark>,
    /// Why this store cannot be the one that made what lies there, in words.
    pub(super) contradiction: Option<String>,
    /// What could not be found out, in words.
    pub(super) unclear: Option<String>,
}

/// Looks at the names of all, and reads as few as tell.
pub(super) fn look(store: &mut Store, coin: &CoinSettings) -> Result<Look, StoreError> {
    let Some(dir) = &coin.checkpoints_dir else { return Ok(Look::default()) };
    let unclear = |words: String| Ok(Look { unclear: Some(words), ..Look::default() });
    let listed = match list(dir, &coin.name) {
        Ok(listed) if listed.is_empty() => return Ok(Look::default()),
        Ok(listed) => listed,
        Err(error) => return unclear(format!("{}: the folder cannot be read: {error}", dir.display())),
    };
    let key = match SigningKey::of(coin) {
        Ok(key) => key.public().clone(),
        Err(error) => return unclear(error.to_string()),
    };
    let own = store.read(records::all)?;
    // Both are many after years: each is looked for by its number.
    let made = |named: &Named| own.binary_search_by_key(&named.n, |made| made.n).ok().map(|at| &own[at]);
    let knows = |named: &Named| made(named).is_some_and(|made| made.time.compact() == named.time);
    let (known, unknown): (Vec<Named>, Vec<Named>) = listed.into_iter().partition(knows);
    let mut look = Look::default();
    for named in unknown.iter().rev().take(MOST_UNKNOWN) {
        match read(named, &key) {
            Ok(read) => {
                look.contradiction = Some(unknown_words(&read, store.id()));
                return Ok(look);
            }
            Err(words) => look.unclear = look.unclear.or(Some(words)),
        }
    }
    match known.last().map(|named| read(named, &key)) {
        Some(Ok(read)) if read.store == store.id() => look.newest = Some(read.mark),
        Some(Ok(read)) => look.contradiction = Some(unknown_words(&read, store.id())),
        Some(Err(words)) => look.unclear = Some(words),
        None => {}
    }
    Ok(look)
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
        (None, Some(words), _) => Exported::Unclear(words),
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

fn read(named: &Named, key: &PublicKey) -> Result<rules::Read, String> {
    let text = |file: &Path| {
        let mut text = String::new();
        let read = File::open(file).and_then(|opened| opened.take(MOST_BYTES).read_to_string(&mut text));
        read.map(|_| text).map_err(|error| format!("{}: {error}", file.display()))
    };
    let mut signature = OsString::from(named.file.as_os_str());
    signature.push(SIGNATURE_SUFFIX);
    let name = named.file.display().to_string();
    let file = CheckpointFile { name, content: text(&named.file)?, signature: text(Path::new(&signature))? };
    rules::read(&file, key)
}
