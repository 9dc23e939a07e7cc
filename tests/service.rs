//! `bursar run`: what it serves, what it takes orders from, what it does by itself, and how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bursar::store::{Store, StoreError};
use rustix::process::Signal;
use serde_json::{Value, json};
use support::{Fault, Generation, PATIENCE, Service, World, free_port, wait_for};

/// Every metric that is promised, without the labels.
const METRICS: &[&str] = &[
    "bursar_audit_discrepancy_base_units",
    "bursar_audit_last_agreed_timestamp_seconds",
    "bursar_audit_last_run_timestamp_seconds",
    "bursar_audit_suspect_transactions",
    "bursar_batch_fee_rate_per_vb",
    "bursar_batch_saving_ratio",
    "bursar_build_info",
    "bursar_check_last_run_timestamp_seconds",
    "bursar_check_level",
    "bursar_credit_reversals_outstanding",
    "bursar_credit_reversals_total",
    "bursar_credits_total",
    "bursar_daemon_condition",
    "bursar_daemon_given_up",
    "bursar_daemon_restarts_total",
    "bursar_daemon_up",
    "bursar_deposits_waiting",
    "bursar_disk_free_bytes",
    "bursar_ledger_fees_coins",
    "bursar_ledger_height",
    "bursar_ledger_last_sync_timestamp_seconds",
    "bursar_orders_failed_total",
    "bursar_payouts",
    "bursar_payouts_frozen",
    "bursar_queue_depth",
    "bursar_queue_oldest_timestamp_seconds",
    "bursar_queue_patient",
    "bursar_queue_waits_for",
    "bursar_tip_height",
    "bursar_wallet_balance_coins",
];

fn world_with_http(generation: Generation, changes: &[(&str, &str)]) -> World {
    let listen = format!("\"127.0.0.1:{}\"", free_port());
    World::with(generation, &[&[("http.listen", listen.as_str())], changes].concat())
}

fn healthz(service: &Service<'_>, expected: u16) {
    wait_for(PATIENCE, &format!("/healthz answers {expected}"), || (service.get("/healthz").0 == expected).then_some(()));
}

fn fund(world: &World) {
    world.fund(&["2", "3.5"]);
    world.done(&["ledger", "sync"]);
}

fn submit(world: &World, id: &str) {
    world.done(&["pay", "submit", "--id", id, "--address", &world.outside_address(), "--amount", "0.25"]);
}

fn state_of(world: &World, id: &str) -> Value {
    world.done(&["pay", "show", id])["payout"]["state"].clone()
}

#[test]
fn metrics_are_what_prometheus_wants_and_what_we_promise() {
    let world = world_with_http(Generation::Litecoin021, &[]);
    let service = Service::start(&world);
    fund(&world);
    submit(&world, "one");
    world.done(&["pay", "flush"]);
    submit(&world, "two");
    world.done(&["pay", "hold", "two"]);
    world.done(&["pay", "release", "two"]);
    world.order(&["ledger", "explain", &"0".repeat(64), "--as", "fee", "--reason", "an order that fails"]);
    world.done(&["audit", "run"]);
    world.order(&["check"]);
    healthz(&service, 200);
    let (_, page) = service.get("/metrics");
    check_by_promtool(&page);

    let series = || page.lines().filter(|line| !line.starts_with('#'));
    let names: BTreeSet<&str> = series().map(|line| line.split('{').next().unwrap()).collect();
    assert_eq!(names, METRICS.iter().copied().collect());
    for line in series() {
        assert!(line.contains("coin=\"coin\"") && line.contains("network=\"regtest\""), "{line}");
        let longest = line.split(|c: char| !c.is_ascii_alphanumeric()).map(str::len).max();
        assert!(longest < Some(26), "an address or a txid is no label: {line}");
    }
    let balance = world.rpc("getbalance", json!([])).to_string();
    let trusted = series().find(|line| line.contains("bucket=\"trusted\"")).unwrap().rsplit_once(' ').unwrap().1;
    assert_eq!(trusted.parse::<f64>().unwrap(), balance.parse::<f64>().unwrap());
    let in_state =
        |state: &str| series().find(|line| line.contains(&format!("state=\"{state}\""))).unwrap().rsplit_once(' ').unwrap().1;
    assert_eq!([in_state("queued"), in_state("held"), in_state("disputed")], ["1", "0", "0"], "an alert on a state ends with it");
    assert_eq!(service.metric("bursar_audit_discrepancy_base_units"), "0");
    assert_eq!(service.metric("bursar_orders_failed_total"), "1");
    assert_eq!(service.metric("bursar_tip_height"), world.node_rpc("getblockcount", json!([])).to_string());
}

