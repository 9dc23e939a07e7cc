//! The keeper on real daemons: what it starts it also finds again, and it stops it without ever killing it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bursar::config::Settings;
use bursar::keeper::{Keeper, KeeperError, ProcessState};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use support::{ForeignDaemon, Generation, World, wait_for};

const DEADLINE: Duration = Duration::from_secs(30);

fn pid_of(keeper: &mut Keeper) -> u32 {
    match keeper.state() {
        ProcessState::Running { pid } => pid,
        other => panic!("{other:?}"),
    }
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

/// The state of a process or thread, such as `S`, `T` (stopped) or `Z` (dead); none when it is gone.
fn state_of(folder: &Path) -> Option<char> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

fn is_alive(pid: u32) -> bool {
    !matches!(state_of(format!("/proc/{pid}").as_ref()), None | Some('Z'))
}

/// Suspends a process; returns when its last thread has stopped.
fn suspend(pid: u32) {
    signal(pid, Signal::STOP);
    wait_for(DEADLINE, "the suspended threads", || {
        let mut threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        threads.all(|thread| state_of(&thread.unwrap().path()) == Some('T')).then_some(())
    });
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// The text of a start that was refused or failed.
fn refusal(result: Result<(), KeeperError>) -> String {
    match result {
        Err(error @ (KeeperError::NotStarted { .. } | KeeperError::Runs { .. } | KeeperError::Options(_))) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_password_lasts_until_it_is_made_anew_and_then_the_old_one_is_refused() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let mut keeper = world.start_daemon();
        let (pid, old) = (pid_of(&mut keeper), world.credentials());
        world.mine(1);
        keeper.stop().unwrap();
        assert_eq!(keeper.state(), ProcessState::Stopped);
        assert!(!is_alive(pid));
        keeper.start(&[]).unwrap();
        assert_eq!(world.credentials(), old);
        assert_eq!(world.rpc("getblockcount", json!([])), 1, "{generation:?}");

        // A fence: whatever was sent before with the old one is refused.
        keeper.stop().unwrap();
        bursar::daemon::renew(world.coin()).unwrap();
        keeper.start(&[]).unwrap();
        assert_ne!(world.credentials(), old);
        assert_eq!(world.rpc("getblockcount", json!([])), 1, "{generation:?}");
        let address = world.coin().daemon.rpc_connect;
        let late = support::call(address, &old, "/", "getblockcount", json!([])).unwrap_err();
        assert_eq!(late.code, 401, "{generation:?}");
    }
}

#[test]
fn secrets_are_in_private_files_and_nowhere_else() {
    // The log of all tests of this file: a subscriber of one thread misses lines while other threads log.
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    for generation in Generation::ALL {
        let world = World::new(generation);
        let mut keeper = world.start_daemon();
        let coin = world.coin();
        let credentials = world.credentials();
        let password = credentials.split_once(':').unwrap().1;
        assert!(password.len() >= 32);

        assert_eq!(mode(&coin.conf_file()), 0o600);
        assert_eq!(mode(&coin.credentials_file(bursar::config::RpcRole::Admin)), 0o600);
        assert_eq!(mode(&coin.daemon_dir().join("keeper.json")), 0o600);
        assert_eq!(mode(&coin.daemon_dir()), 0o700);
        let pid = pid_of(&mut keeper);
        for place in ["cmdline", "environ"] {
            let text = fs::read(format!("/proc/{pid}/{place}")).unwrap();
            assert!(!String::from_utf8_lossy(&text).contains(password), "{place}");
        }
        assert!(!fs::read_to_string(coin.conf_file()).unwrap().contains(password), "the conf holds a salted hash");
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(log.contains("the daemon answers RPC"), "{log}");
        assert!(!log.contains(password));
        assert!(!format!("{keeper:?}").contains(password));
    }
}

#[test]
fn a_daemon_outlives_its_keeper_and_is_found_again() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let mut first = world.start_daemon();
        let (pid, credentials) = (pid_of(&mut first), world.credentials());
        drop(first);

        let mut second = world.keeper();
        assert_eq!(second.state(), ProcessState::Running { pid });
        second.start(&[]).unwrap();
        assert_eq!(world.credentials(), credentials, "an adopted daemon keeps its password");
        assert_eq!(pid_of(&mut second), pid);
        let refused = refusal(second.start(&["-rescan"]));
        assert!(refused.contains("stop it first"), "{refused}");
        second.stop().unwrap();
        assert!(!is_alive(pid));
        assert_eq!(world.keeper().state(), ProcessState::Stopped);
    }
}

