//! What keeping a daemon costs, and how soon a crashed one is back: `bursar run` alone, and `bursar keep` beside it, on a real litecoind 0.21.
//!
//! Beside it, in the same run: the daemon itself for memory and computing time, and a loop in the shell for the return of a killed daemon.
//!
//! Memory is what is resident (`VmRSS`), computing time what `/proc/PID/stat` counts while nothing is asked. A crash is a `kill -9` of the daemon; it is
//! noticed when the keeper logs it, and the daemon is back when it answers RPC. Of several crashes the slowest counts.

#![allow(clippy::print_stdout, reason = "figures go to stdout")]
#![allow(clippy::float_arithmetic, reason = "ratios for people")]
#![allow(clippy::expect_used, reason = "a bench stops at what it did not expect")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use self::support::{Generation, Keep, Service, World, is_alive, signal, wait_for};

/// What a keeper may have resident, in MiB.
const KEEPER_MIB: f64 = 10.0;
/// What the service of one idle coin may have resident, in MiB.
const SERVICE_MIB: f64 = 40.0;
/// What an idle service may use of one core, in percent.
const CORE_PERCENT: f64 = 1.0;
/// Within this a crash is noticed, in seconds.
const NOTICED_S: f64 = 1.0;
/// Within this the daemon answers again, in seconds.
const BACK_S: f64 = 5.0;

/// How long a process is watched while nothing is asked of it.
const IDLE: Duration = Duration::from_secs(30);
/// Crashes in a row; after each the daemon is left alone until its keeper has forgotten nothing and forgiven all.
const CRASHES: usize = 3;
/// Something that takes longer is broken.
const DEADLINE: Duration = Duration::from_secs(60);
/// The unit of times in `/proc/PID/stat`: USER_HZ, 100 on every architecture that bursar runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// The default: an idle coin is not one without a schedule.
const SCHEDULE: (&str, &str) = ("schedule.sync", "'*/15 * * * * *'");
/// What both keepers log when a daemon is gone.
const GONE: &str = "the daemon ended unasked";

fn main() {
    let by_shell = shell_loop();
    alone(by_shell);
    apart(by_shell);
}

/// What users would do instead: a loop in the shell that starts the daemon again. How soon a killed daemon answers under it.
fn shell_loop() -> Duration {
    let world = World::with(Generation::Litecoin021, &[]);
    let mut keeper = world.start_daemon();
    let pid = world.daemon_pid().expect("a daemon that runs");
    let command = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).expect("its arguments");
    let words = command.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    keeper.stop().expect("the daemon stops");
    let mut shell = Command::new("sh");
    shell.args(["-c", "while :; do \"$@\"; done", "sh"]).args(&words).stdin(Stdio::null()).stdout(Stdio::null());
    let shell = Shell(shell.stderr(Stdio::null()).spawn().expect("a shell"));
    let answers = || world.try_rpc("/", "getblockcount", json!([])).ok();
    wait_for(DEADLINE, "the daemon", answers);
    let (began, killed) = (Instant::now(), child_of(shell.0.id()).expect("the daemon"));
    signal(killed, Signal::KILL);
    let daemon = wait_for(DEADLINE, "the next daemon", || child_of(shell.0.id()).filter(|pid| *pid != killed));
    wait_for(DEADLINE, "the daemon", answers);
    let back = began.elapsed();
    drop(shell);
    signal(daemon, Signal::TERM);
    wait_for(DEADLINE, "the daemon ends", || (!is_alive(daemon)).then_some(()));
    back
}

/// A shell, ended with the value: its loop would never end by itself.
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The only child of a process with one thread; none while it has none.
fn child_of(pid: u32) -> Option<u32> {
    proc_file(pid, &format!("task/{pid}/children")).trim().parse().ok()
}

/// The service is the keeper.
fn alone(by_shell: Duration) {
    let world = World::with(Generation::Litecoin021, &[SCHEDULE]);
    let service = Service::start(&world);
    idle_figures(&world, &[("service", service.pid(), SERVICE_MIB)]);
    crash_figures(&world, "service", by_shell, || service.log());
    assert!(service.stop().success(), "the service ends well");
}

