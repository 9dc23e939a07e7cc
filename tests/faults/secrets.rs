//! The RPC password is in its file and nowhere else: not in what bursar prints, not in arguments, not in environments.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{BURN_ADDRESS, Generation, World, wait_for};

/// Verbs that speak to the daemon or fail; each is run as text and as JSON.
const VERBS: &[&[&str]] = &[
    &["render"],
    &["status"],
    &["daemon", "status"],
    &["pay", "submit", "--id", "p1", "--address", BURN_ADDRESS, "--amount", "1"],
    &["pay", "submit", "--id", "p2", "--address", BURN_ADDRESS, "--amount", "x"],
    &["pay", "list"],
    &["pay", "flush", "--dry-run"],
    &["ledger", "sync"],
    &["audit", "run"],
    &["backup", "create"],
    &["backup", "verify"],
    &["repair", "plan"],
];

/// The service; killed if the test fails before it ends.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_password_and_the_backup_key_appear_in_no_output_argument_or_environment() {
    let world = World::new(Generation::Litecoin021);
    let log = fs::File::create(world.dir().join("service.log")).unwrap();
    let mut command = world.bursar_command(&["run"]);
    command.env("RUST_LOG", "trace").stdout(log.try_clone().unwrap()).stderr(log);
    let mut service = Service(command.spawn().unwrap());
    let up = || world.bursar(&["ledger", "sync"]).status.success().then_some(());
    wait_for(Duration::from_secs(60), "the service", up);
    let mut said = String::new();
    for verb in VERBS {
        for format in ["human", "json"] {
            let output = world.bursar_command(&["--output", format]).args(*verb).env("RUST_LOG", "trace").output().unwrap();
            said += &String::from_utf8(output.stdout).unwrap();
            said += &String::from_utf8(output.stderr).unwrap();
        }
    }
    for pid in [service.0.id(), world.daemon_pid().unwrap()] {
        for file in ["cmdline", "environ"] {
            said += &String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/{file}")).unwrap());
        }
    }
    let credentials = world.credentials();
    kill_process(Pid::from_raw(service.0.id().cast_signed()).unwrap(), Signal::TERM).unwrap();
    assert!(service.0.wait().unwrap().success());
    // Without the service the verbs speak to the daemon themselves, with the passwords of after a fence.
    bursar::daemon::renew(world.coin()).unwrap();
    world.start_daemon();
    let second = world.credentials();
    for verb in VERBS {
        let output = world.bursar_command(verb).env("RUST_LOG", "trace").stdin(Stdio::null()).output().unwrap();
        said += &String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    }
    said += &fs::read_to_string(world.dir().join("service.log")).unwrap();
    said += &fs::read_to_string(world.coin().daemon_dir().join("keeper-output.log")).unwrap();
    let identity = fs::read_to_string(world.dir().join("identity.txt")).unwrap();
    let password = |pair: &str| pair.split_once(':').unwrap().1.to_owned();
    assert!(said.contains("getblockchaininfo") && said.len() > 10_000, "the log is as loud as it can be: {}", said.len());
    for secret in [password(&credentials), password(&second), identity.trim().to_owned()] {
        assert!(secret.len() > 40 && !said.contains(&secret), "a secret was printed");
        let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("bursar-admin:{secret}"));
        assert!(!said.contains(&basic), "a secret was printed in base64");
    }
}
