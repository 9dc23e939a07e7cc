//! `bursar keep` on real daemons: what systemd hears, crashes, hangs, orders through its socket, and clients that misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use bursar::keeper::{Phase, ProcessState};
use bursar::service::exit;
use rustix::process::Signal;
use support::{Generation, Keep, PATIENCE, Service, World, free_port, wait_for};

/// The pid of the daemon as its keeper tells it.
fn pid(world: &World) -> Option<u32> {
    match world.keeper().state() {
        ProcessState::Running { pid } => Some(pid),
        _ => None,
    }
}

fn phase(world: &World) -> Option<Phase> {
    world.keeper().report().ok().map(|report| report.phase)
}

fn separate(generation: Generation) -> World {
    World::with(generation, &[("daemon.separate_keeper", "true")])
}

#[test]
fn systemd_hears_of_a_start_only_when_rpc_answers_and_of_the_end_before_the_daemon_has_stopped() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let mut keep = Keep::start(&world);
        let daemon = world.daemon_process();
        let said = keep.said();
        let at =
            |start: &str| said.iter().position(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {said:?}"));
        assert!(at("STATUS=") < at("READY=1"), "{said:?}");
        assert!(at("EXTEND_TIMEOUT_USEC=") < at("READY=1"), "{said:?}");
        assert!(at("WATCHDOG=1") < at("READY=1"), "{said:?}");
        assert_eq!(phase(&world), Some(Phase::Ready));

        let environment = fs::read(format!("/proc/{}/environ", pid(&world).unwrap())).unwrap();
        let environment = String::from_utf8_lossy(&environment);
        assert!(!environment.contains("NOTIFY_SOCKET") && !environment.contains("WATCHDOG"), "{environment}");

        keep.signal(Signal::TERM);
        assert!(keep.ended().success(), "{}", keep.log());
        assert!(daemon.has_ended());
        let said = keep.said();
        let stopping = said.iter().position(|line| line == "STOPPING=1").unwrap();
        assert!(said[stopping..].iter().any(|line| line.starts_with("EXTEND_TIMEOUT_USEC=")), "{said:?}");
        assert!(said[stopping..].iter().any(|line| line.contains("stopping,")), "{said:?}");
        assert!(!world.coin().keeper_socket().exists());
    }
}

#[test]
fn a_crash_is_noticed_at_once_and_the_daemon_is_back_within_seconds() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let keep = Keep::start(&world);
        let before = pid(&world).unwrap();
        let daemon = world.daemon_process();
        let began = Instant::now();
        daemon.signal(Signal::KILL);
        wait_for(PATIENCE, "the end is noticed", || (phase(&world) != Some(Phase::Ready)).then_some(()));
        let noticed = began.elapsed();
        wait_for(PATIENCE, "it is back", || (phase(&world) == Some(Phase::Ready)).then_some(()));
        println!("{generation:?}: noticed after {noticed:?}, back after {:?}", began.elapsed());
        assert_ne!(pid(&world).unwrap(), before);
        let report = world.keeper().report().unwrap();
        assert_eq!(report.unordered_ends, 1);
        assert!(
            keep.said().iter().any(|line| line.starts_with("STATUS=") && line.contains("ended by signal 9")),
            "{:?}",
            keep.said()
        );
    }
}

#[test]
fn a_daemon_that_hangs_is_reported_is_not_killed_and_no_longer_feeds_the_watchdog() {
    let world = World::new(Generation::Litecoin021);
    let keep = Keep::start(&world);
    let fed = || keep.said().iter().filter(|line| *line == "WATCHDOG=1").count();
    let first = fed();
    wait_for(PATIENCE, "the watchdog is fed", || (fed() > first).then_some(()));
    let daemon = world.daemon_process();
    daemon.signal(Signal::STOP);
    wait_for(PATIENCE, "the hang is reported", || (phase(&world) == Some(Phase::Unresponsive)).then_some(()));
    let hungry = fed();
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(fed(), hungry);
    assert!(!daemon.has_ended());
    assert!(keep.said().iter().any(|line| line.contains("has not answered RPC for")), "{:?}", keep.said());
    daemon.signal(Signal::CONT);
    wait_for(PATIENCE, "it answers again", || (phase(&world) == Some(Phase::Ready)).then_some(()));
    assert!(fed() > hungry);
}

