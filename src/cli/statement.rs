//! `bursar ledger statement --to DIR`: the document and its signature as files, for whoever keeps them.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Map, json};
use tempfile::NamedTempFile;

use super::args::{Output, StatementArgs};
use super::{client, print};
use crate::audit::SignedStatement;
use crate::config::{CoinSettings, Settings};
use crate::ledger::signing::SIGNATURE_SUFFIX;
use crate::service::{Answer, Failure, exit};

/// What somebody else may read: the folder says who gets to it.
const MODE: u32 = 0o644;

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
    let failed = |error: io::Error| Failure::new("statement_file", format!("{}: {error}", file.display()), exit::FAILED);
    match fs::read(file) {
        Ok(there) if there == content.as_bytes() => return Ok(false),
        Ok(_) => {
            let message = format!("{} is there already and says something else; it was left as it is", file.display());
            let next =
                "compare the two: a statement made before the day was over may be moved aside; otherwise `bursar ledger verify`";
            return Err(Failure::new("statement_differs", message, exit::FAILED).next(next));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let dir = file.parent().unwrap_or(Path::new("."));
    let mut made = NamedTempFile::new_in(dir).map_err(failed)?;
    let written =
        made.write_all(content.as_bytes()).and_then(|()| made.as_file().set_permissions(fs::Permissions::from_mode(MODE)));
    written.and_then(|()| made.as_file().sync_all()).map_err(failed)?;
    made.persist_noclobber(file).map_err(|error| failed(error.error))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
    Ok(true)
}
