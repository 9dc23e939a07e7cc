//! Planted bugs: in a copy of the sources one rule at a time is taken away, and the histories have to notice.

mod list;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

pub(crate) use list::MUTANTS;

/// Seeds within which each has to be noticed.
const SEEDS: u64 = 500;
/// What is wrong when an oracle says so; a panic is none of it.
const WRONG: [&str; 5] = ["doubled", "lost", "untrue", "stuck", "ledger"];

/// What each mutant asks for in the copy: whether it is the one that runs.
const PLANTED: &str = "
/// Whether this rule is taken away.
pub(crate) fn planted(name: &str) -> bool {
    static NAME: std::sync::LazyLock<Option<String>> = std::sync::LazyLock::new(|| std::env::var(\"BURSAR_PLANTED\").ok());
    NAME.as_deref() == Some(name)
}
";

/// A copy of the project that is changed and built beside the real one.
struct Copy {
    sources: PathBuf,
    target: PathBuf,
    report: PathBuf,
}

impl Copy {
    fn new() -> Copy {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
        let sources = place.join("sources");
        fs::remove_dir_all(&sources).ok();
        copy(Path::new(env!("CARGO_MANIFEST_DIR")), &sources);
        Copy { sources, target: place.join("target"), report: place.join("report.json") }
    }

    /// Plants all of them, each asleep until it is named.
    fn plant(&self) {
        self.change("src/lib.rs", |text| text + PLANTED);
        for mutant in MUTANTS {
            let planted = format!("crate::planted({:?})", mutant.name);
            for edit in mutant.edits {
                self.change(edit.file, |text| text.replacen(edit.from, &edit.to.replace("PLANTED", &planted), 1));
            }
        }
    }

    fn change(&self, file: &str, work: impl FnOnce(String) -> String) {
        let file = self.sources.join(file);
        fs::write(&file, work(fs::read_to_string(&file).unwrap())).unwrap();
    }

    /// Runs the histories on the copy with this rule taken away, or none. Returns what they reported, and nothing if they did not come so
    /// far.
    fn run(&self, name: &str) -> Option<Value> {
        fs::remove_file(&self.report).ok();
        let mut command = Command::new(env!("CARGO"));
        command.args(["test", "--quiet", "--test", "simulation", "whatever_happens"]);
        command.current_dir(&self.sources).env("CARGO_TARGET_DIR", &self.target).env("BURSAR_REPORT", &self.report);
        command.env("BURSAR_SEEDS", SEEDS.to_string()).env("BURSAR_UNTIL_WRONG", "1").env("BURSAR_PLANTED", name);
        let output = command.env_remove("BURSAR_SEED").stdin(Stdio::null()).output().unwrap();
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
    copy.plant();
    let whole = copy.run("none");
    let clean = whole.as_ref().is_some_and(|report| findings(report).is_empty() && report["panics"] == 0);
    eprintln!("unmutated: {}", if clean { "clean" } else { "NOT CLEAN" });
    let (mut told, mut survivors) = (serde_json::Map::new(), Vec::new());
    for mutant in MUTANTS {
        let report = copy.run(mutant.name);
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
