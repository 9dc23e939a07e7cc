//! `bursar keep` with a daemon, files or a host in trouble: exit codes, what systemd and a person are told, and that nothing is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::fs::{self, File, OpenOptions, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bursar::keeper::{Phase, ProcessState};
use bursar::service::exit;
use rustix::fs::{CWD, FileType, FlockOperation, Mode, fcntl_lock, mknodat};
use rustix::process::Signal;
use serde_json::Value;
use support::{Generation, Keep, PATIENCE, ProgramSwitch, Service, World, wait_for};

fn phase(world: &World) -> Option<Phase> {
    world.keeper().report().ok().map(|report| report.phase)
}

fn wait_for_phase(world: &World, wanted: Phase) {
    wait_for(PATIENCE, &format!("{wanted:?}"), || (phase(world) == Some(wanted)).then_some(()));
}

fn separate(generation: Generation, changes: &[(&str, &str)]) -> World {
    World::with(generation, &[&[("daemon.separate_keeper", "true")], changes].concat())
}

/// What `bursar check` says of one subject, as (level, words with next step). It must answer, whatever the state.
fn checked(world: &World, name: &str) -> (String, String) {
    let output = world.bursar(&["check", "--output", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let found = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap().clone();
    (found["level"].as_str().unwrap().to_owned(), found.to_string())
}

fn make_fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

#[test]
fn a_crash_loop_after_a_good_start_is_given_up_and_ended_by_an_order() {
    let generation = Generation::Litecoin021;
    let switch = ProgramSwitch::to(generation);
    let world = separate(generation, &[("daemon.program", &switch.setting())]);
    let mut keep = Keep::start(&world);
    // A STAND-IN, because no daemon ends like this on order.
    switch.stand_in(generation, "echo \"no idea what to do, pid $$\" >&2; exit 3");
    world.daemon_process().signal(Signal::KILL);
    wait_for_phase(&world, Phase::GaveUp);
    let said = keep.said();
    let given_up = said.iter().rfind(|line| line.starts_with("STATUS=given up")).unwrap_or_else(|| panic!("{said:?}"));
    for words in ["5 times in a row", "exit code 3", "no idea what to do", "`bursar daemon start`"] {
        assert!(given_up.contains(words), "{words}: {given_up}");
    }
    let (level, words) = checked(&world, "keeper");
    assert!(level == "critical" && words.contains("given up") && words.contains("no idea what to do"), "{words}");
    assert!(keep.daemon_status().contains("given up"));
    let (refused, _) = world.order(&["daemon", "start"]);
    assert_eq!(refused["error"]["code"], "daemon_not_started", "{refused}");
    switch.turn_to(generation);
    world.done(&["daemon", "start"]);
    assert_eq!(phase(&world), Some(Phase::Ready));
    keep.signal(Signal::TERM);
    assert!(keep.ended().success());
}

#[test]
fn a_wallet_that_is_damaged_while_the_daemon_runs_is_given_up_at_its_next_start() {
    for generation in Generation::ALL {
        let world = separate(generation, &[]);
        let keep = Keep::start(&world);
        // The wallet that bursar makes is named to the daemon at its next start.
        world.keeper().stop().unwrap();
        world.start_daemon();
        let file = bursar::keeper::wallet_dir(world.coin()).join("wallet.dat");
        fs::write(&file, [7; 40_000]).unwrap();
        world.daemon_process().signal(Signal::KILL);
        wait_for_phase(&world, Phase::GaveUp);
        let status = keep.daemon_status();
        assert!(status.contains("bursar repair plan"), "{generation:?}: {status}");
        assert!(keep.said().iter().any(|line| line.starts_with("STATUS=given up")), "{:?}", keep.said());
    }
}

#[test]
fn a_port_or_a_folder_that_others_use_is_waited_for() {
    for generation in Generation::ALL {
        let world = separate(generation, &[]);
        let taken = TcpListener::bind(("127.0.0.1", world.coin().daemon.rpc_port)).unwrap();
        let mut keep = Keep::spawn(&world, &[]);
        keep.wait_until_said("STATUS=could not be started");
        let status = keep.daemon_status();
        assert!(
            status.contains("not started") && status.contains("is not free") && status.contains("daemon.rpc_port"),
            "{status}"
        );
        let (level, words) = checked(&world, "keeper");
        assert!(level == "critical" && words.contains("is not free"), "{words}");
        drop(taken);
        keep.wait_until_said("READY=1");
        world.done(&["daemon", "stop"]);

        let lock = OpenOptions::new().write(true).open(world.coin().chain_dir().join(".lock")).unwrap();
        fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        let (refused, _) = world.order(&["daemon", "start"]);
        let words = refused.to_string();
        assert!(words.contains("in use by another daemon") && words.contains(&std::process::id().to_string()), "{words}");
        // An order to stop says so too: it is no fence while somebody works on the folder.
        assert_eq!(world.order(&["daemon", "stop"]).0["error"]["code"], "datadir_in_use");
        drop(lock);
        world.done(&["daemon", "start"]);
    }
}

#[test]
fn a_program_that_ends_at_once_with_rubbish_ends_the_keeper_with_plain_words() {
    let generation = Generation::Litecoin018;
    let switch = ProgramSwitch::to(generation);
    let world = separate(generation, &[("daemon.program", &switch.setting())]);
    switch.stand_in(
        generation,
        "head -c 300000 /dev/urandom; printf '\\n\\033]0;owned\\007\\033[2J what \\377\\000\\n' >&2; exit 7",
    );
    let mut keep = Keep::spawn(&world, &[]);
    assert_eq!(keep.ended().code(), Some(i32::from(exit::FAILED)), "it may be mended: systemd may try again");
    let said = keep.said();
    assert!(!said.iter().any(|line| line == "READY=1"));
    assert!(said.iter().chain([&keep.log()]).all(|text| !text.chars().any(|char| char.is_control() && char != '\n')), "{said:?}");
    assert!(keep.log().contains("exit code 7") && keep.log().contains("  next: "), "{}", keep.log());
    let (level, words) = checked(&world, "keeper");
    assert!(level == "critical" && words.contains("the last keeper gave up"), "{words}");
}

#[test]
fn a_daemon_that_finishes_slowly_is_waited_for_while_systemd_hears_of_it() {
    let generation = Generation::Litecoin018;
    let switch = ProgramSwitch::to(generation);
    let world = separate(generation, &[("daemon.program", &switch.setting()), ("daemon.stop_timeout_s", "1")]);
    let (chain, end) = (world.coin().chain_dir(), switch.dir().join("end"));
    fs::create_dir_all(&chain).unwrap();
    // A STAND-IN, because no daemon takes long to stop on order.
    let log = chain.join("debug.log");
    let script =
        format!("trap '' TERM; while [ ! -e {} ]; do echo flushing >> {}; sleep 0.1; done", end.display(), log.display());
    switch.stand_in(generation, &script);
    let mut keep = Keep::spawn(&world, &[]);
    wait_for_phase(&world, Phase::Starting);
    let daemon = world.daemon_process();
    keep.signal(Signal::TERM);
    keep.wait_until_said("STOPPING=1");
    // Beyond the patience for an order, which is nothing to systemd.
    let stopping = || keep.said().iter().filter(|line| line.starts_with("STATUS=") && line.contains(": stopping, ")).count();
    wait_for(PATIENCE, "progress beyond daemon.stop_timeout_s", || (stopping() >= 4).then_some(()));
    let refused = world.keeper().start(&[]).unwrap_err();
    assert_eq!(refused.code(), "keeper_ending", "{refused}");
    assert!(!daemon.has_ended(), "nothing was killed");
    let extensions = keep.said().iter().filter(|line| line.starts_with("EXTEND_TIMEOUT_USEC=")).count();
    assert!(extensions >= 3, "{:?}", keep.said());
    File::create(end).unwrap();
    assert!(keep.ended().success(), "{}", keep.log());
}

#[test]
fn what_stands_in_the_place_of_a_file_stops_nobody_for_ever() {
    let names =
        ["keeper.json", "rpcauth", "keeper-credentials", "keeper.sock", "litecoin.conf", "keeper.lock", "keeper-output.log"];
    for name in names {
        let world = separate(Generation::Litecoin021, &[]);
        let path = world.coin().daemon_dir().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o700)).unwrap();
        make_fifo(&path);
        // Whatever a person asks is answered.
        checked(&world, "conf");
        let _ = world.bursar(&["render", "--diff"]);
        let mut keep = Keep::spawn(&world, &[]);
        match name {
            // Replaced as a whole.
            "keeper.json" | "keeper.sock" | "litecoin.conf" => {
                keep.wait_until_said("READY=1");
                checked(&world, "keeper");
            }
            // A secret: whose it is, nobody knows.
            "rpcauth" | "keeper-credentials" => {
                assert_eq!(keep.ended().code(), Some(i32::from(exit::CONFIG)), "{name}: {}", keep.log());
                assert!(keep.log().contains(&format!("{}: it is not a file", path.display())), "{}", keep.log());
                assert!(keep.log().contains("emove"), "{}", keep.log());
            }
            _ => {
                assert_eq!(keep.ended().code(), Some(i32::from(exit::FAILED)), "{name}: {}", keep.log());
                assert!(keep.log().contains(&path.display().to_string()) && keep.log().contains("  next: "), "{}", keep.log());
            }
        }
    }
}