#[test]
fn orders_go_through_a_separate_keeper_with_and_without_the_service() {
    let world = separate(Generation::Knots);
    let (refused, code) = world.order(&["daemon", "start", "--with=-reindex-chainstate"]);
    assert_eq!((refused["error"]["code"].as_str(), code), (Some("no_keeper"), i32::from(exit::LATER)), "{refused}");
    assert!(refused["error"]["next"].as_str().unwrap().contains("systemctl start bursar-keep@coin"), "{refused}");

    let mut keep = Keep::start(&world);
    let before = pid(&world).unwrap();
    world.done(&["daemon", "stop"]);
    assert_eq!(phase(&world), Some(Phase::Stopped));
    assert!(keep.daemon_status().contains("stopped"));
    world.done(&["daemon", "start", "--with=-reindex-chainstate"]);
    let started = pid(&world).unwrap();
    assert_ne!(started, before);
    let arguments = fs::read(format!("/proc/{started}/cmdline")).unwrap();
    assert!(String::from_utf8_lossy(&arguments).contains("-reindex-chainstate"));
    let (refused, _) = world.order(&["daemon", "start", "--with=-rescan"]);
    assert_eq!(refused["error"]["code"], "daemon_runs", "{refused}");
    let (refused, _) = world.order(&["daemon", "restart", "--with=-daemon"]);
    assert!(refused["error"]["message"].as_str().unwrap().contains("-daemon is the keeper's to set"), "{refused}");
    world.done(&["daemon", "start"]);

    let service = Service::start(&world);
    let running = pid(&world).unwrap();
    world.done(&["daemon", "restart"]);
    assert_ne!(pid(&world).unwrap(), running);
    let running = pid(&world).unwrap();
    assert!(service.stop().success());
    assert_eq!(pid(&world), Some(running), "the end of the service stops no daemon of a keeper apart");
    keep.signal(Signal::TERM);
    assert!(keep.ended().success());
}

#[test]
fn a_service_waits_for_its_keeper_and_gives_a_daemon_that_was_there_first_its_passwords() {
    let world = separate(Generation::Litecoin018);
    let keep = Keep::start(&world);
    // The daemon has none of the service's users: they were never made.
    assert!(!world.coin().rpcauth_file().exists());
    let service = Service::start(&world);
    world.done(&["status"]);
    keep.kill();
    let (status, _) = world.order(&["daemon", "status"]);
    assert!(status.to_string().contains("no_keeper"), "{status}");
    let daemon = world.daemon_process_of_record();
    assert!(!daemon.has_ended(), "a keeper that dies takes no daemon with it");
    let keep = Keep::start(&world);
    assert!(keep.log().contains("as an earlier keeper left it"), "{}", keep.log());
    assert!(!daemon.has_ended());
    world.done(&["daemon", "stop"]);
    assert!(daemon.has_ended());
    drop(service);
}

#[test]
fn a_fence_and_a_repair_go_through_a_separate_keeper() {
    let world = separate(Generation::Litecoin018);
    let _keep = Keep::start(&world);
    let service = Service::start(&world);
    let daemon = world.daemon_process();
    let repaired = world.done(&["repair", "run", "--yes"]);
    assert!(daemon.has_ended(), "{repaired}");
    assert_eq!(phase(&world), Some(Phase::Ready));
    assert!(service.stop().success());

    let (daemon, old) = (world.daemon_process(), world.credentials());
    let mut keeper = world.keeper();
    keeper.stop().unwrap();
    assert!(daemon.has_ended(), "the exit is confirmed");
    bursar::daemon::renew(world.coin()).unwrap();
    keeper.start(&[]).unwrap();
    assert_ne!(world.credentials(), old);
    world.node_rpc("getblockcount", serde_json::json!([]));
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], world.coin().daemon.rpc_port));
    let late = support::call(address, &old, "/", "getblockcount", serde_json::json!([]));
    assert_eq!(late.unwrap_err().code, 401, "a late copy of an earlier call is refused");
}

#[test]
fn a_daemon_that_does_not_stop_is_waited_for_and_killed_by_a_persons_word_only() {
    let world = World::with(Generation::Litecoin021, &[("daemon.stop_timeout_s", "2")]);
    let keep = Keep::start(&world);
    let daemon = world.daemon_process();
    daemon.signal(Signal::STOP);
    let (late, code) = world.order(&["daemon", "stop"]);
    assert_eq!((late["error"]["code"].as_str(), code), (Some("daemon_still_runs"), i32::from(exit::LATER)), "{late}");
    assert_eq!(phase(&world), Some(Phase::Stopping));
    let (refused, code) = world.order(&["daemon", "start"]);
    assert_eq!((refused["error"]["code"].as_str(), code), (Some("daemon_still_runs"), i32::from(exit::LATER)), "{refused}");
    assert!(!daemon.has_ended());
    world.done(&["daemon", "stop", "--kill", "--yes"]);
    assert!(daemon.has_ended());
    assert_eq!(phase(&world), Some(Phase::Stopped));
    assert!(keep.log().contains("killing the daemon, as ordered"), "{}", keep.log());
}

