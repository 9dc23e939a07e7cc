//! What an operator gives, what comes back, and what is on disk before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::World;

/// What a run of `bursar --output json` printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: i32,
    pub(crate) json: Value,
    _stderr: String,
}

impl Ran {
    /// Reads what a process printed.
    pub(crate) fn of(output: &Output) -> Ran {
        let stdout = String::from_utf8(output.stdout.clone()).unwrap();
        let stderr = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(!stderr.contains("panicked"), "{stderr}");
        let exit = output.status.code().unwrap_or_else(|| panic!("ended by a signal: {stderr}"));
        Ran {
            exit,
            json: serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}")),
            _stderr: stderr,
        }
    }

    /// What was wrong and what to do, as a person reads it.
    pub(crate) fn words(&self) -> String {
        let text = |key: &str| self.json["error"][key].as_str().unwrap_or_default().to_owned();
        format!("{} next: {}", text("message"), text("next"))
    }

    /// Checks exit code, code word and that the message has all of `words`.
    #[track_caller]
    pub(crate) fn fails_with(&self, name: &str, exit: i32, code: &str, words: &[&str]) {
        assert_eq!((self.exit, self.json["error"]["code"].as_str()), (exit, Some(code)), "{name}: {self:?}");
        let said = self.words();
        for word in words {
            assert!(said.contains(word), "{name}: '{said}' does not say '{word}'");
        }
    }

    /// The answer, when all went well.
    #[track_caller]
    pub(crate) fn done(self) -> Value {
        assert_eq!(self.exit, 0, "{self:?}");
        self.json
    }
}

/// The exit code of an order that fails: for monitoring, an audit without a verdict is unknown (3), whatever the reason.
pub(crate) fn exit_of(order: &[&str], exit: i32) -> i32 {
    if order == ["audit", "run"] { 3 } else { exit }
}

/// Runs one verb and reads its JSON.
pub(crate) fn run(world: &World, args: &[&str]) -> Ran {
    Ran::of(&world.bursar(&[&["--output", "json"], args].concat()))
}

/// Everything that a failed order must leave as it was: the store's rows, and bursar's files in the world.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    rows: BTreeMap<String, Vec<String>>,
    files: BTreeMap<PathBuf, String>,
}

impl Seen {
    /// Looks, with nothing of bursar.
    pub(crate) fn now(world: &World) -> Seen {
        let store = world.coin().service_dir().join("bursar.db");
        let rows = if store.exists() { dump(&store) } else { BTreeMap::new() };
        let mut files = BTreeMap::new();
        list(world.dir(), &mut files);
        Seen { rows, files }
    }

    /// What stands in only one of the two.
    fn beside(&self, other: &Seen) -> Vec<String> {
        let lines = |seen: &Seen| -> BTreeSet<String> {
            let rows = seen.rows.iter().flat_map(|(table, rows)| rows.iter().map(move |row| format!("{table}: {row}")));
            rows.chain(seen.files.iter().map(|(path, hash)| format!("{} {hash}", path.display()))).collect()
        };
        lines(self).symmetric_difference(&lines(other)).cloned().collect()
    }

    /// The names of the files.
    pub(crate) fn file_names(&self) -> Vec<String> {
        self.files.keys().map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect()
    }
}

/// What ties the log to the database, another one after each start, and when the ledger was last in step, which an order may have seen to before
/// it failed.
const MAY_MOVE: [&str; 3] = ["log_base", "log_before", "synced_s"];

/// Every row of every table.
fn dump(file: &Path) -> BTreeMap<String, Vec<String>> {
    let store = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut tables = store.prepare("select name from sqlite_schema where type = 'table' order by name").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let rows = |table: &String| {
        let mut all = store.prepare(&format!("select * from \"{table}\"")).unwrap();
        let columns = all.column_names().enumerate().filter(|(_, name)| !MAY_MOVE.contains(name));
        let columns: Vec<usize> = columns.map(|(column, _)| column).collect();
        let text = |row: &rusqlite::Row<'_>| {
            let cells: Result<Vec<Cell>, _> = columns.iter().map(|column| row.get(*column)).collect();
            Ok(format!("{:?}", cells?))
        };
        all.query_map([], text).unwrap().map(Result::unwrap).collect()
    };
    tables.iter().map(|table| (table.clone(), rows(table))).collect()
}

/// Files with a hash of their contents; of folders, their names. What belongs to the daemon, and the store's own pages, are left out.
fn list(dir: &Path, files: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("bursar.db") || matches!(name.as_str(), "regtest" | "keeper-output.log" | "wallets") {
            continue;
        }
        let is_dir = path.is_dir();
        let contents = if path.is_file() { hex::encode(Sha256::digest(fs::read(&path).unwrap())) } else { String::new() };
        files.insert(path.clone(), contents);
        if is_dir {
            list(&path, files);
        }
    }
}

/// Runs something that must fail and leave everything as it was.
#[track_caller]
pub(crate) fn unchanged(world: &World, name: &str, act: impl FnOnce() -> Ran) -> Ran {
    let before = Seen::now(world);
    let ran = act();
    let left = Seen::now(world).beside(&before);
    assert!(left.is_empty(), "{name} left something behind or took something away: {left:#?}\n{ran:?}");
    ran
}