#[test]
fn a_record_that_is_lost_hides_no_failed_salvage() {
    let world = separate(Generation::Litecoin021, &[]);
    let daemon_dir = world.coin().daemon_dir();
    fs::create_dir_all(&daemon_dir).unwrap();
    fs::write(daemon_dir.join("keeper-output.log"), "Error: wallet.dat corrupt, salvage failed\n").unwrap();
    fs::write(daemon_dir.join("keeper.json"), "{ half").unwrap();
    let mut keep = Keep::spawn(&world, &[]);
    assert_eq!(keep.ended().code(), Some(i32::from(exit::CONFIG)), "{}", keep.log());
    assert!(keep.log().contains("salvage failed") && keep.log().contains("bursar repair plan"), "{}", keep.log());

    let mut keep = Keep::spawn(&world, &["--stopped"]);
    keep.wait_until_said("READY=1");
    world.keeper().trust_wallet().unwrap();
    world.keeper().start(&[]).unwrap();
}

#[test]
fn a_daemon_that_refuses_the_keepers_own_password_is_told_of_and_left_running() {
    let world = separate(Generation::Knots, &[]);
    let keep = Keep::start(&world);
    let daemon = world.daemon_process();
    keep.kill();
    let file = world.coin().keeper_credentials_file();
    fs::write(&file, format!("bursar-keeper:{}\n", "0".repeat(64))).unwrap();
    let keep = Keep::spawn(&world, &[]);
    let told =
        |line: &String| line.starts_with("STATUS=pid ") && line.contains("the last call: ") && line.contains("password is wrong");
    wait_for(PATIENCE, "the reason", || keep.said().iter().any(told).then_some(()));
    assert!(!keep.said().iter().any(|line| line == "READY=1"));
    assert!(!daemon.has_ended());
    // A restart gives the daemon what the keeper has.
    world.done(&["daemon", "stop"]);
    world.done(&["daemon", "start"]);
    assert_eq!(phase(&world), Some(Phase::Ready));
}