/// Not a test of its own: the process that the next test kills.
#[test]
#[ignore = "run by another test"]
fn keeper_that_dies() {
    let settings = Settings::load(std::env::var_os("BURSAR_TEST_CONFIG").unwrap().as_ref()).unwrap();
    Keeper::new(&settings.coins["coin"]).start(&[]).unwrap();
    std::process::abort();
}

#[test]
fn the_death_of_the_keeper_process_does_not_stop_the_daemon() {
    let world = World::new(Generation::Litecoin021);
    let died = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "keeper_that_dies"])
        .env("BURSAR_TEST_CONFIG", &world.settings.file)
        .output()
        .unwrap();
    assert!(!died.status.success(), "{died:?}");
    let mut keeper = world.keeper();
    let pid = pid_of(&mut keeper);
    assert_eq!(world.node_rpc("getblockcount", json!([])), 0);

    // The daemon is not our child now: its end is known, its exit status is not.
    signal(pid, Signal::KILL);
    let ended = wait_for(DEADLINE, "the exit", || Some(keeper.state()).filter(|state| *state != ProcessState::Running { pid }));
    assert!(matches!(&ended, ProcessState::Exited { status, .. } if status.contains("unknown")), "{ended:?}");
    keeper.start(&[]).unwrap();
    keeper.stop().unwrap();
}

#[test]
fn a_daemon_whose_record_was_lost_is_found_by_its_lock() {
    let world = World::new(Generation::Litecoin018);
    let pid = pid_of(&mut world.start_daemon());
    let record = world.coin().daemon_dir().join("keeper.json");
    fs::remove_file(&record).unwrap();
    assert_eq!(world.keeper().state(), ProcessState::Running { pid });
    fs::write(&record, "{ half a reco").unwrap();
    let mut keeper = world.keeper();
    assert_eq!(keeper.state(), ProcessState::Running { pid });
    keeper.stop().unwrap();
    assert_eq!(world.keeper().state(), ProcessState::Stopped);
}

#[test]
fn a_reused_pid_is_not_taken_for_the_daemon() {
    let world = World::new(Generation::Litecoin021);
    world.start_daemon().stop().unwrap();
    let mut stranger = Command::new("sleep").arg("300").stdin(Stdio::null()).spawn().unwrap();
    let doctored = json!({"process": {
        "pid": stranger.id(), "start_ticks": 1, "boot_id": bursar::keeper::boot_id(), "started_s": 0
    }});
    fs::write(world.coin().daemon_dir().join("keeper.json"), doctored.to_string()).unwrap();

    let mut keeper = world.keeper();
    assert!(matches!(keeper.state(), ProcessState::Exited { .. }));
    keeper.stop().unwrap();
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was stopped");
    keeper.start(&[]).unwrap();
    keeper.stop().unwrap();
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was stopped");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_record_of_an_earlier_boot_is_history() {
    let world = World::new(Generation::Litecoin021);
    let mut keeper = world.start_daemon();
    keeper.stop().unwrap();
    let record = json!({"process": {"pid": 1, "start_ticks": 1, "boot_id": "of another boot", "started_s": 0}});
    fs::write(world.coin().daemon_dir().join("keeper.json"), record.to_string()).unwrap();
    let state = world.keeper().state();
    assert!(matches!(&state, ProcessState::Exited { status, .. } if status.contains("restarted")), "{state:?}");
}

#[test]
fn a_taken_rpc_port_is_refused_before_anything_is_done() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let taken = TcpListener::bind(("127.0.0.1", world.coin().daemon.rpc_port)).unwrap();
        let refused = refusal(world.keeper().start(&[]));
        assert!(refused.contains("rpc_port"), "{refused}");
        assert!(!world.coin().credentials_file(bursar::config::RpcRole::Admin).exists());
        drop(taken);
        world.start_daemon();
    }
}