#[test]
fn two_keepers_of_one_coin_never_work_at_once() {
    let world = World::new(Generation::Litecoin018);
    let keep = Keep::start(&world);
    let mut second = Keep::spawn(&world, &[]);
    assert_eq!(second.ended().code(), Some(i32::from(exit::HELD)));
    assert!(second.log().contains(&format!("(pid {})", keep.pid())), "{}", second.log());
    assert_eq!(phase(&world), Some(Phase::Ready), "the first one's socket is still there");
}

#[test]
fn a_keeper_that_never_came_up_ends_with_a_code_that_tells_whether_to_try_again() {
    let world = World::new(Generation::Litecoin018);
    let mut keep = Keep::spawn(&world, &["--with=-conf=/dev/null"]);
    assert!(!keep.ended().success());
    assert!(keep.log().contains("is the keeper's to set"), "{}", keep.log());

    let gone = World::with(Generation::Litecoin018, &[("daemon.program", "'/nowhere/coind'")]);
    let mut keep = Keep::spawn(&gone, &[]);
    assert_eq!(keep.ended().code(), Some(i32::from(exit::CONFIG)), "{}", keep.log());
    assert!(!keep.said().iter().any(|line| line == "READY=1"));
    assert!(keep.said().iter().any(|line| line.starts_with("STATUS=given up")), "{:?}", keep.said());

    drop(world.start_daemon());
    world.keeper().stop().unwrap();
    fs::write(bursar::keeper::wallet_dir(world.coin()).join("wallet.dat"), [7; 40_000]).unwrap();
    let mut keep = Keep::spawn(&world, &[]);
    assert_eq!(keep.ended().code(), Some(i32::from(exit::CONFIG)), "{}", keep.log());
    assert!(keep.log().contains("bursar repair plan"), "{}", keep.log());

    // It can be repaired under a keeper nevertheless.
    let mut keep = Keep::spawn(&world, &["--stopped"]);
    keep.wait_until_said("READY=1");
    assert_eq!((phase(&world), pid(&world)), (Some(Phase::Stopped), None));
    fs::remove_file(bursar::keeper::wallet_dir(world.coin()).join("wallet.dat")).unwrap();
    let mut keeper = world.keeper();
    assert!(keeper.is_separate());
    keeper.trust_wallet().unwrap();
    keeper.start(&[]).unwrap();
    assert_eq!(phase(&world), Some(Phase::Ready));
}

#[test]
fn the_keeper_does_without_the_service_folder() {
    let world = World::new(Generation::Litecoin021);
    let service = world.coin().service_dir();
    // A file in its place is worse than no rights: it stops root too, as whom tests may run.
    fs::create_dir_all(service.parent().unwrap()).unwrap();
    fs::write(&service, "not for the keeper").unwrap();
    fs::set_permissions(&service, Permissions::from_mode(0o000)).unwrap();
    let mut keep = Keep::start(&world);
    assert_eq!(phase(&world), Some(Phase::Ready));
    keep.signal(Signal::TERM);
    assert!(keep.ended().success());
    fs::remove_file(&service).unwrap();
}

#[test]
fn clients_that_misbehave_disturb_nobody() {
    let world = World::new(Generation::Litecoin018);
    let _keep = Keep::start(&world);
    let socket = world.coin().keeper_socket();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let say = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may be refused, and the connection closed, before all is written.
        let _ = stream.write_all(bytes);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    assert!(say(b"\xff\x00garbage\n").contains("bad_call"));
    assert!(say(b"{\"protocol\":1,\"order\":\"destroy\"}\n").contains("bad_call"));
    assert!(say(b"{\"protocol\":2,\"order\":{\"new\":1}}\n").contains("keeper_version"));
    assert!(say(b"{\"protocol\":1,\"order\":\"sta").contains("too slow"));
    let long = say(&vec![b'x'; 100 << 10]);
    assert!(long.is_empty() || long.contains("too long"), "{long}");
    assert!(say(b"{\"protocol\":1,\"order\":\"status\"}\n").contains("\"done\""));

    // Eight that say nothing: the ninth is told, and after their deadline all is as before.
    let silent: Vec<_> = (0..8).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    wait_for(PATIENCE, "all places are taken", || say(b"").contains("keeper_busy").then_some(()));
    wait_for(PATIENCE, "they are dropped", || (phase(&world) == Some(Phase::Ready)).then_some(()));
    drop(silent);
    // One that never reads, and goes away.
    let mut deaf = UnixStream::connect(&socket).unwrap();
    deaf.write_all(b"{\"protocol\":1,\"order\":\"status\"}\n").unwrap();
    drop(deaf);
    assert_eq!(phase(&world), Some(Phase::Ready));
}

