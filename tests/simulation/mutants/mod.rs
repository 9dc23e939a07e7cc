//! Planted bugs: in a copy of the sources one rule at a time is taken away, and the histories have to notice.

mod list;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

pub(crate) use list::{Edit, MUTANTS};

/// Seeds within which each has to be noticed.
const SEEDS: u64 = 500;
/// What is wrong when an oracle says so; a panic is none of it.
const WRONG: [&str; 5] = ["doubled", "lost", "untrue", "stuck", "ledger"];

/// A copy of the project that is changed and built beside the real one.
pub(crate) struct Copy {
    sources: PathBuf,
    target: PathBuf,
    report: PathBuf,
}

impl Copy {
    pub(crate) fn new() -> Copy {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
        let sources = place.join("sources");
        fs::remove_dir_all(&sources).ok();
        copy(Path::new(env!("CARGO_MANIFEST_DIR")), &sources);
        Copy { sources, target: place.join("target"), report: place.join("report.json") }
    }

    /// Runs the histories on the copy with these changes. Returns what they reported, and nothing if they did not come so far.
    pub(crate) fn run(&self, edits: &[Edit]) -> Option<Value> {
        // Several changes of one file come one after the other.
        let mut originals: BTreeMap<PathBuf, String> = BTreeMap::new();
        for edit in edits {
            let file = self.sources.join(edit.file);
            let text = fs::read_to_string(&file).unwrap();
            fs::write(&file, text.replacen(edit.from, edit.to, 1)).unwrap();
            originals.entry(file).or_insert(text);
        }
        let report = self.histories();
        for (file, text) in originals {
            fs::write(file, text).unwrap();
        }
        report
    }

    fn histories(&self) -> Option<Value> {
        fs::remove_file(&self.report).ok();
        let mut command = Command::new(env!("CARGO"));
        command.args(["test", "--quiet", "--test", "simulation", "whatever_happens"]);
        command.current_dir(&self.sources).env("CARGO_TARGET_DIR", &self.target).env("BURSAR_REPORT", &self.report);
        command.env("BURSAR_SEEDS", SEEDS.to_string()).env("BURSAR_UNTIL_WRONG", "1").env_remove("BURSAR_SEED");
        let output = command.stdin(Stdio::null()).output().unwrap();
        let report = fs::read_to_string(&self.report).ok().and_then(|text| serde_json::from_str(&text).ok());
        if report.is_none() {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        }
        report
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name == ".git" || name == "target" {
            continue;
        }
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => copy(&entry.path(), &to.join(name)),
            kind if kind.is_file() => _ = fs::copy(entry.path(), to.join(name)).unwrap(),
            _ => {}
        }
    }
}

/// What a report says that is wrong.
fn findings(report: &Value) -> Vec<&'static str> {
    WRONG.into_iter().filter(|wrong| report[*wrong].as_u64().unwrap_or(0) > 0).collect()
}

/// Takes every rule away once; the report names those that nobody missed.
pub(crate) fn run_all() -> (bool, Value) {
    let copy = Copy::new();
    let whole = copy.run(&[]);
    let clean = whole.as_ref().is_some_and(|report| findings(report).is_empty() && report["panics"] == 0);
    eprintln!("unmutated: {}", if clean { "clean" } else { "NOT CLEAN" });
    let (mut told, mut survivors) = (serde_json::Map::new(), Vec::new());
    for mutant in MUTANTS {
        let report = copy.run(mutant.edits);
        let found = report.as_ref().map(findings).unwrap_or_default();
        let seeds = report.as_ref().map_or(Value::Null, |report| report["seeds"].clone());
        eprintln!("{}: {found:?} within {seeds} seeds", mutant.name);
        if found.is_empty() {
            survivors.push(mutant.name);
        }
        told.insert(mutant.name.to_owned(), json!({"rule": mutant.rule, "found": found, "seeds": seeds}));
    }
    let report = json!({
        "unmutated_is_clean": clean,
        "seeds": SEEDS,
        "mutants": MUTANTS.len(),
        "killed": MUTANTS.len() - survivors.len(),
        "survivors": survivors,
        "each": told,
    });
    (clean && survivors.is_empty(), report)
}