#[test]
fn a_port_that_is_taken_at_the_last_moment_does_not_leave_a_daemon_without_rpc() {
    for generation in Generation::ALL {
        let dir = tempfile::tempdir().unwrap();
        let (script, go) = (dir.path().join("late-daemon"), dir.path().join("go"));
        // Lets the port be taken between the keeper's look at it and the daemon's bind.
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in *-help*) exec {0} \"$@\";; esac\nwhile [ ! -e {1} ]; do sleep 0.02; done\nexec {0} \"$@\"\n",
            generation.program().display(),
            go.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        let world = World::with(generation, &[("daemon.program", &format!("'{}'", script.display()))]);
        let record = world.coin().daemon_dir().join("keeper.json");
        let start = || world.keeper().start(&[]);
        let refused = std::thread::scope(|scope| {
            let starting = scope.spawn(start);
            wait_for(DEADLINE, "the process", || record.exists().then_some(()));
            let _stranger = answer_401(world.coin().daemon.rpc_port);
            File::create(&go).unwrap();
            refusal(starting.join().unwrap())
        });
        assert!(refused.contains("took its RPC port") || refused.contains("port is taken"), "{generation:?}: {refused}");
        assert!(world.daemon_pid().is_none());
    }
}

/// A server on `port` that refuses every password, until the value ends.
fn answer_401(port: u16) -> impl Drop {
    struct Stranger(u16, Arc<AtomicBool>);
    impl Drop for Stranger {
        fn drop(&mut self) {
            self.1.store(true, Ordering::SeqCst);
            let _ = TcpStream::connect(("127.0.0.1", self.0));
        }
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let stop = over.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten().take_while(|_| !stop.load(Ordering::SeqCst)) {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    Stranger(port, over)
}

#[test]
fn a_data_directory_in_use_names_its_user() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        world.start_daemon().stop().unwrap();
        let mut other = ForeignDaemon::start(&world);
        let credentials = world.credentials();
        // Stopping is refused too: its caller would take it for the proof that no daemon works on the wallet.
        for refused in [world.keeper().start(&[]), world.keeper().stop()] {
            let Err(error @ KeeperError::InUse { .. }) = refused else { panic!("{refused:?}") };
            assert!(error.to_string().contains(&format!("pid {}", other.0.id())), "{error}");
        }
        assert_eq!(world.credentials(), credentials, "nothing was done");
        assert!(other.0.try_wait().unwrap().is_none(), "the other daemon is left alone");
        signal(other.0.id(), Signal::TERM);
        assert!(other.0.wait().unwrap().success());
        world.keeper().start(&[]).unwrap();
    }
}

#[test]
fn a_missing_program_says_where_to_set_it() {
    let world = World::with(Generation::Litecoin021, &[("daemon.program", "'/nowhere/litecoind'")]);
    let refused = refusal(world.keeper().start(&[]));
    assert!(refused.contains("/nowhere/litecoind") && refused.contains("daemon.program"), "{refused}");
    assert_eq!(world.keeper().state(), ProcessState::Stopped);
}

#[test]
fn a_bad_argument_fails_with_the_daemons_words() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let mut keeper = world.keeper();
        let refused = refusal(keeper.start(&["-bogus=1"]));
        assert!(refused.contains("Invalid parameter -bogus"), "{refused}");
        assert!(refused.contains("exit code 1"), "{refused}");
        assert!(matches!(keeper.state(), ProcessState::Exited { .. }));
        let refused = refusal(keeper.start(&["-daemon"]));
        assert!(refused.contains("the keeper's to set"), "{refused}");
        keeper.start(&["-checkblocks=1"]).unwrap();
    }
}

