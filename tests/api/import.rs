//! A large payout file on its way in: others are served meanwhile, and what breaks off leaves nothing.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Client, api_world, payee, token};
use crate::support::{Generation, PATIENCE, Service, World, wait_for};

/// Rows of the file: taking them over takes long enough for others to come in the midst of it.
const ROWS: usize = 100_000;
/// Clients at once.
const CLIENTS: usize = 8;

fn write_csv(world: &World) -> PathBuf {
    let payees: Vec<String> = (1..=250).map(payee).collect();
    let rows = payees.iter().cycle().take(ROWS).enumerate().map(|(number, payee)| format!("row-{number},{payee},0.0001\n"));
    let file = world.dir().join("large.csv");
    fs::write(&file, std::iter::once("id,address,amount\n".to_owned()).chain(rows).collect::<String>()).expect("the file");
    file
}

fn queued(world: &World, token: &str) -> usize {
    let queue = Client::new(world, token).get("/v1/queue").1;
    queue["totals"]["queued"]["count"].as_u64().unwrap_or_default().try_into().expect("a count")
}

/// Submits until it is over, each payout until it is acknowledged; how many were.
fn submit(world: &World, token: &str, client: usize, over: &AtomicBool) -> Vec<String> {
    let (mut api, mut acknowledged) = (Client::new(world, token), Vec::new());
    while !over.load(Ordering::Acquire) {
        let id = format!("client {client} #{}", acknowledged.len());
        let body = json!({"id": id, "address": payee(7), "amount": "1"}).to_string();
        let reply = api.call("POST", "/v1/payouts", &body).expect("an answer");
        if reply.status() == 503 {
            let answer: Value = serde_json::from_slice(&reply.body).expect("JSON");
            let code = answer["error"]["code"].as_str().expect("a code");
            assert!(["store_busy", "too_busy"].contains(&code) && reply.header("retry-after").is_some(), "{answer}");
        } else {
            assert_eq!(reply.status(), 201, "{}", String::from_utf8_lossy(&reply.body));
            acknowledged.push(id);
        }
    }
    acknowledged
}

#[test]
fn while_a_large_file_is_taken_over_every_submission_is_acknowledged_and_kept_or_told_to_come_again() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "shop", "submit");
    let _service = Service::start(&world);
    let file = write_csv(&world);
    let (over, acknowledged) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        let (world, token, over, acknowledged) = (&world, &token, &over, &acknowledged);
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let taken = submit(world, token, client, over);
                acknowledged.lock().expect("the list").extend(taken);
            });
        }
        scope.spawn(move || {
            while !over.load(Ordering::Acquire) {
                assert_eq!(world.order(&["status"]).1, 0, "whoever asks how things stand is answered");
                thread::sleep(Duration::from_millis(100));
            }
        });
        let report = world.done(&["pay", "import", file.to_str().expect("a path")]);
        over.store(true, Ordering::Release);
        assert_eq!(report["queued"], ROWS, "{report}");
    });
    let acknowledged = acknowledged.into_inner().expect("the list");
    assert_eq!(queued(&world, &token), ROWS + acknowledged.len());
    let mut api = Client::new(&world, &token);
    for id in &acknowledged {
        assert_eq!(api.get(&format!("/v1/payouts/{}", id.replace(' ', "%20").replace('#', "%23"))).0, 200, "{id}");
    }
}

/// Files of imports that are under way, or were left. The folder for them is made when the first one comes.
fn left(world: &World) -> Vec<PathBuf> {
    let of = |dir: &Path| match fs::read_dir(dir) {
        Ok(files) => files.map(|file| file.expect("a file").path()).collect::<Vec<_>>(),
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}", dir.display());
            vec![]
        }
    };
    let dir = world.coin().service_dir();
    let is_scratch = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("scratch-"));
    of(&dir.join("imports")).into_iter().chain(of(&dir).into_iter().filter(is_scratch)).collect()
}

/// Whether somebody holds the store's write lock.
fn is_written(world: &World) -> bool {
    let store = Connection::open(world.coin().service_dir().join("bursar.db")).expect("the store");
    store.busy_timeout(Duration::ZERO).expect("no patience");
    let begun = store.execute_batch("BEGIN IMMEDIATE; ROLLBACK");
    begun.is_err_and(|error| error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy))
}

#[test]
fn of_an_import_that_is_killed_nothing_remains_and_it_can_be_repeated() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "shop", "submit");
    let mut service = Service::start(&world);
    let file = write_csv(&world);
    let import = ["pay", "import", file.to_str().expect("a path")];
    for moment in ["while it is looked through", "while it is taken over"] {
        thread::scope(|scope| {
            let killed = scope.spawn(|| world.order(&import));
            wait_for(PATIENCE, moment, || {
                let is_looked_through = left(&world).len() == 2;
                let reached = is_looked_through && (moment == "while it is looked through" || is_written(&world));
                reached.then_some(())
            });
            service.signal(Signal::KILL);
            service.ended();
            assert_ne!(killed.join().expect("an answer").1, 0, "nobody says that it was done");
        });
        service = Service::start(&world);
        assert_eq!((queued(&world, &token), left(&world)), (0, vec![]), "killed {moment}");
    }
    let report = world.done(&import);
    assert_eq!((&report["queued"], &report["existing"]), (&json!(ROWS), &json!(0)), "{report}");
    assert_eq!(queued(&world, &token), ROWS);
    assert!(service.stop().success());
}

/// Begins to send a file, and goes no further than its first rows.
fn half_a_file(world: &World) -> UnixStream {
    let mut stream = UnixStream::connect(world.coin().control_socket()).expect("the service listens");
    let how = json!({"format": "csv", "reject_bad_payees": false, "dry_run": false});
    let head = format!("POST /v1/imports HTTP/1.1\r\nHost: x\r\nbursar-import: {how}\r\nContent-Length: 1000000\r\n\r\n");
    stream.write_all(format!("{head}id,address,amount\nrow-0,{},1\n", payee(1)).as_bytes()).expect("sent");
    wait_for(PATIENCE, "the file arrives", || (left(world).len() == 1).then_some(()));
    stream
}

#[test]
fn of_a_file_that_does_not_arrive_as_a_whole_nothing_remains() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "shop", "submit");
    let mut service = Service::start(&world);
    drop(half_a_file(&world));
    wait_for(PATIENCE, "what arrived is removed", || left(&world).is_empty().then_some(()));
    let sender = half_a_file(&world);
    service.signal(Signal::KILL);
    service.ended();
    drop(sender);
    let service = Service::start(&world);
    assert_eq!((queued(&world, &token), left(&world)), (0, vec![]));
    assert!(service.stop().success());
}
