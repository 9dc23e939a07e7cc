//! What stands in a checkpoint's file, and how it is read.

use serde::{Deserialize, Serialize};

use super::{Checkpoint, CheckpointFile};
use crate::coin::{Chain, Timestamp};
use crate::daemon::Tip;
use crate::ledger::Head;
use crate::ledger::signing::PublicKey;
use crate::ledger::verify::Mark;

/// What the file says that it is.
const WHAT: &str = "bursar ledger checkpoint";
/// Its version. It is raised only for what older programs would misread.
const VERSION: u32 = 1;

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct Statement {
    what: String,
    version: u32,
    coin: String,
    chain: Chain,
    /// The id of the store.
    store: String,
    n: u64,
    time: Timestamp,
    postings: u64,
    hash: String,
    balances_sha256: String,
    /// Files from before they were covered have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credits: Option<Head>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chronicle: Option<Head>,
    tip: Option<Tip>,
}

/// The text of a checkpoint's file.
pub(super) fn content(coin: &str, chain: Chain, store: &str, checkpoint: &Checkpoint) -> Result<String, serde_json::Error> {
    let Checkpoint { n, time, postings, hash, balances, credits, chronicle, tip } = checkpoint;
    let statement = Statement {
        what: WHAT.to_owned(),
        version: VERSION,
        coin: coin.to_owned(),
        chain,
        store: store.to_owned(),
        n: *n,
        time: *time,
        postings: *postings,
        hash: hash.clone(),
        balances_sha256: balances.clone(),
        credits: credits.clone(),
        chronicle: chronicle.clone(),
        tip: *tip,
    };
    Ok(serde_json::to_string_pretty(&statement)? + "\n")
}

/// What `minisign -V` shows of it.
pub(super) fn comment(coin: &str, checkpoint: &Checkpoint) -> String {
    format!("{coin} checkpoint {} of {}, {} postings", checkpoint.n, checkpoint.time, checkpoint.postings)
}

/// The name of its file; names sort as they were made.
pub(super) fn file_name(coin: &str, checkpoint: &Checkpoint) -> String {
    format!("{coin}-checkpoint-{:06}-{}.json", checkpoint.n, checkpoint.time.compact())
}

/// Number and time of a checkpoint by such a name; none: it is not one of this coin's.
pub(super) fn read_file_name(coin: &str, name: &str) -> Option<(u64, String)> {
    let (n, time) = name.strip_prefix(coin)?.strip_prefix("-checkpoint-")?.strip_suffix(".json")?.split_once('-')?;
    let is_time = time.ends_with('Z') && time.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'T' | b'Z'));
    Some((n.parse().ok()?, time.to_owned())).filter(|_| is_time)
}

/// A checkpoint of this store.
pub(super) fn own_mark(checkpoint: &Checkpoint) -> Mark {
    Mark {
        seq: checkpoint.postings,
        hash: checkpoint.hash.clone(),
        balances: checkpoint.balances.clone(),
        credits: checkpoint.credits.clone(),
        chronicle: checkpoint.chronicle.clone(),
        by: format!("checkpoint {} of {} in this store", checkpoint.n, checkpoint.time),
    }
}

/// A checkpoint that came from elsewhere.
pub(super) struct Read {
    pub(super) mark: Mark,
    /// The id of the store that made it.
    pub(super) store: String,
    /// Its number there.
    pub(super) n: u64,
    /// When it was made.
    pub(super) time: Timestamp,
}

/// Reads an exported checkpoint. Words if it is none, or not signed with this key.
pub(super) fn read(file: &CheckpointFile, key: &PublicKey) -> Result<Read, String> {
    let name = &file.name;
    key.check(file.content.as_bytes(), &file.signature).map_err(|problem| {
        format!(
            "{name}: its signature is not that of key {key}: {problem}. If the coin had another key then, give its public half by --key"
        )
    })?;
    let none = |problem: String| format!("{name} is not a checkpoint of a ledger: {problem}");
    let statement: Statement = serde_json::from_str(&file.content).map_err(|error| none(error.to_string()))?;
    if statement.what != WHAT {
        return Err(none(format!("it says that it is '{}'", statement.what)));
    }
    if statement.version != VERSION {
        return Err(format!("{name} is of version {}, and this bursar knows {VERSION}", statement.version));
    }
    let by = format!("checkpoint {} of {} ({name})", statement.n, statement.time);
    let Statement { n, time, postings, hash, balances_sha256, credits, chronicle, store, .. } = statement;
    Ok(Read { mark: Mark { seq: postings, hash, balances: balances_sha256, credits, chronicle, by }, store, n, time })
}
