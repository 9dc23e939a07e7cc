//! Every bad input of a table gets its own clear error and leaves no trace: by `bursar pay submit`, in a CSV file, in a file of JSON lines, by the HTTP API.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod arguments;
#[path = "../api/client.rs"]
mod client;
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use bursar::coin::Profile;
use bursar::service::{self, Order};
use client::{Client, api_world, token};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use support::{BURN_ADDRESS, Generation, Service, World};
use table::{FILES, OF_SIX_DECIMALS, PRIVATE_KEY, Row};

/// Everything that a payout leaves in the store.
fn trace(world: &World) -> Vec<i64> {
    let file = world.coin().service_dir().join("bursar.db");
    let store = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let number = |sql: &str| store.query_row(sql, [], |row| row.get(0)).unwrap();
    [
        "SELECT count(*) FROM payouts",
        "SELECT coalesce(max(seq), 0) FROM payouts",
        "SELECT count(*) FROM payout_history",
        "SELECT coalesce(max(n), 0) FROM payout_history",
        "SELECT count(*) FROM batches",
        "SELECT coalesce(sum(count), 0) FROM payout_totals",
    ]
    .map(number)
    .to_vec()
}

/// Places an order that has to be refused with this code and these words (or those behind a bar), and to leave nothing; what it said.
#[track_caller]
fn refused(world: &World, args: &[&str], what: &str, code: &str, says: &str) -> String {
    let before = trace(world);
    let (answer, exit) = world.order(args);
    let error = &answer["error"];
    let message = error["message"].as_str().unwrap_or_default().to_owned();
    assert!(exit != 0 && error["code"] == code, "{what}: {answer}");
    assert!(says.split('|').any(|says| message.contains(says)), "{what}: '{says}' is not in: {message}");
    assert!(!message.contains(PRIVATE_KEY), "{what}: a secret is repeated");
    let lines = message.replace('\n', "");
    assert!(!lines.contains(|c: char| c.is_control()), "{what}: control characters are passed on: {message:?}");
    assert_eq!(trace(world), before, "{what}: it left a trace");
    message
}

fn write(world: &World, name: &str, bytes: &[u8]) -> PathBuf {
    let file = world.dir().join(name);
    fs::write(&file, bytes).unwrap();
    file
}

/// A column as CSV has it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn by_submission(world: &World, row: &Row) -> Option<String> {
    let Row { what, id, address, amount, priority, code, says } = row;
    // No argument can have a NUL.
    if [id, address, amount].iter().any(|text| text.contains('\0')) {
        return None;
    }
    let says = if *code == "usage" { "is not a priority" } else { says };
    let options =
        [format!("--id={id}"), format!("--address={address}"), format!("--amount={amount}"), format!("--priority={priority}")];
    let args: Vec<&str> = ["pay", "submit"].into_iter().chain(options.iter().map(String::as_str)).collect();
    Some(refused(world, &args, what, code, says))
}

/// In a file, between rows that are fine: the whole file is refused, and names the line.
fn by_csv(world: &World, row: &Row) -> Option<String> {
    if [&row.id, &row.address, &row.amount].iter().any(|text| text.contains(['\n', '\r'])) {
        return None;
    }
    let [id, address, amount] = [&row.id, &row.address, &row.amount].map(|text| quoted(text));
    let good = |id: &str| format!("{id},{BURN_ADDRESS},1,\n");
    let text = format!("id,address,amount,priority\n{}{id},{address},{amount},{}\n{}", good("first"), row.priority, good("last"));
    let file = write(world, "bad.csv", text.as_bytes());
    let message = refused(world, &["pay", "import", file.to_str().unwrap()], row.what, "bad_file", row.says);
    assert!(message.contains("line 3: "), "{}: {message}", row.what);
    Some(message)
}

fn by_json(world: &World, row: &Row) -> String {
    let Row { id, address, amount, priority, .. } = row;
    let bad = json!({"id": id, "address": address, "amount": amount, "priority": priority});
    let good = json!({"id": "first", "address": BURN_ADDRESS, "amount": 1});
    let file = write(world, "bad.jsonl", format!("{good}\n{bad}\n").as_bytes());
    let message = refused(world, &["pay", "import", file.to_str().unwrap()], row.what, "bad_file", row.says);
    assert!(message.contains("line 2: "), "{}: {message}", row.what);
    message
}

fn taken(world: &World) {
    world.done(&["pay", "submit", "--id", "taken", "--address", BURN_ADDRESS, "--amount", "1"]);
}

#[test]
fn bad_payouts_are_refused_with_their_own_words_and_leave_no_trace() {
    let rows = table::rows();
    assert!(rows.len() >= 60, "{} rows", rows.len());
    let world = World::with(Generation::Litecoin021, &[("payouts.max_amount", "\"250\"")]);
    let _service = Service::start(&world);
    taken(&world);
    let mut said = BTreeSet::new();
    for row in &rows {
        let submitted = by_submission(&world, row);
        by_csv(&world, row);
        let in_json = by_json(&world, row);
        said.insert(submitted.unwrap_or(in_json));
    }
    assert!(
        said.len() + 3 >= rows.len(),
        "{} errors for {} rows: the spellings that cannot be shown alone may share theirs",
        said.len(),
        rows.len()
    );
    assert_eq!(world.done(&["pay", "list"])["payouts"].as_array().unwrap().len(), 1);
}