fn check_by_promtool(page: &str) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = promtool.expect("promtool is missing from PATH: scripts/test brings it");
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words);
    assert!(output.status.success() && words.is_empty(), "promtool says: {words}\n{page}");
}

#[test]
fn alert_rules_are_what_prometheus_wants_and_alarm_when_they_should() {
    for order in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let mut promtool = Command::new("promtool");
        let output = promtool.args(order).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")).output();
        let output = output.expect("promtool is missing from PATH: scripts/test brings it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    }
}

#[test]
fn health_follows_the_daemon() {
    let world = world_with_http(Generation::Litecoin021, &[]);
    let service = Service::start(&world);
    healthz(&service, 200);
    assert_eq!(service.metric("bursar_daemon_up"), "1");

    let daemon = world.daemon_process();
    daemon.signal(Signal::STOP);
    healthz(&service, 503);
    assert_eq!(service.metric("bursar_daemon_up"), "0");
    daemon.signal(Signal::CONT);
    healthz(&service, 200);

    world.done(&["daemon", "stop"]);
    assert!(daemon.has_ended());
    healthz(&service, 503);
    let (refusal, code) = world.order(&["pay", "flush"]);
    assert_eq!((code, &refusal["error"]["code"]), (75, &json!("daemon_unreachable")), "{refusal}");
    world.done(&["daemon", "start"]);
    healthz(&service, 200);
    assert_eq!(service.metric("bursar_daemon_restarts_total"), "0", "what is ordered is no restart");
}

#[test]
fn a_daemon_that_was_killed_is_started_again() {
    for generation in Generation::ALL {
        let world = world_with_http(generation, &[]);
        let service = Service::start(&world);
        fund(&world);
        // A daemon that is killed forgets the blocks that it had only in memory; here, nobody would bring them back.
        world.done(&["daemon", "restart"]);
        let first = world.daemon_pid();
        world.kill_daemon();
        wait_for(PATIENCE, "another daemon runs", || world.daemon_pid().filter(|pid| Some(*pid) != first));
        // The page tells what the last pulse found, which may be older than the crash.
        wait_for(PATIENCE, "it answers", || world.try_rpc("/", "getblockcount", json!([])).ok());
        healthz(&service, 200);
        assert_eq!(service.metric("bursar_daemon_restarts_total"), "1", "{generation:?}");
        submit(&world, "one");
        let report = world.done(&["pay", "flush"]);
        assert_eq!(report["batches"][0]["state"], "sent", "{generation:?}: {report}");
        assert_eq!(service.stop().code(), Some(0));
    }
}

#[test]
fn orders_go_through_the_service_while_it_runs() {
    let world = World::new(Generation::Litecoin021);
    let service = Service::start(&world);
    let socket = world.coin().control_socket();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(Store::open(&world.coin().service_dir()), Err(StoreError::Held(_))));
    submit(&world, "through the socket");
    assert_eq!(state_of(&world, "through the socket"), "queued");

    let hidden = socket.with_extension("hidden");
    fs::rename(&socket, &hidden).unwrap();
    let (refusal, code) = world.order(&["pay", "hold", "through the socket"]);
    assert_eq!((code, &refusal["error"]["code"]), (11, &json!("store_held")), "{refusal}");
    fs::rename(&hidden, &socket).unwrap();
    assert_eq!(state_of(&world, "through the socket"), "queued");

    assert_eq!(service.stop().code(), Some(0));
    assert!(!socket.exists());
    assert_eq!(state_of(&world, "through the socket"), "queued", "without a service, the command opens the store itself");
}

#[test]
fn a_dry_run_says_what_a_flush_would_do() {
    let world = World::new(Generation::Litecoin021);
    let _service = Service::start(&world);
    let idle = world.done(&["pay", "flush", "--dry-run"]);
    assert_eq!((&idle["queued"], &idle["waiting"]), (&json!(0), &Value::Null), "{idle}");
    assert_eq!(world.done(&["pay", "flush"]), idle);
    submit(&world, "one");
    let (poor, code) = world.order(&["pay", "flush", "--dry-run"]);
    assert!(poor["waiting"].as_str().unwrap().contains("the wallet can spend 0.00000000"), "{poor}");
    assert_eq!(code, 3, "partly done: {poor}");
    assert_eq!(world.order(&["pay", "flush"]), (poor, code));
    fund(&world);
    let plan = world.done(&["pay", "flush", "--dry-run"]);
    assert_eq!(plan["outputs"][0]["payouts"], json!(["one"]), "{plan}");
    assert_eq!(state_of(&world, "one"), "queued", "nothing was sent");
}