#[test]
fn a_state_folder_of_another_user_is_left_alone() {
    let world = separate(Generation::Litecoin021, &[]);
    let daemon_dir = world.coin().daemon_dir();
    fs::create_dir_all(&daemon_dir).unwrap();
    if std::os::unix::fs::chown(&daemon_dir, Some(4711), None).is_err() {
        println!("NOT TRIED: only root can give a folder away");
        return;
    }
    let mut keep = Keep::spawn(&world, &[]);
    assert_eq!(keep.ended().code(), Some(i32::from(exit::CONFIG)), "{}", keep.log());
    assert!(keep.log().contains("belongs to another user (uid 4711)") && keep.log().contains("runuser"), "{}", keep.log());
    assert_eq!(fs::read_dir(&daemon_dir).unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_hundred_clients_at_once_are_all_told_something() {
    let world = separate(Generation::Litecoin018, &[]);
    let _keep = Keep::start(&world);
    let outcomes: Vec<Result<Phase, String>> = std::thread::scope(|scope| {
        let ask = || world.keeper().report().map(|report| report.phase).map_err(|error| error.code().to_owned());
        let asked: Vec<_> = (0..100).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome.as_ref().map_err(String::as_str), Ok(Phase::Ready) | Err("keeper_busy"))),
        "{outcomes:?}"
    );
    assert!(outcomes.iter().any(Result::is_ok));
    assert_eq!(phase(&world), Some(Phase::Ready));
    assert!(matches!(world.keeper().state(), ProcessState::Running { .. }));
}

#[test]
fn a_daemon_that_hangs_is_critical_in_every_check_also_while_the_service_waits_for_it() {
    let world = separate(Generation::Litecoin021, &[]);
    let _keep = Keep::start(&world);
    let service = Service::start(&world);
    world.done(&["status"]);
    let daemon = world.daemon_process();
    daemon.signal(Signal::STOP);
    wait_for_phase(&world, Phase::Unresponsive);
    for _ in 0..3 {
        let output = world.bursar(&["check"]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(2), "critical, in the words of monitoring: {said}");
    }
    assert!(!daemon.has_ended());
    daemon.signal(Signal::CONT);
    wait_for_phase(&world, Phase::Ready);
    assert!(service.stop().success());
}
