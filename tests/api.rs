//! The HTTP API of the real service on a real daemon: what it answers, whom it lets in, that it is what its description says, and that no acknowledgement
//! is lost when the service is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "api/client.rs"]
mod client;
#[path = "api/crash.rs"]
mod crash;
#[path = "api/guard.rs"]
mod guard;
#[path = "api/import.rs"]
mod import;
mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bursar::coin::Timestamp;
use bursar::gate::{self, Cause, Freeze};
use bursar::store::Store;
use client::{Client, api_world, payee, token};
use serde_json::{Value, json};
use support::{Generation, Service, wait_for};

fn request(id: &str, amount: &str) -> Value {
    json!({"id": id, "address": payee(1), "amount": amount})
}

#[test]
fn a_payout_is_submitted_shown_listed_held_and_paid() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "desk", "operate");
    let _service = Service::start(&world);
    world.fund(&["5"]);
    world.done(&["ledger", "sync"]);
    let mut api = Client::new(&world, &token);

    let (status, taken) = api.post("/v1/payouts", &request("one", "1.25"));
    assert_eq!((status, &taken["new"], &taken["address_checked"]), (201, &json!(true), &json!(true)), "{taken}");
    assert_eq!((&taken["payout"]["amount"], &taken["payout"]["state"]), (&json!("1.25000000"), &json!("queued")));
    let (status, again) = api.post("/v1/payouts", &request("one", "1.250"));
    assert_eq!((status, &again["new"], &again["payout"]), (200, &json!(false), &taken["payout"]));
    assert_eq!(again["address_checked"], true, "the daemon was asked about it when it was new");
    let (status, other) = api.post("/v1/payouts", &request("one", "2"));
    assert_eq!((status, &other["error"]["code"]), (409, &json!("id_taken")), "{other}");

    let id = "a/b?c#d %41 ä..";
    let path = "/v1/payouts/a%2Fb%3Fc%23d%20%2541%20%C3%A4..";
    api.post("/v1/payouts", &request(id, "0.5"));
    assert_eq!(api.get(path).1["payout"]["id"], id);
    let (status, held) = api.post(&format!("{path}/hold"), &json!({"reason": "the customer asked"}));
    assert_eq!((status, &held["payout"]["state"]), (200, &json!("held")), "{held}");
    assert_eq!(held["payout"]["reason"], "the customer asked (by API token desk)");
    let (status, turned) = api.post(&format!("{path}/release"), &json!({"reason": "the customer \u{202e}deksa"}));
    assert_eq!((status, &turned["error"]["code"]), (422, &json!("bad_request")), "{turned}");

    assert_eq!(api.get("/v1/payouts/batch").1["error"]["code"], "unknown_payout");
    api.post("/v1/payouts", &request("batch", "0.25"));
    assert_eq!(api.get("/v1/payouts/batch").1["payout"]["id"], "batch", "its path is that of a call, too");
    assert_eq!(api.post("/v1/payouts/batch/cancel", &json!({"reason": "so"})).0, 200);

    let (status, queue) = api.get("/v1/queue");
    assert_eq!(status, 200);
    assert_eq!(queue["totals"]["queued"], json!({"count": 1, "amount": "1.25000000"}));
    assert_eq!((&queue["oldest_queued"]["id"], &queue["waits_for"]["code"]), (&json!("one"), &json!("flush")), "{queue}");

    let (status, flushed) = api.post("/v1/flush", &Value::Null);
    assert_eq!((status, &flushed["done"], &flushed["batches"][0]["payouts"]), (200, &json!(true), &json!(1)), "{flushed}");
    let batch = flushed["batches"][0]["id"].as_str().unwrap().to_owned();
    let (_, shown) = api.get("/v1/payouts/one");
    assert_eq!((&shown["payout"]["state"], &shown["payout"]["batch"]), (&json!("sent"), &json!(batch)), "{shown}");
    assert_eq!(shown["history"].as_array().unwrap().len(), 3, "{shown}");
    assert_eq!((&shown["confirmations"], &shown["waits_for"]), (&Value::Null, &json!("its first confirmation")), "{shown}");
    assert_eq!(shown["transactions"][0]["txid"], flushed["batches"][0]["txid"]);
    let (status, shown) = api.get(&format!("/v1/batches/{batch}"));
    assert_eq!((status, &shown["batch"]["total"]), (200, &json!("1.25000000")), "{shown}");
    assert_eq!(api.get(&format!("/v1/payouts?batch={batch}")).1["payouts"][0]["id"], "one");
    let (status, refused) = api.post("/v1/payouts/one/cancel", &json!({"reason": "too late"}));
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("not_now")), "{refused}");
    let queue = api.get("/v1/queue").1;
    assert_eq!((&queue["waits_for"], &queue["last_flush"]["waiting"]), (&Value::Null, &Value::Null), "{queue}");
    world.mine(1);
    world.done(&["ledger", "sync"]);
    assert_eq!(api.get("/v1/payouts/one").1["confirmations"], 1);
}