#[test]
fn a_batch_in_doubt_refuses_the_next_and_a_sync_resolves_it() {
    let world = World::behind_proxy(Generation::Litecoin021);
    let _service = Service::start(&world);
    fund(&world);
    submit(&world, "one");
    let proxy = world.proxy.as_ref().unwrap();
    proxy.once("sendmany", Fault::DropReply);
    let (report, code) = world.order(&["pay", "flush"]);
    assert_eq!((code, &report["batches"][0]["state"]), (3, &json!("in_doubt")), "{report}");
    submit(&world, "two");
    let (refusal, code) = world.order(&["pay", "flush"]);
    assert_eq!((code, &refusal["error"]["code"]), (10, &json!("in_doubt")), "{refusal}");
    world.done(&["ledger", "sync"]);
    assert_eq!(state_of(&world, "one"), "sent");
    world.done(&["pay", "flush"]);
    assert_eq!((state_of(&world, "two"), proxy.forwarded("sendmany")), (json!("sent"), 2));
}

#[test]
fn a_second_service_of_one_coin_is_refused() {
    let world = World::new(Generation::Litecoin021);
    let service = Service::start(&world);
    let mut second = Service::spawn(&world);
    assert_eq!(second.ended().code(), Some(11), "{}", second.log());
    assert!(second.log().contains("another bursar process holds this store"), "{}", second.log());
    world.done(&["ledger", "sync"]);
    assert_eq!(service.stop().code(), Some(0));
}

#[test]
fn a_service_that_was_killed_leaves_nothing_that_hinders_the_next() {
    let world = World::new(Generation::Litecoin021);
    let mut killed = Service::start(&world);
    let daemon = world.daemon_process();
    submit(&world, "one");
    killed.signal(Signal::KILL);
    killed.ended();
    assert!(world.coin().control_socket().exists(), "what is left of it");
    assert_eq!(state_of(&world, "one"), "queued");
    let service = Service::start(&world);
    assert!(!daemon.has_ended(), "the next one takes over the daemon that runs");
    assert_eq!(state_of(&world, "one"), "queued");
    assert_eq!(service.stop().code(), Some(0));
    assert!(daemon.has_ended());
}

#[test]
fn sigterm_finishes_the_order_that_is_under_way() {
    let world = World::behind_proxy(Generation::Litecoin021);
    let mut service = Service::start(&world);
    fund(&world);
    submit(&world, "one");
    let daemon = world.daemon_process();
    let proxy = world.proxy.as_ref().unwrap();
    let answer = proxy.hold_answers("sendmany");
    let flush = placed(&world, &["pay", "flush"]);
    wait_for(PATIENCE, "the daemon is told to send", || (proxy.forwarded("sendmany") == 1).then_some(()));
    service.signal(Signal::TERM);
    wait_for(PATIENCE, "the service takes note", || service.log().contains("SIGTERM").then_some(()));
    let hold = placed(&world, &["pay", "hold", "one"]);
    wait_for(PATIENCE, "the next order is with the service", || has_socket(hold.id()).then_some(()));
    drop(answer);
    let held = hold.wait_with_output().unwrap();
    let refusal: Value = serde_json::from_slice(&held.stdout).unwrap();
    assert_eq!(
        (held.status.code(), &refusal["error"]["code"]),
        (Some(75), &json!("stopping")),
        "what comes later is refused: {refusal}"
    );
    assert_eq!(service.ended().code(), Some(0));
    assert!(daemon.has_ended());
    let flushed = flush.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&flushed.stdout).unwrap();
    assert_eq!((flushed.status.code(), &report["batches"][0]["state"]), (Some(0), &json!("sent")), "{report}");
    assert_eq!(state_of(&world, "one"), "sent");
}

/// Whether a process has a socket: a command has none but the one to the service.
fn has_socket(pid: u32) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|of| of.to_string_lossy().starts_with("socket:")))
}

