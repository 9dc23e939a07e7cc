//! Keeper, service and daemons in a sandbox equivalent to that of the units: their own system call filter, memory that is never both written and run,
//! no new privileges, no capabilities, a user namespace, a read-only system with private /tmp and /dev. `systemd/*.service` is the source.
//!
//! What needs a real init is not run: systemd's own way of making that sandbox, the journal, credentials, cgroup limits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "a failed test shows which calls it left out")]

mod filter;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output};

use filter::Unit;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::json;
use support::{Generation, PATIENCE, Service, World, wait_for};

const KEEPER: &str = "bursar-keep@.service";
const SERVICE: &str = "bursar@.service";

/// The sandbox of one unit around programs of one world.
struct Sandbox<'w> {
    world: &'w World,
    hides_service: bool,
    programs: [PathBuf; 2],
}

impl<'w> Sandbox<'w> {
    fn of(unit: &str, world: &'w World) -> Sandbox<'w> {
        let coin = world.coin();
        fs::create_dir_all(coin.daemon_dir()).unwrap();
        fs::create_dir_all(coin.service_dir()).unwrap();
        let folder = world.dir().join(format!("sandbox-{unit}"));
        fs::create_dir_all(&folder).unwrap();
        Sandbox { world, hides_service: unit == KEEPER, programs: Unit::read(unit).programs(&folder) }
    }

    /// `program` inside. A shell hands the filters over, because they are passed as open files.
    fn command(&self, program: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", r#"filter=$1 no_clone3=$2; shift 2; exec bwrap "$@" 3<"$filter" 4<"$no_clone3""#, "sh"]);
        command.args(&self.programs).args(["--add-seccomp-fd", "3", "--add-seccomp-fd", "4"]);
        command.args(["--unshare-user", "--unshare-ipc", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"]);
        command.args(["--ro-bind", "/", "/", "--dev", "/dev", "--tmpfs", "/tmp"]);
        for (how, path) in self.binds() {
            match how {
                // As `InaccessiblePaths=` does it.
                "--tmpfs" => command.args(["--perms", "0000", how]).arg(&path),
                _ => command.arg(how).arg(&path).arg(&path),
            };
        }
        command.arg("--").args(program);
        command
    }

    /// The folder of the world may lie in the /tmp that is hidden, as may the programs.
    fn binds(&self) -> Vec<(&'static str, PathBuf)> {
        let (world, coin) = (self.world, self.world.coin());
        let daemon = world.generation.program();
        let daemons = daemon.ancestors().nth(2).unwrap().to_owned();
        let mut binds = vec![("--ro-bind", daemons), ("--ro-bind", world.program.clone()), ("--ro-bind", world.dir().to_owned())];
        binds.push(("--bind", coin.daemon_dir()));
        if self.hides_service {
            binds.push(("--tmpfs", coin.service_dir()));
        } else {
            binds.push(("--bind", coin.service_dir()));
            binds.extend(coin.backup.directories.iter().map(|directory| ("--bind", directory.clone())));
        }
        binds
    }

    fn bursar(&self, verb: &str) -> Command {
        let program = self.world.program.to_str().unwrap();
        self.command(&[program, "--config", self.world.settings.file.to_str().unwrap(), verb, "--coin", "coin"])
    }

    fn start(&self, verb: &str) -> Service<'w> {
        Service::spawn_as(self.world, |_| self.bursar(verb))
    }

    fn try_inside(&self, script: &str) -> Output {
        self.command(&["sh", "-c", script]).output().unwrap()
    }
}

/// SIGTERM to what runs inside: bubblewrap itself passes none on.
fn stop(mut service: Service<'_>) -> ExitStatus {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", service.pid())).unwrap();
    let inner: i32 = children.split_whitespace().next().expect("a program inside").parse().unwrap();
    let inner = pidfd_open(rustix::process::Pid::from_raw(inner).unwrap(), PidfdFlags::empty()).unwrap();
    pidfd_send_signal(&inner, Signal::TERM).unwrap();
    service.ended()
}

/// Wallet, mining, funds, a payout, a backup and its drill, in which the service starts a daemon of its own.
fn live_through(world: &World) {
    world.mine_to_wallet(2);
    world.fund(&["2", "1.5", "1"]);
    world.done(&["ledger", "sync"]);
    world.done(&["pay", "submit", "--id", "first", "--address", &world.outside_address(), "--amount", "1.25"]);
    let report = world.done(&["pay", "flush"]);
    assert_eq!((report["batches"].as_array().unwrap().len(), &report["queued"]), (1, &json!(0)), "{report}");
    world.mine(world.coin().final_depth);
    world.done(&["ledger", "sync"]);
    assert_eq!(world.done(&["pay", "show", "first"])["payout"]["state"], "final");
    assert_eq!(world.done(&["audit", "run"])["verdict"], "agrees");
    world.done(&["backup", "create"]);
    world.done(&["backup", "verify"]);
    let drill = world.done(&["backup", "drill"]);
    assert_eq!(drill["passed"], true, "{drill}");
}

/// The service keeps the daemon itself, so both are inside the service's sandbox.
fn one_process_lives_through(generation: Generation) {
    let world = World::new(generation);
    world.make_backup_places();
    let sandbox = Sandbox::of(SERVICE, &world);
    let mut service = sandbox.start("run");
    service.wait_until_ready();
    live_through(&world);
    is_inside(&world);
    let daemon = world.daemon_process();
    assert_eq!(stop(service).code(), Some(0));
    assert!(daemon.has_ended());
}

/// The daemon, and so its parent, is under the filter.
fn is_inside(world: &World) {
    let status = fs::read_to_string(format!("/proc/{}/status", world.daemon_pid().unwrap())).unwrap();
    for line in ["Seccomp:\t2", "NoNewPrivs:\t1", "CapEff:\t0000000000000000"] {
        assert!(status.lines().any(|found| found == line), "{line}: {status}");
    }
}

#[test]
fn service_and_litecoin_0_21_work_in_the_sandbox_of_the_service() {
    one_process_lives_through(Generation::Litecoin021);
}

#[test]
fn service_and_knots_work_in_the_sandbox_of_the_service() {
    one_process_lives_through(Generation::Knots);
}

/// As installed: the keeper with the daemon below it in one sandbox, the service in another.
fn two_units_live_through(generation: Generation) {
    let world = World::with(generation, &[("daemon.separate_keeper", "true")]);
    world.make_backup_places();
    let keeper = Sandbox::of(KEEPER, &world).start("keep");
    wait_for(PATIENCE, "the keeper listens", || std::os::unix::net::UnixStream::connect(world.coin().keeper_socket()).ok());
    let mut service = Sandbox::of(SERVICE, &world).start("run");
    service.wait_until_ready();
    live_through(&world);
    is_inside(&world);
    let daemon = world.daemon_process();
    assert_eq!(stop(service).code(), Some(0));
    assert!(!daemon.has_ended(), "the daemon outlives the service");
    assert_eq!(stop(keeper).code(), Some(0));
    assert!(daemon.has_ended());
}

#[test]
fn keeper_with_litecoin_0_21_and_service_work_each_in_its_sandbox() {
    two_units_live_through(Generation::Litecoin021);
}

#[test]
fn keeper_with_knots_and_service_work_each_in_its_sandbox() {
    two_units_live_through(Generation::Knots);
}

#[test]
fn the_sandboxes_bite() {
    let world = World::new(Generation::Litecoin021);
    world.make_backup_places();
    for unit in [KEEPER, SERVICE] {
        let sandbox = Sandbox::of(unit, &world);
        let (daemon, service) = (world.coin().daemon_dir(), world.coin().service_dir());
        fs::write(service.join("secret"), "hidden").unwrap();
        let inside = |script: &str| {
            let output = sandbox.try_inside(script);
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let allowed = |script: &str| assert_eq!(inside(script), (true, String::new()), "{unit}: {script}");
        let refused = |script: &str, words: &str| {
            let (done, said) = inside(script);
            assert!(!done && said.contains(words), "{unit}: {script}: {said}");
        };
        allowed(&format!("touch {}/file && touch /tmp/file", daemon.display()));
        refused("touch /etc/bursar-was-here", "Read-only file system");
        refused(&format!("touch {}/file", world.dir().display()), "Read-only file system");
        refused("unshare --mount true", "Operation not permitted");
        refused("unshare --user true", "Operation not permitted");
        refused("mount -t tmpfs none /tmp", "");
        refused(&format!("chmod u+s {}/file", daemon.display()), "Operation not permitted");
        allowed("nice -n 5 true 2>&1 | grep -q 'Operation not permitted'");
        match unit {
            KEEPER => refused(&format!("cat {}/secret", service.display()), "Permission denied"),
            _ => allowed(&format!("cat {}/secret >/dev/null", service.display())),
        }
        allowed("grep -q '^Seccomp:.2' /proc/self/status && grep -q '^NoNewPrivs:.1' /proc/self/status");
        allowed("grep -q '^CapEff:.0000000000000000' /proc/self/status");
    }
}