#[test]
fn a_daemon_that_dies_unasked_is_noticed() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let mut keeper = world.start_daemon();
        let pid = pid_of(&mut keeper);
        signal(pid, Signal::KILL);
        let ended =
            wait_for(DEADLINE, "the exit", || Some(keeper.state()).filter(|state| *state != ProcessState::Running { pid }));
        assert!(matches!(&ended, ProcessState::Exited { status, .. } if status == "ended by signal 9"), "{ended:?}");
        assert!(matches!(keeper.state(), ProcessState::Exited { .. }), "it stays known");
        assert!(matches!(world.keeper().state(), ProcessState::Exited { .. }), "also to the next keeper");
        keeper.start(&[]).unwrap();
        assert!(matches!(keeper.state(), ProcessState::Running { .. }));
    }
}

#[test]
fn a_daemon_that_hangs_is_reported_and_never_killed() {
    let world = World::with(Generation::Litecoin021, &[("daemon.stop_timeout_s", "1")]);
    let mut keeper = world.start_daemon();
    let pid = pid_of(&mut keeper);
    suspend(pid);
    for _ in 0..2 {
        assert!(matches!(keeper.stop(), Err(KeeperError::StillRunning { pid: named, .. }) if named == pid));
        assert!(is_alive(pid));
        assert_eq!(keeper.state(), ProcessState::Running { pid });
    }
    // Once it goes on, it still obeys the order that it got.
    signal(pid, Signal::CONT);
    wait_for(DEADLINE, "the exit", || (!is_alive(pid)).then_some(()));
    keeper.stop().unwrap();
    assert_eq!(keeper.state(), ProcessState::Stopped);
}

#[test]
fn a_daemon_that_does_not_answer_in_time_is_left_running() {
    let world = World::new(Generation::Litecoin021);
    let mut keeper = world.start_daemon();
    let pid = pid_of(&mut keeper);
    suspend(pid);
    let mut impatient = world.coin().clone();
    impatient.daemon.start_timeout_s = 1;
    let late = Keeper::new(&impatient).start(&[]);
    assert!(matches!(&late, Err(KeeperError::NotReady { pid: named, .. }) if *named == pid), "{late:?}");
    signal(pid, Signal::CONT);
    wait_for(DEADLINE, "an answer", || keeper.start(&[]).ok());
    assert_eq!(pid_of(&mut keeper), pid);
}

#[test]
fn a_password_that_the_daemon_refuses_is_an_error_at_once() {
    let world = World::new(Generation::Litecoin021);
    let mut keeper = world.start_daemon();
    let file = world.coin().keeper_credentials_file();
    let right = fs::read_to_string(&file).unwrap();
    fs::write(&file, "bursar-keeper:wrong").unwrap();
    match keeper.start(&[]) {
        Err(KeeperError::NotReady { last, .. }) => assert!(last.to_string().contains("401"), "{last}"),
        other => panic!("{other:?}"),
    }
    fs::write(&file, right).unwrap();
    keeper.start(&[]).unwrap();
}

#[test]
fn an_attached_daemon_is_never_started_nor_stopped() {
    let world = World::new(Generation::Litecoin021);
    let pid = pid_of(&mut world.start_daemon());
    let mut coin = world.coin().clone();
    coin.daemon.mode = bursar::config::DaemonMode::Attach;
    let mut keeper = Keeper::new(&coin);
    assert!(!keeper.is_kept());
    assert_eq!(keeper.state(), ProcessState::Attached);
    assert!(matches!(keeper.start(&[]), Err(KeeperError::Attached("start"))));
    assert!(matches!(keeper.stop(), Err(KeeperError::Attached("stop"))));
    assert!(is_alive(pid));
}

#[test]
fn stopping_what_does_not_run_is_done_at_once() {
    let world = World::new(Generation::Litecoin021);
    let mut keeper = world.keeper();
    assert_eq!(keeper.state(), ProcessState::Stopped);
    keeper.stop().unwrap();
    assert!(!world.coin().daemon_dir().join("keeper.json").exists());
}

#[test]
fn two_keepers_start_one_daemon() {
    let world = World::new(Generation::Litecoin021);
    let starts = || {
        let mut keeper = world.keeper();
        keeper.start(&[]).map(|()| pid_of(&mut keeper))
    };
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(starts)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let pids: Vec<u32> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok().copied()).collect();
    assert!(!pids.is_empty(), "{outcomes:?}");
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{outcomes:?}");
    world.node_rpc("getblockcount", json!([]));
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Log;
    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}
