//! Programs that end at once, again and again, and programs that print rubbish. STAND-INS: no daemon does this on order.

use std::fs;

use serde_json::Value;

use crate::support::{Generation, Keep, ProgramSwitch, Service, World, wait_for};
use crate::{DEADLINE, refusal};

fn daemon_status(world: &World) -> Value {
    world.done(&["daemon", "status"])
}

#[test]
fn a_program_that_ends_at_once_again_and_again_is_given_up_and_started_by_order() {
    let generation = Generation::Litecoin021;
    let switch = ProgramSwitch::to(generation);
    let http = format!("'127.0.0.1:{}'", crate::support::free_port());
    let world = World::with(generation, &[("daemon.program", &switch.setting()), ("http.listen", &http)]);
    let service = Service::start(&world);
    switch.stand_in(generation, "echo \"no idea what to do, pid $$\" >&2; exit 3");
    world.kill_daemon();
    wait_for(DEADLINE * 2, "the end of all tries", || service.log().contains("given up").then_some(()));
    let log = service.log();
    assert!(log.contains("5 times in a row") && log.contains("no idea what to do"), "{log}");
    // The page is told a moment after the log.
    wait_for(DEADLINE, "the metric", || (service.metric("bursar_daemon_given_up") == "1").then_some(()));
    wait_for(DEADLINE, "the count", || (service.metric("bursar_daemon_restarts_total") == "5").then_some(()));
    let status = daemon_status(&world).to_string();
    assert!(status.contains("given up") && status.contains("not started again until ordered"), "{status}");

    // An order that fails changes nothing; one that succeeds ends it.
    let (_, code) = world.order(&["daemon", "start"]);
    assert_ne!(code, 0);
    assert!(daemon_status(&world).to_string().contains("given up"));
    switch.turn_to(generation);
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(world.daemon_pid(), None, "it is left to a person");
    world.done(&["daemon", "start"]);
    assert!(daemon_status(&world).to_string().contains("running"));
    wait_for(DEADLINE, "the metric", || (service.metric("bursar_daemon_given_up") == "0").then_some(()));
    // After that, a crash is a crash again.
    world.kill_daemon();
    wait_for(DEADLINE, "the daemon", || world.daemon_pid());
    assert!(service.stop().success());
}

#[test]
fn what_a_keeper_apart_gives_up_the_metrics_of_the_service_tell() {
    let generation = Generation::Litecoin021;
    let switch = ProgramSwitch::to(generation);
    let http = format!("'127.0.0.1:{}'", crate::support::free_port());
    let settings = [("daemon.program", switch.setting()), ("http.listen", http), ("daemon.separate_keeper", "true".to_owned())];
    let world = World::with(generation, &settings.each_ref().map(|(key, value)| (*key, value.as_str())));
    let keep = Keep::start(&world);
    let service = Service::start(&world);
    world.done(&["ledger", "sync"]);
    let metric = |name: &str, value: &str| wait_for(DEADLINE, name, || (service.metric(name) == value).then_some(()));
    metric("bursar_daemon_given_up", "0");
    switch.stand_in(generation, "echo \"no idea what to do, pid $$\" >&2; exit 3");
    world.kill_daemon();
    wait_for(DEADLINE * 2, "the end of all tries", || keep.log().contains("given up").then_some(()));
    metric("bursar_daemon_given_up", "1");
    // The crash, and five tries.
    metric("bursar_daemon_restarts_total", "6");
    let (report, _) = world.order(&["check"]);
    let keeper = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "keeper").unwrap();
    let words = keeper["message"].as_str().unwrap();
    assert_eq!((words.matches("given up").count(), words.matches("no idea").count()), (1, 1), "said once: {words}");
    switch.turn_to(generation);
    world.done(&["daemon", "start"]);
    metric("bursar_daemon_given_up", "0");
    assert!(service.stop().success());
    drop(keep);
}

#[test]
fn a_damaged_wallet_is_given_up_at_once() {
    let generation = Generation::Litecoin021;
    let world = World::new(generation);
    let service = Service::start(&world);
    let file = bursar::keeper::wallet_dir(world.coin()).join("wallet.dat");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, "junk".repeat(1000)).unwrap();
    world.kill_daemon();
    wait_for(DEADLINE, "the verdict", || service.log().contains("given up").then_some(()));
    let log = service.log();
    assert!(log.contains("starting it again cannot help") && log.contains("bursar repair plan"), "{log}");
    fs::write(&file, whole).unwrap();
    world.done(&["daemon", "start"]);
    assert!(service.stop().success());
}

#[test]
fn rubbish_and_floods_reach_nobody() {
    let generation = Generation::Litecoin021;
    let switch = ProgramSwitch::to(generation);
    let world = World::with(generation, &[("daemon.program", &switch.setting())]);
    let rubbish = "head -c 3000000 /dev/urandom; printf '\\033]0;owned\\007\\033[2J\\n'; yes flood | head -c 30000000; \
                   printf 'Error: \\377\\000 Disk space is too low! \\033[31m\\n' >&2; exit 1";
    switch.stand_in(generation, rubbish);
    let (code, said) = refusal(world.keeper().start(&[]));
    assert_eq!(code, "daemon_not_started");
    assert!(said.contains("the disk is full") && said.len() < 60_000, "{} characters", said.len());
    assert!(!said.chars().any(char::is_control), "{said:?}");
    let output = world.bursar(&["daemon", "start"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.chars().any(|char| char.is_control() && char != '\n'), "{stderr:?}");
    assert!(stderr.lines().count() < 2000, "{} lines", stderr.lines().count());
}

#[test]
fn a_flood_of_wrong_passwords_is_one_line_and_a_count() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let service = Service::start(&world);
        let address = world.coin().daemon.rpc_connect;
        for _ in 0..6 {
            let refused =
                crate::support::call(address, "stranger:guess", "/", "getblockcount", serde_json::json!([])).unwrap_err();
            assert_eq!(refused.code, 401);
        }
        let attempts = |log: &str| log.lines().filter(|line| line.contains("incorrect password attempt")).count();
        wait_for(DEADLINE, "the line", || (attempts(&service.log()) == 1).then_some(()));
        // A look later the rest has been counted, and is told when the daemon ends.
        world.done(&["daemon", "stop"]);
        let log = service.log();
        assert!(attempts(&log) <= 2 && log.contains("5 times more: the daemon logs:"), "{log}");
        assert!(service.stop().success());
    }
}
