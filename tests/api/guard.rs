//! Whom the API lets in: other users of the host can connect to loopback, and get nothing but 401.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::client::{Client, address, api_world, payee, token};
use crate::support::{CALL_TIMEOUT, Generation, PATIENCE, Service, World, exchange, wait_for};

/// What is answered to these bytes: the status; 0 when the connection is closed without an answer.
fn status_of(world: &World, bytes: &[u8]) -> u16 {
    exchange(address(world), bytes).map_or(0, |(status, _)| status)
}

#[test]
fn without_a_valid_token_there_is_nothing_but_401() {
    let world = api_world(Generation::Litecoin021, &[]);
    let good = token(&world, "shop", "operate");
    let service = Service::start(&world);
    let paths = ["/v1/payouts", "/v1/payouts/x", "/v1/queue", "/v1/batches/x", "/v1/flush", "/", "/v1/nothing", "/../etc/passwd"];
    let twisted = good.chars().rev().collect::<String>();
    for wrong in ["", "x", &good[..good.len() - 1], &format!("{good}x"), &twisted] {
        for path in paths {
            for method in ["GET", "POST", "DELETE", "OPTIONS"] {
                let reply = Client::new(&world, wrong).call(method, path, "").unwrap();
                assert_eq!((reply.status(), reply.header("connection")), (401, Some("close")), "{method} {path}");
            }
        }
    }
    // A body that nobody may send is not even read.
    let head = format!("POST /v1/payouts HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 1_u64 << 40);
    assert_eq!(status_of(&world, head.as_bytes()), 401);
    assert!(!service.log().contains(&good), "no token stands in the log");
}

#[test]
fn a_role_reaches_as_far_as_it_says_and_a_removed_token_no_further() {
    let world = api_world(Generation::Litecoin021, &[]);
    let tokens = ["read", "submit", "operate"].map(|role| token(&world, role, role));
    let _service = Service::start(&world);
    let body = json!({"id": "a", "address": payee(1), "amount": "1"});
    let reason = json!({"reason": "so"});
    let calls: [(&str, &Value, [u16; 3]); 4] = [
        ("/v1/payouts", &body, [403, 201, 200]),
        ("/v1/payouts/batch", &json!([body]), [403, 200, 200]),
        ("/v1/payouts/a/hold", &reason, [403, 403, 200]),
        ("/v1/payouts/a/cancel", &reason, [403, 403, 200]),
    ];
    for (path, body, wanted) in &calls {
        let got = tokens.each_ref().map(|token| Client::new(&world, token).post(path, body).0);
        assert_eq!(got, *wanted, "{path}");
    }
    for token in &tokens {
        assert_eq!(Client::new(&world, token).get("/v1/queue").0, 200);
    }
    // On the connection that it has, too.
    let mut api = Client::new(&world, &tokens[2]);
    assert_eq!(api.get("/v1/queue").0, 200);
    world.done(&["token", "remove", "operate", "--yes"]);
    assert_eq!(api.get("/v1/queue").0, 401);
    assert_eq!(Client::new(&world, &tokens[0]).get("/v1/queue").0, 200);
    let file = world.dir().join("tokens");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(Client::new(&world, &tokens[0]).get("/v1/queue").0, 503, "anybody could have written it");
}

#[test]
fn a_token_that_asks_too_often_is_told_so_and_the_others_are_not() {
    let world = api_world(Generation::Litecoin021, &[("api.requests_per_s", "1")]);
    let (busy, calm) = (token(&world, "busy", "read"), token(&world, "calm", "read"));
    let _service = Service::start(&world);
    let mut api = Client::new(&world, &busy);
    let mut ask = || api.call("GET", "/v1/queue", "").unwrap();
    assert_eq!(ask().status(), 200);
    let refused = wait_for(PATIENCE, "a refusal", || Some(ask()).filter(|reply| reply.status() == 429));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(Client::new(&world, &calm).get("/v1/queue").0, 200);
}

#[test]
fn bodies_that_are_no_honest_json_are_refused() {
    let world = api_world(Generation::Litecoin021, &[("api.max_body_kib", "16")]);
    let token = token(&world, "shop", "submit");
    let _service = Service::start(&world);
    let mut api = Client::new(&world, &token);
    let deep = "[".repeat(8000);
    let long = format!("\"{}\"", "x".repeat(16 << 10));
    let twice = format!(r#"{{"id":"a","id":"b","address":"{}","amount":"1"}}"#, payee(1));
    let trailing = format!(r#"{{"id":"a","address":"{}","amount":"1"}} {{}}"#, payee(1));
    let number = format!(r#"{{"id":"a","address":"{}","amount":1.5}}"#, payee(1));
    for (body, status) in [
        ("{", 400),
        (deep.as_str(), 422),
        ("[]", 422),
        ("null", 422),
        (&long, 413),
        (&twice, 422),
        (&number, 422),
        (&trailing, 400),
    ] {
        let reply = api.call("POST", "/v1/payouts", body).unwrap();
        assert_eq!(reply.status(), status, "{}: {}", &body[..body.len().min(40)], String::from_utf8_lossy(&reply.body));
    }
    assert_eq!(api.call("POST", "/v1/payouts/batch", &deep).unwrap().status(), 400);
    for (headers, status) in [
        ("Content-Type: text/plain\r\n", 415),
        ("", 415),
        ("Content-Type: application/json; charset=latin1\r\n", 415),
        ("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", 415),
        ("Content-Type: application/json; charset=UTF-8\r\n", 422),
    ] {
        let head = format!("POST /v1/payouts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{headers}");
        assert_eq!(status_of(&world, format!("{head}Content-Length: 2\r\n\r\n{{}}").as_bytes()), status, "{headers}");
    }
    assert_eq!(api.get("/v1/payouts").1["payouts"], json!([]));
}

#[test]
fn a_request_that_two_servers_could_read_in_two_ways_is_not_read_in_two_ways() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "shop", "submit");
    let _service = Service::start(&world);
    let hidden = "GET /v1/queue HTTP/1.1\r\nHost: x\r\n\r\n";
    for lengths in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 4\r\nContent-Length: 40\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Content-Length: +4\r\n",
        "Content-Length : 4\r\n",
    ] {
        let head = format!("POST /v1/payouts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{lengths}");
        let mut stream = TcpStream::connect(address(&world)).unwrap();
        stream.set_read_timeout(Some(CALL_TIMEOUT)).unwrap();
        stream.write_all(format!("{head}Content-Type: application/json\r\n\r\n0\r\n\r\n{hidden}").as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answers = String::new();
        let _ = stream.read_to_string(&mut answers);
        assert!(!answers.contains("HTTP/1.1 2") && answers.matches("HTTP/1.1 4").count() <= 2, "{lengths}: {answers}");
        assert!(!answers.contains("\"totals\""), "{lengths}: {answers}");
    }
}

#[test]
fn strangers_who_hold_connections_open_keep_nobody_out() {
    let world = api_world(Generation::Litecoin021, &[]);
    let token = token(&world, "shop", "read");
    let _service = Service::start(&world);
    let mut old = Client::new(&world, &token);
    assert_eq!(old.get("/v1/queue").0, 200);
    // They begin a request, and never end it.
    let held: Vec<TcpStream> = (0..600)
        .map(|_| {
            let mut stream = TcpStream::connect(address(&world)).unwrap();
            let _ = stream.write_all(b"GET /v1/queue HTTP/1.1\r\nHost: x\r\n");
            stream
        })
        .collect();
    assert_eq!(Client::new(&world, &token).get("/v1/queue").0, 200);
    assert_eq!(old.get("/v1/queue").0, 200, "a connection that has shown a token is left alone");
    drop(held);
}