#[test]
fn what_a_separate_keeper_counts_and_says_reaches_metrics_and_status() {
    let http = format!("'127.0.0.1:{}'", free_port());
    let world = World::with(Generation::Litecoin021, &[("daemon.separate_keeper", "true"), ("http.listen", &http)]);
    let keep = Keep::start(&world);
    let service = Service::start(&world);
    let metric = |name: &str, value: &str| wait_for(PATIENCE, name, || (service.metric(name) == value).then_some(()));
    metric("bursar_daemon_restarts_total", "0");
    world.daemon_process().signal(Signal::KILL);
    metric("bursar_daemon_restarts_total", "1");
    wait_for(PATIENCE, "it is back", || (phase(&world) == Some(Phase::Ready)).then_some(()));
    assert_eq!(service.metric("bursar_daemon_given_up"), "0");

    let file = bursar::keeper::wallet_dir(world.coin()).join("wallet.dat");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, [7; 40_000]).unwrap();
    world.daemon_process().signal(Signal::KILL);
    metric("bursar_daemon_given_up", "1");
    let status = world.done(&["daemon", "status"]);
    assert_eq!(status["keeper"]["phase"], "gave_up", "{status}");
    assert!(status["keeper"]["text"].as_str().unwrap().starts_with("given up: "), "{status}");
    let human = String::from_utf8(world.bursar(&["daemon", "status"]).stdout).unwrap();
    assert!(human.contains("keeper          gave_up: given up: "), "{human}");
    // One that ended over it has written it down.
    keep.kill();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(service.metric("bursar_daemon_given_up"), "1");

    fs::write(&file, whole).unwrap();
    let _keep = Keep::start(&world);
    metric("bursar_daemon_given_up", "0");
    // A new keeper counts anew, as a counter may.
    metric("bursar_daemon_restarts_total", "0");
    assert!(service.stop().success());
}

/// Passes on what is said on the keeper's socket, with the version of an older program. STAND-IN: there is no older release yet.
fn grow_old(world: &World) {
    let socket = world.coin().keeper_socket();
    let real = socket.with_extension("real");
    fs::rename(&socket, &real).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    let ours = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut keeper) = (client.unwrap(), UnixStream::connect(&real).unwrap());
            let mut call = String::new();
            BufReader::new(client.try_clone().unwrap()).read_line(&mut call).unwrap();
            // Whoever only looks whether somebody listens says nothing, and is gone.
            if call.is_empty() {
                continue;
            }
            keeper.write_all(call.as_bytes()).unwrap();
            let mut answer = String::new();
            keeper.read_to_string(&mut answer).unwrap();
            let _ = client.write_all(answer.replace(&ours, "\"version\":\"0.0.9\"").as_bytes());
        }
    });
}

#[test]
fn a_keeper_that_an_upgrade_left_as_it_was_is_told() {
    let world = separate(Generation::Litecoin021);
    let _keep = Keep::start(&world);
    let keeper = |verb: &str| {
        let human = String::from_utf8(world.bursar(&[verb]).stdout).unwrap();
        human.lines().any(|line| line.contains("restart the keeper when its daemon may stop"))
    };
    assert!(!keeper("status") && !keeper("check"));
    grow_old(&world);
    assert!(keeper("status") && keeper("check"));
    let status = world.done(&["daemon", "status"]);
    assert_eq!((&status["keeper"]["phase"], &status["keeper"]["version"]), (&"ready".into(), &"0.0.9".into()), "{status}");
    let (report, _) = world.order(&["check"]);
    let checks = report["checks"].as_array().unwrap();
    let checked = checks.iter().find(|checked| checked["name"] == "keeper").unwrap();
    assert_eq!(checked["level"], "warning", "{checked}");
}
