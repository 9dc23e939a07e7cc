//! Durable submissions per second: 64 clients of the HTTP API of `bursar run`, each on a connection of its own, one payout a request, on a real daemon that
//! is asked about each address; against SQLite's own rate of synced commits with the same rows, one payout a commit, on the same disk, in the same run.
//!
//! Both in turns, each of ours between two of SQLite's, and the median of their ratios: how long a disk takes to sync changes from one second to the next
//! with what else is written. The ratio is the disk's as much as ours. What a request costs beside the sync stays the same, so where a sync takes a
//! fifth of a millisecond, there is little for a group to share.

#![allow(clippy::print_stdout, reason = "figures go to stdout")]
#![allow(clippy::float_arithmetic, reason = "ratios for people")]
#![allow(clippy::expect_used, reason = "a bench stops at what it did not expect")]
#![allow(clippy::panic, reason = "a bench stops at what it did not expect")]

#[path = "../tests/api/client.rs"]
mod client;
#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bursar::store::Store;
use rusqlite::{Connection, TransactionBehavior, params};
use serde_json::json;

use self::client::{Client, api_world, payee, token};
use self::support::{Generation, Service};

/// Clients at once.
const CLIENTS: u8 = 64;
/// Turns of ours.
const TURNS: usize = 7;
/// How long each side is measured in each turn.
const MEASURED: Duration = Duration::from_secs(2);
/// The clients' first requests are not measured: connections, and the daemon met for the first time.
const WARM_UP: Duration = Duration::from_millis(500);
/// What group commit is to gain.
const GOAL: f64 = 20.0;

fn main() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "bench", "submit");
    let service = Service::start(&world);
    let (mut alone, mut submitted, mut ratios) = (vec![single_commits(&world.dir().join("alone"))], vec![], vec![]);
    for turn in 1..=TURNS {
        let ours = through_the_api(&world, &token, turn);
        let (before, after) = (alone[turn - 1], single_commits(&world.dir().join(format!("alone-{turn}"))));
        ratios.push(ours * 2.0 / (before + after));
        submitted.push(ours);
        alone.push(after);
    }
    assert!(service.stop().success(), "the service ends in order");
    let (alone, submitted) = (median(alone), median(submitted));
    let against = format!("SQLite, one payout's rows in each synced commit of {:.1} ms", 1000.0 / alone);
    figure("single_commits_per_second", alone, "commits/s", &against, None);
    figure("submissions_per_second_at_64_clients", submitted, "payouts/s", "one payout a request over HTTP", None);
    figure("group_commit_ratio", median(ratios), "ratio", &against, Some(GOAL));
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Commits of one payout each, by SQLite alone: no checks, no HTTP.
fn single_commits(dir: &Path) -> f64 {
    drop(Store::open(dir).expect("a store"));
    let mut connection = Connection::open(dir.join("bursar.db")).expect("its database");
    connection.pragma_update(None, "synchronous", "FULL").expect("synced commits");
    let mut commits = 0_u32;
    let began = Instant::now();
    while began.elapsed() < MEASURED {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("a transaction");
        let payout = "INSERT INTO payouts (id, address, amount, state, submitted_s, priority) VALUES (?1, ?2, 1000, 'queued', 1800000000, 1)";
        let id = format!("client {} #{commits}", commits % u32::from(CLIENTS));
        tx.prepare_cached(payout).expect("SQL").execute(params![id, payee(1)]).expect("a payout");
        let history = "INSERT INTO payout_history (payout, at_s, to_state) VALUES (?1, 1800000000, 'queued')";
        tx.prepare_cached(history).expect("SQL").execute([tx.last_insert_rowid()]).expect("its history");
        tx.commit().expect("a commit");
        commits += 1;
    }
    f64::from(commits) / began.elapsed().as_secs_f64()
}

/// Acknowledged payouts per second.
fn through_the_api(world: &support::World, token: &str, turn: usize) -> f64 {
    let (acknowledged, over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for client in 1..=CLIENTS {
            let (acknowledged, over) = (&acknowledged, &over);
            scope.spawn(move || {
                let (mut api, address) = (Client::new(world, token), payee(client));
                for number in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let body =
                        json!({"id": format!("client {client} #{turn}.{number}"), "address": address, "amount": "0.00001"});
                    let reply = api.call("POST", "/v1/payouts", &body.to_string()).expect("an answer");
                    assert_eq!(reply.status(), 201, "{}", String::from_utf8_lossy(&reply.body));
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(WARM_UP);
        let (began, first) = (Instant::now(), acknowledged.load(Ordering::Relaxed));
        thread::sleep(MEASURED);
        let count = acknowledged.load(Ordering::Relaxed) - first;
        let rate = count as f64 / began.elapsed().as_secs_f64();
        over.store(true, Ordering::Relaxed);
        rate
    })
}

/// One figure a line, for machines.
fn figure(name: &str, value: f64, unit: &str, against: &str, goal: Option<f64>) {
    let met = goal.map(|goal| value >= goal);
    let value = (value * 10.0).round() / 10.0;
    println!("{}", json!({"name": name, "value": value, "unit": unit, "against": against, "goal": goal, "met": met}));
}
