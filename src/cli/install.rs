//! `bursar install`: program, units, users, folders and settings of one coin, below any root. Starts and stops nothing.

mod plan;

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Map, json};

use self::plan::{Item, SETTINGS};
use super::args::{Global, Output};
use super::{manual, print};
use crate::config::{self, DaemonMode, Settings};
use crate::daemon::replace_file;
use crate::service::{Failure, exit};

/// What became of one thing.
struct Done {
    path: PathBuf,
    what: &'static str,
    of_the_manual: bool,
}

/// What the settings say that matters here.
struct Said {
    /// The text to write; none: there are settings already.
    new: Option<String>,
    attached: bool,
    backups: Vec<PathBuf>,
    /// The coin's own user cannot read them.
    unreadable: bool,
}

/// Lays everything out below `root`, or says what it would do.
pub(super) fn install(global: &Global, root: &Path, dry_run: bool) -> Result<u8, Failure> {
    let usage = |message: &str| Failure::new("usage", message, exit::USAGE);
    let coin = global.coin.as_deref().ok_or_else(|| usage("name the coin to install with --coin"))?;
    if global.config != Path::new("/").join(SETTINGS) {
        return Err(usage("the units read /etc/bursar/bursar.toml: leave --config out; --root goes before that path"));
    }
    plan::check_name(coin)?;
    let root = std::path::absolute(root).map_err(|error| usage(&error.to_string()))?;
    let said = settings(&root, coin)?;
    let mut items = plan::layout(coin, said.new, &said.backups);
    items.push(program()?);
    let mut done = items.iter().map(|item| lay_out(&root, item, dry_run)).collect::<Result<Vec<_>, _>>()?;
    for (path, content) in manual::files() {
        done.push(Done { of_the_manual: true, ..file(&root.join(path), 0o644, &content, dry_run)? });
    }
    let mut next = plan::next_commands(&root, coin, said.attached, &said.backups);
    if said.unreadable {
        next.insert(0, format!("chmod a+r {} # the coins' users read it; it holds no secret", root.join(SETTINGS).display()));
    }
    tell(&done, &next, dry_run, global.output)
}

/// Reads the settings that are there, or makes those to write, and refuses what does not fit the units.
fn settings(root: &Path, coin: &str) -> Result<Said, Failure> {
    let file = root.join(SETTINGS);
    if !file.exists() {
        let new = plan::example(coin, &config::built_in_profiles()?)?;
        return Ok(Said { new: Some(new), attached: false, backups: vec![], unreadable: false });
    }
    let settings = Settings::load(&file)?;
    let found = settings.coin(Some(coin)).map_err(|error| {
        let next =
            format!("add a table [coins.{coin}] with profile and chain, and [coins.{coin}.daemon] with separate_keeper = true");
        Failure::from(error).next(&next)
    })?;
    plan::check(found)?;
    let mode = fs::metadata(&file).map_err(at(&file))?.permissions().mode();
    let attached = found.daemon.mode == DaemonMode::Attach;
    let backups = found.backup.directories.iter().chain(&found.checkpoints_dir).cloned().collect();
    Ok(Said { new: None, attached, backups, unreadable: mode & 0o004 == 0 })
}

/// The program that runs now.
fn program() -> Result<Item, Failure> {
    let own = Path::new("/proc/self/exe");
    let content = fs::read(own).map_err(at(own))?;
    Ok(Item::File("usr/bin/bursar".into(), 0o755, content))
}

fn lay_out(root: &Path, item: &Item, dry_run: bool) -> Result<Done, Failure> {
    match item {
        Item::Folder(path, mode) => folder(&root.join(path), *mode, dry_run),
        Item::File(path, mode, content) => file(&root.join(path), *mode, content, dry_run),
        Item::Settings(text) => file(&root.join(SETTINGS), 0o644, text.as_bytes(), dry_run),
    }
}

fn folder(path: &Path, mode: u32, dry_run: bool) -> Result<Done, Failure> {
    if path.is_dir() {
        return Ok(Done { path: path.to_owned(), what: "unchanged", of_the_manual: false });
    }
    if !dry_run {
        make_folder(path.parent(), 0o755)?;
        make_folder(Some(path), mode)?;
    }
    Ok(Done { path: path.to_owned(), what: "made", of_the_manual: false })
}

fn file(path: &Path, mode: u32, content: &[u8], dry_run: bool) -> Result<Done, Failure> {
    let what = match fs::metadata(path) {
        Ok(facts) if facts.permissions().mode() & 0o7777 == mode && fs::read(path).is_ok_and(|old| old == content) => "unchanged",
        Ok(_) => "replaced",
        Err(error) if error.kind() == ErrorKind::NotFound => "wrote",
        Err(error) => return Err(at(path)(error)),
    };
    if !dry_run && what != "unchanged" {
        make_folder(path.parent(), 0o755)?;
        // A program that runs keeps its own.
        replace_file(path, mode, content).map_err(at(path))?;
    }
    Ok(Done { path: path.to_owned(), what, of_the_manual: false })
}

/// Modes are exact, whatever the umask: these folders are for all users of the machine, or for root alone.
fn make_folder(path: Option<&Path>, mode: u32) -> Result<(), Failure> {
    let Some(path) = path.filter(|path| !path.is_dir()) else { return Ok(()) };
    make_folder(path.parent(), 0o755)?;
    let made = DirBuilder::new().mode(mode).create(path).and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)));
    made.map_err(at(path))
}

fn at(path: &Path) -> impl Fn(io::Error) -> Failure {
    let path = path.to_owned();
    move |error| {
        let message = format!("{}: {error}; what was laid out before it stays, and nothing was started", path.display());
        Failure::new("install", message, exit::FAILED).next("run this as root; it goes on where it stopped")
    }
}

fn tell(done: &[Done], next: &[String], dry_run: bool, output: Output) -> Result<u8, Failure> {
    let mut text = if dry_run { "nothing is done; without --dry-run:\n".to_owned() } else { String::new() };
    let (manual, told): (Vec<&Done>, Vec<&Done>) = done.iter().partition(|step| step.of_the_manual);
    for step in told {
        text.push_str(&format!("{:9}  {}\n", step.what, step.path.display()));
    }
    let fresh = manual.iter().filter(|step| step.what != "unchanged").count();
    text.push_str(&format!("wrote {fresh} of {} files of the manual and of the shells' completions\n", manual.len()));
    text.push_str("next, as root, when the settings are yours:\n");
    next.iter().for_each(|command| text.push_str(&format!("  {command}\n")));
    let steps = done.iter().map(|step| json!({"path": step.path, "what": step.what}));
    let fields = [("steps", steps.collect()), ("next", json!(next)), ("dry_run", json!(dry_run))];
    let fields = Map::from_iter(fields.map(|(key, value)| (key.to_owned(), value)));
    print::both(&text, fields, output)?;
    Ok(exit::DONE)
}
