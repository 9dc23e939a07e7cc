//! What is taken already: the data directory, a port, the store.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::Duration;

use bursar::service;
use rustix::process::{Pid, Signal, kill_process};

use crate::scene::{Ran, Seen, run, unchanged};
use crate::support::{BURN_ADDRESS, ForeignDaemon, Generation, World, wait_for};

const DEADLINE: Duration = Duration::from_secs(60);

/// A process that ends with the value.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The coin's store with its key, as each order that does something makes them.
fn begin_store(world: &World) {
    drop(service::World::open(&world.settings, world.coin(), service::WithoutStore::Begin).unwrap());
}

/// `bursar run`, which is expected to end by itself.
fn run_service(world: &World) -> Ran {
    let output = world.bursar(&["--output", "json", "run"]);
    Ran::of(&output)
}

#[test]
fn a_data_directory_in_use_names_its_user_and_is_left_alone() {
    let world = World::new(Generation::Litecoin021);
    world.start_daemon().stop().unwrap();
    begin_store(&world);
    let mut other = ForeignDaemon::start(&world);
    let pid = format!("pid {}", other.0.id());
    let words = [pid.as_str(), "another daemon", "stop that one first", "Nothing was done"];
    for order in [&["daemon", "start"][..], &["daemon", "stop"], &["daemon", "restart"]] {
        let name = order.join(" ");
        unchanged(&world, &name, || run(&world, order)).fails_with(&name, 1, "datadir_in_use", &words);
    }
    unchanged(&world, "run", || run_service(&world)).fails_with("run", 1, "datadir_in_use", &words);
    assert!(other.0.try_wait().unwrap().is_none(), "the other daemon is left alone");
}

#[test]
fn a_taken_rpc_port_is_named_before_anything_is_written() {
    let world = World::new(Generation::Litecoin021);
    begin_store(&world);
    fs::create_dir(world.coin().daemon_dir()).unwrap();
    let port = world.coin().daemon.rpc_port;
    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let before = Seen::now(&world).file_names();
    for ran in [run(&world, &["daemon", "start"]), run_service(&world)] {
        let address = format!("127.0.0.1:{port}");
        ran.fails_with("start", 1, "daemon_not_started", &["litecoind did not start", &address, "not free", "daemon.rpc_port"]);
    }
    let after: Vec<String> = Seen::now(&world).file_names().into_iter().filter(|name| !before.contains(name)).collect();
    assert!(after.iter().all(|name| name.contains("lock")), "no conf, no credentials: {after:?}");
}

#[test]
fn a_taken_peer_port_is_named_in_the_daemons_words_and_with_the_key() {
    for generation in Generation::ALL {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        let world = World::with(generation, &[("daemon.listen", "true"), ("daemon.p2p_port", &port)]);
        let output = world.bursar(&["--output", "json", "daemon", "start"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("Unable to bind") && said.contains(&port), "{generation:?}: {said}");
        if generation == Generation::Litecoin021 {
            // It goes on without the port where it gets the one for Tor, which is the same for all: the warning is all there is.
            if output.status.success() {
                continue;
            }
        }
        let words = ["Unable to bind", &port, "daemon.p2p_port"];
        Ran::of(&output).fails_with(&format!("{generation:?}"), 1, "daemon_not_started", &words);
        assert_eq!(world.daemon_pid(), None);
    }
}

#[test]
fn a_taken_page_port_is_named_before_a_daemon_is_started() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let world = World::with(Generation::Litecoin021, &[("http.listen", &format!("\"{address}\""))]);
    begin_store(&world);
    let ran = unchanged(&world, "run", || run_service(&world));
    ran.fails_with("run", 1, "http_listen", &["http.listen", &address, "choose another", "no daemon was started"]);
    assert!(!world.coin().daemon_dir().exists(), "no daemon was started");
}

#[test]
fn a_missing_or_wrong_program_is_named_with_its_key() {
    for (program, words) in [("/nowhere/litecoind", "No such file"), ("/bin/true", "daemon.program"), ("/etc/passwd", "denied")] {
        let world = World::with(Generation::Litecoin021, &[("daemon.program", &format!("'{program}'"))]);
        let ran = run(&world, &["daemon", "start"]);
        ran.fails_with(program, 78, "daemon_program", &[program, words, "daemon.program"]);
        assert!(
            !world.coin().credentials_file(bursar::config::RpcRole::Admin).exists(),
            "{program}: no credentials for what cannot run"
        );
    }
}

#[test]
fn a_second_service_is_refused_and_the_first_goes_on() {
    let world = World::new(Generation::Litecoin021);
    let mut first = Started(world.bursar_command(&["run"]).stderr(Stdio::null()).spawn().unwrap());
    let answers = || Some(run(&world, &["ledger", "sync"])).filter(|ran| ran.exit == 0);
    wait_for(DEADLINE, "the service", answers);
    let service_dir = world.coin().service_dir();
    run_service(&world).fails_with("second", 11, "store_held", &[service_dir.to_str().unwrap(), "another bursar process"]);
    let refused = run(&world, &["pay", "submit", "--id", "p1", "--address", BURN_ADDRESS, "--amount", "1e8"]);
    refused.fails_with("through the service", 1, "bad_amount", &["p1", "plain digits", "not queued"]);
    assert_eq!(run(&world, &["pay", "list"]).done()["payouts"], serde_json::json!([]));
    kill_process(Pid::from_raw(first.0.id().cast_signed()).unwrap(), Signal::TERM).unwrap();
    assert!(first.0.wait().unwrap().success());
    assert_eq!(world.daemon_pid(), None, "it stopped its daemon");
}