/// `bursar keep` is the keeper, and the service asks it.
fn apart(by_shell: Duration) {
    let world = World::with(Generation::Litecoin021, &[SCHEDULE, ("daemon.separate_keeper", "true")]);
    let mut keep = Keep::start(&world);
    let service = Service::start(&world);
    idle_figures(&world, &[("keeper", keep.pid(), KEEPER_MIB), ("service_beside_keeper", service.pid(), SERVICE_MIB)]);
    crash_figures(&world, "keeper", by_shell, || keep.log());
    assert!(service.stop().success(), "the service ends well");
    keep.signal(Signal::TERM);
    assert!(keep.ended().success(), "the keeper ends well");
}

/// What processes need while nothing is asked of them, beside their daemon in the same time.
fn idle_figures(world: &World, processes: &[(&str, u32, f64)]) {
    thread::sleep(Duration::from_secs(5)); // what comes with the start is over
    let daemon = world.daemon_pid().expect("a daemon that runs");
    let pids: Vec<u32> = processes.iter().map(|(_, pid, _)| *pid).chain([daemon]).collect();
    let (before, began): (Vec<u64>, _) = (pids.iter().map(|pid| cpu_ticks(*pid)).collect(), Instant::now());
    thread::sleep(IDLE);
    let elapsed = began.elapsed().as_secs_f64();
    let used = |at: usize| 100.0 * (cpu_ticks(pids[at]) - before[at]) as f64 / TICKS_PER_SECOND / elapsed;
    let daemon_mib = resident_mib(daemon);
    let daemon_percent = used(processes.len());
    for (at, (name, pid, goal_mib)) in processes.iter().enumerate() {
        let against = format!("its litecoind 0.21 on regtest: {daemon_mib:.1} MiB");
        figure(&format!("{name}_resident"), resident_mib(*pid), "MiB", &against, *goal_mib);
        let against = format!("its litecoind 0.21 on regtest, over the same 30 s: {daemon_percent:.2} percent");
        figure(&format!("{name}_idle_core"), used(at), "percent of a core", &against, CORE_PERCENT);
    }
}

/// How soon crashes are noticed and over; the slowest of them.
fn crash_figures(world: &World, name: &str, by_shell: Duration, log: impl Fn() -> String) {
    let (mut ended, mut noticed, mut back) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for _ in 0..CRASHES {
        let seen = log().matches(GONE).count();
        let began = Instant::now();
        world.kill_daemon();
        ended = ended.max(began.elapsed());
        wait_for(DEADLINE, "the notice", || (log().matches(GONE).count() > seen).then_some(()));
        noticed = noticed.max(began.elapsed());
        wait_for(DEADLINE, "the daemon", || world.try_rpc("/", "getblockcount", json!([])).ok());
        back = back.max(began.elapsed());
        // A daemon that crashes again at once is started ever later, by design; an order to start begins anew.
        world.done(&["daemon", "start"]);
    }
    let against = format!("the bench, which waits for the process itself: {:.2} s", ended.as_secs_f64());
    figure(&format!("{name}_notices_crash"), noticed.as_secs_f64(), "s", &against, NOTICED_S);
    let against = format!("a loop in the shell, which does not pause: {:.2} s", by_shell.as_secs_f64());
    figure(&format!("{name}_daemon_back"), back.as_secs_f64(), "s", &against, BACK_S);
}

/// `VmRSS` in MiB.
fn resident_mib(pid: u32) -> f64 {
    let status = proc_file(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("KiB");
    kib / 1024.0
}

/// Fields 14 and 15 of `/proc/PID/stat`, see proc(5).
fn cpu_ticks(pid: u32) -> u64 {
    let stat = proc_file(pid, "stat");
    let (_, fields) = stat.rsplit_once(')').expect("its name");
    fields.split_ascii_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum()
}

fn proc_file(pid: u32, name: &str) -> String {
    fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(name)).expect("a process that runs")
}

/// One figure a line, for machines; less is better.
fn figure(name: &str, value: f64, unit: &str, against: &str, goal: f64) {
    let rounded = (value * 100.0).round() / 100.0;
    let met = value <= goal;
    println!("{}", json!({"name": name, "value": rounded, "unit": unit, "against": against, "goal": goal, "met": met}));
}