#[test]
fn a_reason_that_could_pass_for_further_lines_of_a_report_is_refused() {
    let world = World::new(Generation::Litecoin021);
    taken(&world);
    for reason in ["so\nTIME  final", "so\u{1b}[2K", "so\u{85}", "so \u{202e}lanif", "so\u{2028}final"] {
        refused_as_reason(&world, reason, "control characters");
    }
}

#[test]
fn a_reason_that_says_nothing_or_has_no_end_is_refused() {
    let world = World::new(Generation::Litecoin021);
    taken(&world);
    let long = "so ".repeat(200) + "on";
    for (reason, says) in [("", "is blank"), (" \u{a0}", "is blank"), ("so ", "ends with white space"), (&long, "602 characters")]
    {
        refused_as_reason(&world, reason, says);
    }
}

/// Whoever takes a reason refuses this one, before a person is asked for a yes.
#[track_caller]
fn refused_as_reason(world: &World, reason: &str, says: &str) {
    let (batch, txid, option) = ("0".repeat(32), "0".repeat(64), format!("--reason={reason}"));
    let orders: [&[&str]; 7] = [
        &["pay", "hold", "taken"],
        &["pay", "release", "taken"],
        &["pay", "cancel", "taken"],
        &["pay", "resolve", "--batch", &batch, "--unpaid"],
        &["ledger", "explain", &txid, "--as", "internal"],
        &["ledger", "rekeyed"],
        &["audit", "thaw", "1"],
    ];
    for order in orders {
        refused(world, &[order, &[&option]].concat(), reason, "bad_words", says);
    }
}

#[test]
fn the_control_socket_and_the_api_take_no_worse_words_than_the_command_line() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "shop", "operate");
    taken(&world);
    let long = "x".repeat(501);
    let mut store = service::World::open(&world.settings, world.coin(), service::WithoutStore::Begin).unwrap();
    for bad in ["", " ", " so", "so\nso", &long] {
        let thaw = |reason: &str, who: &str| Order::AuditThaw { id: 1, reason: reason.to_owned(), who: who.to_owned() };
        for order in [thaw(bad, "ada"), thaw("so", bad)] {
            assert_eq!(store.execute(&order).unwrap_err().code, "bad_words", "{order:?}");
        }
    }
    drop(store);
    let _service = Service::start(&world);
    let mut api = Client::new(&world, &token);
    for (bad, says) in
        [("", "is blank"), (" ", "is blank"), (" so", "begins"), ("so\nso", "line breaks"), (&long, "501 characters")]
    {
        let (status, answer) = api.post("/v1/payouts/taken/hold", &json!({"reason": bad}));
        told(bad, status.into(), &answer["error"], (422, "bad_request", says));
    }
}

/// The status that a row's refusal has in the API, its code there, and its words.
fn in_the_api(row: &Row) -> (u16, &str, &str) {
    match row.code {
        "id_taken" => (409, row.code, row.says),
        "usage" => (422, "bad_request", "expected one of `high`, `normal`, `low`"),
        _ => (422, row.code, row.says),
    }
}

fn body(row: &Row) -> Value {
    json!({"id": row.id, "address": row.address, "amount": row.amount, "priority": row.priority})
}