#[test]
fn the_queue_waits_for_a_freeze_as_long_as_there_is_one() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "desk", "operate");
    let freeze = Freeze { cause: Cause::DeepReorg, detail: "the chain".to_owned(), txids: vec![], amount: None, wallet: None };
    let mut store = Store::open(&world.coin().service_dir()).unwrap();
    store.write(|tx| gate::freeze(tx, &freeze, Timestamp::now())).unwrap();
    drop(store);
    let _service = Service::start(&world);
    let mut api = Client::new(&world, &token);
    api.post("/v1/payouts", &request("one", "1"));
    let frozen = "payouts are frozen: the chain";
    let (waits, shown) = ("waits: payouts are frozen", || String::from_utf8(world.bursar(&["status"]).stdout).unwrap());
    assert_eq!(api.get("/v1/queue").1["waits_for"]["message"], frozen, "before any flush");
    assert!(shown().contains(waits), "{}", shown());
    assert_eq!(api.post("/v1/flush", &Value::Null).0, 409);
    world.done(&["audit", "thaw", "1", "--reason", "it is the right chain", "--yes"]);
    let (queue, status) = (api.get("/v1/queue").1, world.done(&["status"]));
    assert_eq!((&queue["waits_for"]["code"], &queue["frozen"]), (&json!("flush"), &json!([])), "{queue}");
    assert_eq!((&queue["last_flush"]["waiting"], &status["queue"]["waiting"]), (&Value::Null, &Value::Null), "{status}");
    assert!(!shown().contains("waits:"), "{}", shown());
}

#[test]
fn the_queue_says_why_it_waits_and_a_payee_of_a_file_was_checked() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "desk", "operate");
    let _service = Service::start(&world);
    world.fund(&["5"]);
    world.done(&["ledger", "sync"]);
    let mut api = Client::new(&world, &token);
    api.post("/v1/payouts", &request("too large", "1000"));
    api.post("/v1/flush", &Value::Null);
    let queue = wait_for(Duration::from_secs(10), "the flush is told", || {
        let (_, queue) = api.get("/v1/queue");
        (queue["waits_for"]["code"] != "flush").then_some(queue)
    });
    assert_eq!(queue["waits_for"]["code"], "funds", "{queue}");
    assert!(queue["waits_for"]["message"].as_str().unwrap().contains("too large"), "{queue}");

    let file = world.dir().join("payouts.csv");
    fs::write(&file, format!("id,address,amount\nof a file,{},1\n", payee(1))).unwrap();
    world.done(&["pay", "import", file.to_str().unwrap()]);
    let (status, again) = api.post("/v1/payouts", &request("of a file", "1"));
    assert_eq!((status, &again["address_checked"]), (200, &json!(true)), "{again}");
}

