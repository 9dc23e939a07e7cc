//! Every bad input of a table gets its own clear error and leaves no trace: by `bursar pay submit`, in a CSV file, in a file of JSON lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use bursar::coin::Profile;
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