/// Holds an error of the API against what it should be; its words.
#[track_caller]
fn told(what: &str, status: u64, error: &Value, wanted: (u16, &str, &str)) -> String {
    let message = error["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!((status, &error["code"]), (u64::from(wanted.0), &json!(wanted.1)), "{what}: {error}");
    assert!(wanted.2.split('|').any(|says| message.contains(says)), "{what}: '{}' is not in: {message}", wanted.2);
    assert!(!message.contains(PRIVATE_KEY), "{what}: a secret is repeated");
    assert!(!message.contains(|c: char| c.is_control()), "{what}: control characters are passed on: {message:?}");
    message
}

#[test]
fn the_api_refuses_each_of_them_alone_with_its_own_words_and_nothing_is_left() {
    let rows = table::rows();
    let world = api_world(Generation::Litecoin021, &[("payouts.max_amount", "\"250\"")]);
    let token = token(&world, "shop", "submit");
    let _service = Service::start(&world);
    taken(&world);
    let before = trace(&world);
    let (mut api, mut said) = (Client::new(&world, &token), BTreeSet::new());
    for row in &rows {
        let (status, answer) = api.post("/v1/payouts", &body(row));
        said.insert(told(row.what, status.into(), &answer["error"], in_the_api(row)));
        assert_eq!(trace(&world), before, "{}: it left a trace", row.what);
    }
    assert!(said.len() + 3 >= rows.len(), "{} errors for {} rows", said.len(), rows.len());
    let good = |id: &str| json!({"id": id, "address": BURN_ADDRESS, "amount": "1"});
    let all: Vec<Value> = [good("first")].into_iter().chain(rows.iter().map(body)).chain([good("last")]).collect();
    let (status, answer) = api.post("/v1/payouts/batch", &json!(all));
    let results = answer["results"].as_array().unwrap();
    assert_eq!((status, results.len(), &results[0]["status"]), (200, all.len(), &json!(201)), "{answer}");
    assert_eq!(results[all.len() - 1]["status"], 201);
    for (row, result) in rows.iter().zip(&results[1..]) {
        told(row.what, result["status"].as_u64().unwrap(), &result["error"], in_the_api(row));
    }
    assert_eq!(trace(&world)[0], before[0] + 2, "those beside them were taken, and nothing else");
}

#[test]
fn the_api_refuses_bodies_that_are_not_written_as_they_should_be() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "shop", "submit");
    let _service = Service::start(&world);
    taken(&world);
    let (before, mut api) = (trace(&world), Client::new(&world, &token));
    // Line ends mean nothing there, and only text keeps an amount as it was written.
    for (what, _, bytes, says) in FILES.iter().filter(|(what, is_json, ..)| *is_json && !what.contains("next line")) {
        let text = std::str::from_utf8(bytes).unwrap().replace("GOOD", BURN_ADDRESS);
        let reply = api.call("POST", "/v1/payouts", &text).unwrap();
        let answer: Value = serde_json::from_slice(&reply.body).unwrap();
        let syntax = ["expected value", "invalid number", "trailing", "hex escape"].iter().any(|it| says.contains(it));
        let wanted = match (*what, syntax) {
            ("CSV that is named JSON", _) => (400, "bad_json", "expected value"),
            ("an array", _) => (422, "bad_request", "expected an object"),
            // What is not text ends the reading of a word.
            ("a priority that is a number", _) => (400, "bad_json", "expected value"),
            (_, true) => (400, "bad_json", *says),
            (_, false) if says.contains("field") => (422, "bad_request", *says),
            _ => (422, "bad_request", "expected a string|invalid type|unknown variant"),
        };
        told(what, reply.status().into(), &answer["error"], wanted);
        assert_eq!(trace(&world), before, "{what}: it left a trace");
    }
}

#[test]
fn files_that_are_not_written_as_they_should_be_are_refused_as_a_whole() {
    let world = World::with(Generation::Litecoin021, &[("payouts.max_amount", "\"250\"")]);
    let _service = Service::start(&world);
    taken(&world);
    for (what, is_json, bytes, says) in FILES {
        let name = if *is_json { "bad.jsonl" } else { "bad.csv" };
        let mut whole = if *is_json {
            format!("{}\n", json!({"id": "first", "address": BURN_ADDRESS, "amount": "1"}))
        } else {
            String::new()
        }
        .into_bytes();
        let mut rest = *bytes;
        while let Some(at) = rest.windows(4).position(|window| window == b"GOOD") {
            whole.extend_from_slice(&rest[..at]);
            whole.extend_from_slice(BURN_ADDRESS.as_bytes());
            rest = &rest[at + 4..];
        }
        whole.extend_from_slice(rest);
        let file = write(&world, name, &whole);
        refused(&world, &["pay", "import", file.to_str().unwrap()], what, "bad_file", says);
    }
    let long = write(&world, "bad.csv", format!("id,address,amount\n{},{BURN_ADDRESS},1\n", "x".repeat(5000)).as_bytes());
    refused(&world, &["pay", "import", long.to_str().unwrap()], "a line without end", "bad_file", "longer than 4096 bytes");
    for (what, file) in [("no file", "absent.csv"), ("a folder", ".")] {
        refused(&world, &["pay", "import", world.dir().join(file).to_str().unwrap()], what, "import_file", "nothing was queued");
    }
}

#[test]
fn more_decimals_than_a_coin_has_are_refused_for_a_coin_of_six() {
    let world = World::with(Generation::Litecoin021, &[("profile", "\"peercoin\"")]);
    let profile: Profile = Profile::built_in("peercoin").unwrap().unwrap();
    let version = profile.chains[&bursar::coin::Chain::Regtest].p2pkh[0];
    let address = bs58::encode([&[version][..], &[7; 20]].concat()).with_check().into_string();
    let good: Value = world.done(&["pay", "submit", "--id", "taken", "--address", &address, "--amount", "0.000001"]);
    assert_eq!(good["payout"]["amount"], 1);
    for (what, amount, says) in OF_SIX_DECIMALS {
        let args = ["pay", "submit", "--id", "new", "--address", &address, "--amount", amount];
        refused(&world, &args, what, "bad_amount", says);
        let file = write(&world, "bad.csv", format!("id,address,amount\nnew,{address},{amount}\n").as_bytes());
        refused(&world, &["pay", "import", file.to_str().unwrap()], what, "bad_file", says);
        let file =
            write(&world, "bad.jsonl", format!("{{\"id\":\"new\",\"address\":\"{address}\",\"amount\":{amount}}}\n").as_bytes());
        refused(&world, &["pay", "import", file.to_str().unwrap()], what, "bad_file", says);
    }
}
