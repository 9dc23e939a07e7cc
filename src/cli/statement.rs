//! `bursar ledger statement --to DIR`: the document and its signature as files, for whoever keeps them.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde_json::{Map, json};

use super::args::{Output, StatementArgs};
use super::{client, print};
use crate::audit::SignedStatement;
use crate::config::{CoinSettings, Settings};
use crate::daemon::create_file;
use crate::ledger::signing::SIGNATURE_SUFFIX;
use crate::service::{Answer, Failure, exit};

/// It tells of money: a group may be let in, nobody else.
const MODE: u32 = 0o640;

/// Has the statement made and writes it into the folder.
pub(super) fn write(
    settings: &Settings,
    coin: &CoinSettings,
    args: &StatementArgs,
    dir: &Path,
    output: Output,
) -> Result<u8, Failure> {
    let Answer::LedgerStatement(signed) = client::place(settings, coin, &args.order())? else {
        return Err(Failure::new("other_answer", "the service gave another answer than a statement", exit::FAILED));
    };
    let SignedStatement { name, document, signature, .. } = signed.as_ref();
    let (file, beside) = (dir.join(name), dir.join(format!("{name}{SIGNATURE_SUFFIX}")));
    let is_new = put(&file, document)?;
    // Of the same document an earlier signature is as good.
    if is_new || !beside.exists() {
        put(&beside, signature)?;
    }
    let fields = [("file", json!(file)), ("signature", json!(beside)), ("public_key", json!(signed.public_key))];
    let fields = Map::from_iter(fields.map(|(key, value)| (key.to_owned(), value)));
    print::both(&format!("{}\n{}", file.display(), beside.display()), fields, output)?;
    Ok(exit::DONE)
}

/// Writes a file whole and synced, or finds it there with the same content: false then. Other content is never overwritten.
fn put(file: &Path, content: &str) -> Result<bool, Failure> {
    match create_file(file, MODE, content.as_bytes()) {
        Ok(()) => return Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(not_written(file, &error)),
    }
    if fs::read(file).map_err(|error| not_written(file, &error))? == content.as_bytes() {
        return Ok(false);
    }
    let message = format!("{} is there already and says something else; it was left as it is", file.display());
    let next = "compare the two: a statement made before the day was over may be moved aside; otherwise `bursar ledger verify`";
    Err(Failure::new("statement_differs", message, exit::FAILED).next(next))
}

fn not_written(file: &Path, error: &io::Error) -> Failure {
    let message = format!("the statement could not be written to {}: {error}", file.display());
    let next = "give a folder that is there and that this user may write into; without --to it is printed";
    Failure::new("statement_file", message, exit::FAILED).next(next)
}
