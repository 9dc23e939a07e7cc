//! Balances, beside those that hledger and ledger find in the exported journal: the same to the unit, and how long each takes as a whole process. The
//! journals are read as they are, by the plainest command; hledger takes about eight gigabytes for it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bursar::coin::{Amount, Day, Timestamp};
use serde_json::Value;

use super::{Goal, MOST_MIB, POSTINGS, World, figure};
use crate::verify::resident_mib;

/// How much faster than hledger, and than ledger, balances have to be there.
const HLEDGER_RATIO: f64 = 1000.0;
const LEDGER_RATIO: f64 = 100.0;
/// Runs of ours, of which the median counts; of theirs the best.
const TURNS: usize = 21;
const THEIR_TURNS: usize = 2;
/// How much longer than all balances the statement of a day in the middle of the history may take.
const STATEMENT_RATIO: f64 = 3.0;

/// Base units by account; wallets are one.
type Balances = BTreeMap<String, i64>;

pub(super) fn measure(world: &World) {
    let ours = balances(&world.done(&["ledger", "balance"]));
    let took = median(|| timed(&mut world.bursar_command(&["ledger", "balance"])));
    for (program, args, goal) in
        [("hledger", ["bal", "--flat", "-N"], HLEDGER_RATIO), ("ledger", ["bal", "--flat", "--no-total"], LEDGER_RATIO)]
    {
        let journal = export(world, program);
        let theirs = (0..THEIR_TURNS).map(|_| read_by(program, &journal, &args, &ours)).min().expect("a time");
        let against = format!(
            "{program} on the exported journal of {POSTINGS} postings, {} ms; ours {:.1} ms, the median of {TURNS}",
            theirs.as_millis(),
            took.as_secs_f64() * 1000.0
        );
        figure(
            &format!("ledger_balance_ratio_to_{program}"),
            theirs.as_secs_f64() / took.as_secs_f64(),
            "ratio",
            &against,
            Goal::AtLeast(goal),
        );
    }
    statement(world, took);
}

fn statement(world: &World, balance: Duration) {
    let middle = world.done(&["ledger", "entries", "--after", &(POSTINGS / 2).to_string(), "--limit", "1"]);
    let day = Day::of(Timestamp(middle["entries"][0]["time"].as_i64().expect("a time"))).to_string();
    let took = median(|| timed(&mut world.bursar_command(&["ledger", "statement", "--day", &day])));
    let against = format!("ledger balance at {POSTINGS} postings; the statement takes {:.1} ms", took.as_secs_f64() * 1000.0);
    let ratio = took.as_secs_f64() / balance.as_secs_f64();
    figure("ledger_statement_ratio_to_balance", ratio, "ratio", &against, Goal::AtMost(STATEMENT_RATIO));
}

/// Exports a journal, looking at the memory that it takes.
fn export(world: &World, format: &str) -> PathBuf {
    let path = world.dir().join(format!("{format}.journal"));
    let mut command = world.bursar_command(&["ledger", "export", "--format", format]);
    let (began, mut peak_mib) = (Instant::now(), 0.0_f64);
    let mut child = command.stdout(File::create(&path).expect("the journal")).spawn().expect("bursar");
    while child.try_wait().expect("its state").is_none() {
        peak_mib = peak_mib.max(resident_mib(child.id()).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().expect("its end").success(), "an export");
    let against = format!("the whole process, {POSTINGS} postings in {} ms", began.elapsed().as_millis());
    figure(&format!("ledger_export_{format}_peak_memory"), peak_mib, "MiB", &against, Goal::AtMost(MOST_MIB));
    path
}

/// Runs a program on the journal; its balances are ours.
fn read_by(program: &str, journal: &Path, args: &[&str], ours: &Balances) -> Duration {
    let began = Instant::now();
    let output = Command::new(program).arg("-f").arg(journal).args(args).output().expect("scripts/bench brings it");
    let took = began.elapsed();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    let found: Balances = String::from_utf8_lossy(&output.stdout).lines().map(printed).filter(|(_, units)| *units != 0).collect();
    assert_eq!(found, *ours, "{program}");
    took
}

/// `5.00000001 LTC  assets:wallet:bursar`.
fn printed(line: &str) -> (String, i64) {
    let (amount, account) = line.trim().split_once("  ").expect("amount and account");
    let number = amount.split(' ').next().expect("a number");
    let units = Amount::parse_reported(number, 8).expect("an amount").base_units();
    (account.split(':').nth(1).expect("an account").to_owned(), units)
}

fn balances(answer: &Value) -> Balances {
    let rows = answer["balances"].as_array().expect("balances").iter();
    let pairs = rows.map(|row| (row["account"].as_str().expect("a name").to_owned(), row["amount"].as_i64().expect("units")));
    pairs.filter(|(_, units)| *units != 0).collect()
}

fn timed(command: &mut Command) -> Duration {
    let began = Instant::now();
    assert!(command.stdout(Stdio::null()).status().expect("bursar").success());
    began.elapsed()
}

fn median(mut run: impl FnMut() -> Duration) -> Duration {
    let mut times: Vec<Duration> = (0..TURNS).map(|_| run()).collect();
    times.sort_unstable();
    times[TURNS / 2]
}
