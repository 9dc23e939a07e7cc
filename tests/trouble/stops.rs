//! Stopping a daemon that hangs, is slow, has strangers connected, or does not want to.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use bursar::keeper::ProcessState;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Generation, ProgramSwitch, World, is_alive, signal, suspend, wait_for};
use crate::{DEADLINE, fails_with, pid_of, with_each_keeper};

#[test]
fn a_daemon_that_hangs_is_left_alone_until_a_person_says_kill() {
    for generation in Generation::ALL {
        with_each_keeper(
            || World::with(generation, &[("daemon.stop_timeout_s", "1")]),
            |world| {
                let mut keeper = world.start_daemon();
                let address = world.new_address();
                let pid = pid_of(&mut keeper);
                suspend(pid);
                fails_with(keeper.stop(), "daemon_still_runs", &["it was not killed"]);
                assert!(is_alive(pid), "{generation:?}");
                keeper.stop_or_kill().unwrap();
                assert!(!is_alive(pid), "{generation:?}");
                // What stands after a kill is looked after by the next start.
                keeper.start(&[]).unwrap();
                assert_eq!(world.rpc("getaddressinfo", json!([address]))["ismine"], true, "{generation:?}");
                // The patience of this world is short for a real daemon on a slow disk.
                wait_for(DEADLINE, "the stop", || keeper.stop().ok());
            },
        );
    }
}

#[test]
fn a_daemon_that_hung_for_a_while_is_waited_for_even_by_one_who_may_kill() {
    for generation in Generation::ALL {
        with_each_keeper(
            || World::new(generation),
            |world| {
                let mut keeper = world.start_daemon();
                let pid = pid_of(&mut keeper);
                suspend(pid);
                let wakes = thread::spawn(move || {
                    thread::sleep(Duration::from_secs(2));
                    signal(pid, Signal::CONT);
                });
                keeper.stop_or_kill().unwrap();
                wakes.join().unwrap();
                assert!(!is_alive(pid));
                let log = std::fs::read_to_string(world.coin().chain_dir().join("debug.log")).unwrap();
                assert!(log.trim_end().ends_with("Shutdown: done"), "{generation:?}: it ended by itself");
            },
        );
    }
}

#[test]
fn an_idle_connection_of_a_stranger_delays_the_stop_by_little() {
    for generation in Generation::ALL {
        // Daemons of 0.21 and older wait 30 s for such a connection unless their conf says less.
        with_each_keeper(
            || World::with(generation, &[("daemon.stop_timeout_s", "20")]),
            |world| {
                let mut keeper = world.start_daemon();
                let idle = TcpStream::connect(world.coin().daemon.rpc_connect).unwrap();
                keeper.stop().unwrap();
                drop(idle);
            },
        );
    }
}

/// A STAND-IN, because no wallet daemon takes long to stop on order.
#[test]
fn a_program_that_still_works_when_the_patience_is_over_is_said_to() {
    let generation = Generation::Litecoin018;
    let switch = ProgramSwitch::to(generation);
    let settings =
        [("daemon.program", switch.setting()), ("daemon.stop_timeout_s", "4".into()), ("daemon.start_timeout_s", "3".into())];
    let world = World::with(generation, &settings.each_ref().map(|(key, value)| (*key, value.as_str())));
    let chain_dir = world.coin().chain_dir();
    std::fs::create_dir_all(&chain_dir).unwrap();
    let log = chain_dir.join("debug.log");
    switch.stand_in(generation, &format!("trap '' TERM; while :; do echo flushing >> {}; sleep 0.1; done", log.display()));
    let mut keeper = world.keeper();
    fails_with(keeper.start(&[]), "daemon_not_ready", &["left running"]);
    fails_with(keeper.stop(), "daemon_still_runs", &["not killed, it still w", "better wait"]);
    keeper.stop_or_kill().unwrap();
}

/// A STAND-IN, because no wallet daemon ignores SIGTERM on order.
#[test]
fn a_program_that_ignores_the_order_is_killed_only_when_told() {
    let generation = Generation::Litecoin021;
    let switch = ProgramSwitch::to(generation);
    let settings =
        [("daemon.program", switch.setting()), ("daemon.stop_timeout_s", "1".into()), ("daemon.start_timeout_s", "3".into())];
    let world = World::with(generation, &settings.each_ref().map(|(key, value)| (*key, value.as_str())));
    switch.stand_in(generation, "trap '' TERM; while :; do sleep 0.1; done");
    let mut keeper = world.keeper();
    fails_with(keeper.start(&[]), "daemon_not_ready", &["left running"]);
    let pid = pid_of(&mut keeper);
    for _ in 0..2 {
        fails_with(keeper.stop(), "daemon_still_runs", &["not killed"]);
        assert!(is_alive(pid));
    }
    keeper.stop_or_kill().unwrap();
    assert!(!is_alive(pid));
    switch.turn_to(generation);
    // The patience of this world is short for a real daemon on a busy machine.
    wait_for(DEADLINE, "the real daemon", || keeper.start(&[]).ok());
}

#[test]
fn pid_files_of_others_mean_nothing() {
    for generation in Generation::ALL {
        with_each_keeper(
            || World::new(generation),
            |world| {
                world.start_daemon().stop().unwrap();
                let mut stranger = Command::new("sleep").arg("300").stdin(Stdio::null()).spawn().unwrap();
                for name in ["litecoind.pid", "bitcoind.pid", "coin.pid"] {
                    std::fs::write(world.coin().chain_dir().join(name), format!("{}\n", stranger.id())).unwrap();
                }
                let mut keeper = world.keeper();
                keeper.start(&[]).unwrap();
                assert_ne!(pid_of(&mut keeper), stranger.id());
                keeper.stop_or_kill().unwrap();
                assert!(stranger.try_wait().unwrap().is_none(), "the stranger was stopped");
                stranger.kill().unwrap();
                stranger.wait().unwrap();
            },
        );
    }
}

#[test]
fn a_daemon_that_would_leave_its_keeper_is_not_started() {
    let world = World::new(Generation::Knots);
    for argument in ["-daemon", "-daemon=1", "--daemonwait", "-conf=/x"] {
        fails_with(world.keeper().start(&[argument]), "daemon_not_started", &[argument, "the keeper's to set"]);
    }
    assert!(!world.coin().chain_dir().exists(), "nothing was started");
}

#[test]
fn a_daemon_that_crashes_is_told_of_with_its_signal() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let mut keeper = world.start_daemon();
        let pid = pid_of(&mut keeper);
        signal(pid, Signal::SEGV);
        let ended =
            wait_for(DEADLINE, "the exit", || Some(keeper.state()).filter(|state| *state != ProcessState::Running { pid }));
        assert!(matches!(&ended, ProcessState::Exited { status, .. } if status == "ended by signal 11"), "{ended:?}");
        keeper.start(&[]).unwrap();
    }
}