fn placed(world: &World, args: &[&str]) -> Child {
    let mut command = world.bursar_command(&[&["--output", "json"], args].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn an_attached_daemon_is_served_but_never_started_nor_stopped() {
    let kept = World::new(Generation::Litecoin021);
    let mut keeper = kept.start_daemon();
    let daemon = kept.daemon_process();
    let world = world_with_http(
        Generation::Litecoin021,
        &[
            ("daemon.mode", "\"attach\""),
            ("daemon.rpc_connect", &format!("\"{}\"", kept.coin().daemon.rpc_connect)),
            (
                "daemon.rpc_credentials_file",
                &format!("\"{}\"", kept.coin().credentials_file(bursar::config::RpcRole::Admin).display()),
            ),
        ],
    );
    let service = Service::start(&world);
    kept.fund(&["2"]);
    world.done(&["pay", "submit", "--id", "one", "--address", &kept.outside_address(), "--amount", "0.25"]);
    assert_eq!(world.done(&["pay", "flush"])["batches"][0]["state"], "sent");
    world.done(&["audit", "run"]);
    healthz(&service, 200);
    for order in ["start", "stop", "restart"] {
        let (refusal, code) = world.order(&["daemon", order]);
        assert_eq!((code, &refusal["error"]["code"]), (1, &json!("attached")), "{refusal}");
    }
    assert!(!daemon.has_ended());

    keeper.stop().unwrap();
    healthz(&service, 503);
    keeper.start(&[]).unwrap();
    healthz(&service, 200);
    world.done(&["ledger", "sync"]);
    let restarted = kept.daemon_process();
    assert_eq!(service.stop().code(), Some(0));
    assert!(!restarted.has_ended());
}

#[test]
fn a_taken_http_port_is_told_before_a_daemon_is_started() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let world = World::with(Generation::Litecoin021, &[("http.listen", &format!("\"{address}\""))]);
    let (refusal, code) = world.order(&["run"]);
    assert_eq!((code, &refusal["error"]["code"]), (1, &json!("http_listen")), "{refusal}");
    let message = refusal["error"]["message"].as_str().unwrap();
    assert!(message.contains("http.listen") && message.contains(&address), "{message}");
    assert_eq!(world.daemon_pid(), None);
    assert!(!world.coin().chain_dir().exists(), "no daemon was ever started");
    assert!(!world.coin().control_socket().exists(), "no socket is left behind");
}

/// Any user of the host can connect to loopback, and payouts need file descriptors, too.
#[test]
fn strangers_on_the_http_port_take_no_more_than_their_share_of_descriptors() {
    let world = world_with_http(Generation::Litecoin021, &[]);
    let service = Service::start(&world);
    let address = world.coin().http_listen.unwrap();
    let held: Vec<TcpStream> = (0..300)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            // Those that have to make room for others break off.
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:");
            stream
        })
        .collect();
    healthz(&service, 200);
    let open = fs::read_dir(format!("/proc/{}/fd", service.pid())).unwrap().count();
    assert!(open < 150, "{open} descriptors are open");
    drop(held);
}

#[test]
fn a_file_without_an_end_leaves_the_disk_free_as_much_as_payouts_need() {
    let world = World::with(Generation::Litecoin021, &[("health.min_free_mib", "10000000")]);
    let _service = Service::start(&world);
    let (refusal, code) = world.order(&["pay", "import", "--format", "csv", "/dev/zero"]);
    let message = refusal["error"]["message"].as_str().unwrap();
    assert_eq!((code, &refusal["error"]["code"]), (1, &json!("import_file")), "{refusal}");
    assert!(message.contains("health.min_free_mib") && message.contains("nothing was queued"), "{message}");
}

#[test]
fn the_schedule_syncs_pays_audits_and_backs_up_by_itself() {
    let each_second = "\"* * * * * *\"";
    let jobs = ["schedule.sync", "schedule.flush", "schedule.audit", "schedule.backup", "schedule.drill"];
    let world = World::with(Generation::Litecoin021, &jobs.map(|job| (job, each_second)));
    world.make_backup_places();
    let service = Service::start(&world);
    world.fund(&["2", "3.5"]);
    submit(&world, "one");
    wait_for(PATIENCE, "the flush", || (state_of(&world, "one") == "sent").then_some(()));
    world.mine(world.coin().final_depth);
    wait_for(PATIENCE, "the sync", || (state_of(&world, "one") == "final").then_some(()));
    let height = world.node_rpc("getblockcount", json!([]));
    wait_for(PATIENCE, "an audit of the present", || {
        let audits = world.done(&["audit", "history"]);
        let newest = &audits["audits"][0];
        (newest["verdict"] == "agrees" && newest["tip"]["height"] == height).then_some(())
    });
    wait_for(PATIENCE, "backup and drill", || {
        let status = world.done(&["status"]);
        (!status["last_backup"].is_null() && !status["last_drill_passed"].is_null()).then_some(())
    });
    assert_eq!(service.stop().code(), Some(0));
}
