//! What keeping a daemon costs, and how soon a crashed one is back: `bursar run` alone, and `bursar keep` beside it, on a real litecoind 0.21.
//!
//! Memory is what is resident (`VmRSS`), computing time what `/proc/PID/stat` counts while nothing is asked. A crash is a `kill -9` of the daemon; it is
//! noticed when the keeper logs it, and the daemon is back when it answers RPC. Of several crashes the slowest counts.

#![allow(clippy::print_stdout, reason = "figures go to stdout")]
#![allow(clippy::float_arithmetic, reason = "ratios for people")]
#![allow(clippy::expect_used, reason = "a bench stops at what it did not expect")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::json;

use self::support::{Generation, Service, World, wait_for};

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
    alone();
    apart();
}

/// The service is the keeper.
fn alone() {
    let world = World::with(Generation::Litecoin021, &[SCHEDULE]);
    let service = Service::start(&world);
    let pid = service.pid();
    idle_figures("service", pid, SERVICE_MIB);
    crash_figures(&world, "service", || service.log());
    assert!(service.stop().success(), "the service ends well");
}

/// `bursar keep` is the keeper, and the service asks it.
fn apart() {
    let world = World::with(Generation::Litecoin021, &[SCHEDULE, ("daemon.separate_keeper", "true")]);
    let rendered = world.bursar(&["render"]);
    assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    let keep = Keep::start(&world);
    let service = Service::start(&world);
    idle_figures("keeper", keep.child.id(), KEEPER_MIB);
    idle_figures("service_beside_keeper", service.pid(), SERVICE_MIB);
    crash_figures(&world, "keeper", || fs::read_to_string(&keep.log).expect("its log"));
    assert!(service.stop().success(), "the service ends well");
}

/// `bursar keep` as a child process; it is asked to end with the value, and takes its daemon with it.
struct Keep {
    child: Child,
    log: PathBuf,
}

impl Keep {
    fn start(world: &World) -> Keep {
        let log = world.dir().join("keep.log");
        let stderr = File::create(&log).expect("its log");
        let mut command = world.bursar_command(&["keep", "--coin", "coin"]);
        let keep = Keep {
            child: command.env("RUST_LOG", "info").stderr(stderr).stdout(Stdio::null()).spawn().expect("bursar keep"),
            log,
        };
        wait_for(DEADLINE, "bursar keep", || {
            let (status, code) = world.order(&["daemon", "status"]);
            (code == 0 && status.to_string().contains("running")).then_some(())
        });
        keep
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        let raw = self.child.id().cast_signed();
        if let Some(pid) = rustix::process::Pid::from_raw(raw)
            && let Ok(process) = pidfd_open(pid, PidfdFlags::empty())
        {
            let _ = pidfd_send_signal(&process, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// What a process needs while nothing is asked of it.
fn idle_figures(name: &str, pid: u32, goal_mib: f64) {
    thread::sleep(Duration::from_secs(5)); // what comes with the start is over
    let before = cpu_ticks(pid);
    let began = Instant::now();
    thread::sleep(IDLE);
    let used = (cpu_ticks(pid) - before) as f64 / TICKS_PER_SECOND;
    let percent = 100.0 * used / began.elapsed().as_secs_f64();
    figure(&format!("{name}_resident"), resident_mib(pid), "MiB", "VmRSS with one idle coin", goal_mib);
    figure(&format!("{name}_idle_core"), percent, "percent", "of one core, over 30 s with one idle coin", CORE_PERCENT);
}

/// How soon crashes are noticed and over.
fn crash_figures(world: &World, name: &str, log: impl Fn() -> String) {
    let (mut noticed, mut back) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..CRASHES {
        let seen = log().matches(GONE).count();
        let began = Instant::now();
        world.kill_daemon();
        wait_for(DEADLINE, "the notice", || (log().matches(GONE).count() > seen).then_some(()));
        noticed = noticed.max(began.elapsed());
        wait_for(DEADLINE, "the daemon", || world.try_rpc("/", "getblockcount", json!([])).ok());
        back = back.max(began.elapsed());
        // A daemon that crashes again at once is started ever later, by design; an order to start begins anew.
        world.done(&["daemon", "start"]);
    }
    figure(&format!("{name}_notices_crash"), noticed.as_secs_f64(), "s", "kill -9 of a litecoind 0.21 on regtest", NOTICED_S);
    figure(&format!("{name}_daemon_back"), back.as_secs_f64(), "s", "kill -9 of a litecoind 0.21 on regtest", BACK_S);
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
