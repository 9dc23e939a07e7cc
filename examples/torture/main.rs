//! Payouts under torture on real daemons: `kill -9` of either side, suspended processes, and a proxy that loses, delays and repeats
//! calls; then an operator's ordinary steps, and a count of every output on the chain. Run it with `scripts/torture --trials N`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "trials go to stdout, progress to stderr")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a world that cannot go on ends, and is counted as broken"
)]

mod arena;
mod audits;
mod judge;
mod library;
mod report;
mod schedule;
mod strike;
#[path = "../../tests/support/mod.rs"]
mod support;
mod trial;

use std::collections::VecDeque;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bursar::config::Method;
use clap::{Parser, Subcommand};

use self::arena::Arena;
use self::report::{Sums, method_of, name_of};
use self::schedule::{KINDS, Sitting};
use self::trial::Outcome;

/// A world's folder with the longest path of a socket in it has to fit into 107 bytes.
const MAX_DIR_BYTES: usize = 59;
/// The number of the quiet day before a world's trials; its payouts are counted like all others.
const QUIET_DAY: usize = 1_000_000;

/// Payouts under torture on real daemons, counted on the chain.
#[derive(Parser)]
struct Arguments {
    /// How many trials.
    #[arg(long, default_value_t = 200)]
    trials: usize,
    /// Instead of trials: so many audits on each daemon under constant traffic, of which none may raise an alarm.
    #[arg(long, conflicts_with_all = ["trials", "dir", "jobs"])]
    audits: Option<usize>,
    /// The schedule of faults; the same seed is the same schedule. Chosen by chance when left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Where the data directories are kept: a new or empty folder. Below the target folder when left out.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Worlds at the same time.
    #[arg(long, default_value_t = 3)]
    jobs: usize,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// What this program starts itself, in the place of bursar.
    #[command(hide = true)]
    Library {
        what: library::What,
        config: PathBuf,
        #[arg(long)]
        die_after: Option<usize>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Some(Command::Library { what, config, die_after }) => library::play(*what, config, *die_after).map(|()| true),
        None => match arguments.audits {
            Some(count) => seed_of(&arguments).map(|seed| audits::run(count, seed)),
            None => torture(&arguments),
        },
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn seed_of(arguments: &Arguments) -> Result<u64> {
    arguments.seed.map_or_else(|| getrandom::u32().map(u64::from), Ok).context("no random bits")
}

/// Whether every payout was paid exactly once.
fn torture(arguments: &Arguments) -> Result<bool> {
    let began = Instant::now();
    let seed = seed_of(arguments)?;
    let dir = place(arguments.dir.as_deref(), seed)?;
    eprintln!("seed {seed}, {} kinds of faults, data directories are kept in {}", KINDS.len(), dir.display());
    tempfile::env::override_temp_dir(&dir).map_err(|other| anyhow::anyhow!("temporary folders go to {}", other.display()))?;
    let stopping = std::sync::Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, std::sync::Arc::clone(&stopping))?;
    let sittings = schedule::sittings(arguments.trials, METHODS, seed);
    let queue: Mutex<VecDeque<(usize, &Sitting)>> = Mutex::new(sittings.iter().enumerate().collect());
    let sums = Mutex::new(Sums::default());
    thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let Some((number, sitting)) = queue.lock().unwrap().pop_front() else { return };
                    let of_world = sit(&dir, sitting, number, seed, &stopping);
                    sums.lock().unwrap().merge(of_world);
                }
            });
        }
    });
    let sums = sums.into_inner().unwrap();
    report::explain(&dir)?;
    sums.problems().iter().for_each(|problem| eprintln!("{problem}"));
    eprintln!("{} tells how to count again", dir.join("RECOUNT.txt").display());
    println!("{}", sums.json(seed, began.elapsed().as_secs(), &dir));
    Ok(sums.is_good())
}

/// Both ways of sending share the trials.
const METHODS: &[Method] = &[Method::Sendmany, Method::Journaled];

/// The folder for everything.
fn place(asked: Option<&Path>, seed: u64) -> Result<PathBuf> {
    let dir = match asked {
        Some(dir) => std::path::absolute(dir)?,
        None => {
            let target = std::env::current_exe()?.ancestors().nth(3).context("no target folder")?.join("torture");
            (0..).map(|number| target.join(format!("{seed:x}.{number}"))).find(|dir| !dir.exists()).context("no name")?
        }
    };
    let length = dir.as_os_str().len();
    ensure!(
        length <= MAX_DIR_BYTES,
        "{} has {length} bytes, and {MAX_DIR_BYTES} is the most, because of the sockets in it: choose a shorter one with --dir",
        dir.display()
    );
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    ensure!(fs::read_dir(&dir)?.next().is_none(), "{} is not empty: choose another with --dir", dir.display());
    Ok(dir)
}

/// All trials of one world. One that breaks is counted as broken; its folder stays.
fn sit(dir: &Path, sitting: &Sitting, number: usize, seed: u64, stopping: &AtomicBool) -> Sums {
    let mut sums = Sums::default();
    let played = catch_unwind(AssertUnwindSafe(|| play_all(dir, sitting, number, seed, stopping, &mut sums)));
    if let Err(panic) = played {
        let words = panic.downcast_ref::<String>().map_or("see above", String::as_str);
        sums.broken.push(format!("world {number} ({} {}): {words}", name_of(sitting.generation), method_of(sitting.method)));
    }
    sums
}

fn play_all(dir: &Path, sitting: &Sitting, number: usize, seed: u64, stopping: &AtomicBool, sums: &mut Sums) {
    let mut arena = Arena::open(sitting, number);
    let folder = arena.world.dir().display().to_string();
    eprintln!("world {number}: {} {} in {folder}", name_of(sitting.generation), method_of(sitting.method));
    let quiet = trial::measure(&mut arena, QUIET_DAY + number, seed);
    sums.add_open(&arena, &quiet.open);
    let mut lines = Vec::new();
    for next in &sitting.trials {
        if stopping.load(Ordering::Relaxed) {
            break;
        }
        let began = Instant::now();
        eprintln!("world {number}: trial {}: {}", next.number, next.kind);
        let outcome = trial::play(&mut arena, next, seed);
        eprintln!("world {number}: trial {} took {:.1} s", next.number, began.elapsed().as_secs_f64());
        let line = sums.add_trial(sitting, &arena, next, &outcome);
        println!("{line}");
        lines.push(line);
    }
    // The last late copies of calls arrive before the count.
    thread::sleep(arena.late_until.saturating_duration_since(Instant::now()));
    arena.world.mine(1);
    let verdict = trial::count(&mut arena, None);
    let last_word = Outcome { struck: true, txids: vec![], open: vec![], verdict, payouts: arena.asked.len() };
    sums.add_world(&arena, &last_word);
    arena.close();
    report::leave(dir, sitting, &arena, &lines).unwrap();
}