#[test]
fn a_batch_is_answered_one_by_one_in_order_and_pages_follow_each_other() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "shop", "submit");
    let _service = Service::start(&world);
    let mut api = Client::new(&world, &token);
    let batch = json!([
        request("a", "1"),
        request("b", "0"),
        {"id": "c", "address": "nobody", "amount": "1"},
        {"id": "d", "address": payee(1), "amount": 1},
        ["e", payee(1), "1", "normal"],
        request("a", "1.0"),
        request("a", "2"),
        {"id": "f", "address": payee(2), "amount": "1", "priority": "high", "colour": "red"},
        {"id": "g", "address": payee(2), "amount": "1", "priority": "high"},
    ]);
    let (status, answer) = api.post("/v1/payouts/batch", &batch);
    assert_eq!(status, 200, "{answer}");
    let results = answer["results"].as_array().unwrap();
    let told: Vec<(u64, &str)> =
        results.iter().map(|it| (it["status"].as_u64().unwrap(), it["error"]["code"].as_str().unwrap_or("taken"))).collect();
    let wanted = [
        (201, "taken"),
        (422, "bad_amount"),
        (422, "bad_address"),
        (422, "bad_request"),
        (422, "bad_request"),
        (200, "taken"),
        (409, "id_taken"),
        (422, "bad_request"),
        (201, "taken"),
    ];
    assert_eq!(told, wanted, "{answer}");
    let many: Vec<Value> = (0..25).map(|number| request(&format!("page {number}"), "1")).collect();
    api.post("/v1/payouts/batch", &json!(many));
    let (mut pages, mut ids, mut after) = (0, Vec::new(), String::new());
    loop {
        let (status, page) = api.get(&format!("/v1/payouts?limit=10&state=queued{after}"));
        assert_eq!(status, 200, "{page}");
        ids.extend(page["payouts"].as_array().unwrap().iter().map(|payout| payout["id"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={}", next.replace(' ', "%20"));
    }
    assert_eq!((pages, ids.len(), ids[1].as_str(), ids[26].as_str()), (3, 27, "g", "page 24"));
    assert_eq!(api.get("/v1/payouts?priority=high").1["payouts"][0]["id"], "g");
    for (query, code) in [
        ("limit=0", 422),
        ("limit=1001", 422),
        ("state=lost", 422),
        ("colour=red", 422),
        ("limit=1&limit=2", 422),
        ("after=nobody", 404),
    ] {
        let (status, answer) = api.get(&format!("/v1/payouts?{query}"));
        assert_eq!(status, code, "{query}: {answer}");
    }
    let too_many = vec![request("a", "1"); 1001];
    assert_eq!(api.post("/v1/payouts/batch", &json!(too_many)).0, 422);
    assert_eq!(api.post("/v1/payouts/batch", &json!([])).0, 422);
}

/// A slip in a list's order would go unnoticed, and readers differ in which of two equal keys they take.
#[test]
fn a_payout_is_read_from_an_object_whose_keys_are_there_once_and_from_nothing_else() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "shop", "submit");
    let _service = Service::start(&world);
    let payee = payee(1);
    let list = format!(r#"["a","{payee}","1","normal"]"#);
    let twice = format!(r#"{{"id":"a","address":"{payee}","amount":"1","amount":"2"}}"#);
    let nested = format!(r#"[{{"id":"a","address":"{payee}","amount":"1","amount":"1"}},{list}]"#);
    let mut api = Client::new(&world, &token);
    for (path, body, says) in [
        ("/v1/payouts", &list, "expected an object"),
        ("/v1/payouts", &twice, "duplicate field `amount`"),
        ("/v1/payouts/batch", &nested, "duplicate field `amount`"),
        ("/v1/payouts/batch", &nested, "expected an object"),
    ] {
        let reply = api.call("POST", path, body).unwrap();
        let words = String::from_utf8_lossy(&reply.body);
        assert!(words.contains("bad_request") && words.contains(says), "{body}: {words}");
    }
    for order in [&list, &twice] {
        let order = format!(r#"{{"pay_submit":{order}}}"#);
        let mut stream = UnixStream::connect(world.coin().control_socket()).unwrap();
        let head = "POST /v1/orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n";
        write!(stream, "{head}Content-Length: {}\r\n\r\n{order}", order.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 422 "), "{order}: {answer}");
    }
    assert_eq!(api.get("/v1/queue").1["totals"], json!({}));
}

#[test]
fn submissions_and_lists_go_on_while_the_daemon_is_away() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "shop", "submit");
    let _service = Service::start(&world);
    let mut api = Client::new(&world, &token);
    world.done(&["daemon", "stop"]);
    let (status, taken) = api.post("/v1/payouts", &request("one", "1"));
    assert_eq!((status, &taken["address_checked"]), (201, &json!(false)), "{taken}");
    world.done(&["daemon", "start"]);
    let (status, again) = api.post("/v1/payouts", &request("one", "1"));
    assert_eq!((status, &again["address_checked"]), (200, &json!(false)), "{again}");
    assert_eq!(api.get("/v1/payouts/one").0, 200);
}

#[test]
fn the_description_is_the_one_in_the_tree_and_needs_no_token() {
    let world = api_world(Generation::Litecoin021, &[]);
    let _service = Service::start(&world);
    let (status, served) = Client::new(&world, "").get("/v1/openapi.json");
    let kept: Value = serde_json::from_str(bursar::service::API_DESCRIPTION).unwrap();
    assert_eq!((status, served), (200, kept));
}

/// All its checks, on answers of a service that really queues, holds, cancels and pays.
#[test]
fn schemathesis_finds_no_difference_between_the_api_and_its_description() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "schemathesis", "operate");
    let _service = Service::start(&world);
    world.fund(&["5", "5"]);
    world.done(&["ledger", "sync"]);
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api");
    let output = Command::new("schemathesis")
        .arg("--config-file")
        .arg(here.join("schemathesis.toml"))
        .args(["run", &format!("http://{}/v1/openapi.json", client::address(&world))])
        .args(["--max-examples", "40", "--generation-deterministic", "--no-color", "--workers", "2", "--continue-on-failure"])
        .args(["--request-timeout", "90", "--suppress-health-check", "all"])
        .env("BURSAR_TOKEN", &token)
        .env("BURSAR_PAYEE", payee(1))
        .env("PYTHONPATH", &here)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(world.dir())
        .output()
        .expect("schemathesis is missing from PATH: scripts/test brings it");
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{words}{}", String::from_utf8_lossy(&output.stderr));
    assert!(words.contains("Stateful"), "{words}");
}
