//! What the transport says of servers that misbehave: above all, whether a call may have been carried out.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::coin::{free_port, write_credentials};
use crate::server::{Request, Server, http};
use bursar::daemon::{Limits, Rpc, RpcError};
use serde_json::{Value, json};

/// Long enough for loopback, short enough for a test.
const SOON: Limits = Limits { deadline: Some(Duration::from_millis(300)), max_body: None };

fn answer_to(server: &Server, method: &str) -> Result<Value, RpcError> {
    Rpc::with_limits(&server.coin, SOON).call(method, &[])
}

/// The error of a call that this answer follows.
fn error_of(answer: &str) -> RpcError {
    answer_to(&Server::answering(answer), "sendmany").unwrap_err()
}

fn assert_lost(error: &RpcError) {
    assert!(matches!(error, RpcError::Lost { .. }), "{error:?}");
    assert!(!error.is_certainly_not_run() && error.is_transient());
}

#[test]
fn nobody_listens_so_nothing_was_sent() {
    let mut coin = Server::answering("").coin;
    let dir = tempfile::TempDir::new().unwrap();
    coin.daemon.rpc_connect = ([127, 0, 0, 1], free_port()).into();
    coin.daemon.rpc_credentials_file = Some(dir.path().join("credentials"));
    write_credentials(&coin, "bursar:topsecret");
    let error = Rpc::new(&coin).call::<Value>("sendmany", &[]).unwrap_err();
    assert!(matches!(&error, RpcError::NotConnected { reason, .. } if reason.contains("refused")), "{error:?}");
    assert!(error.is_certainly_not_run());
}

#[test]
fn a_server_that_never_answers_may_have_run_the_call_and_is_not_asked_twice() {
    let server = Server::start(|mut stream| {
        Request::read(&mut stream);
        let _ = stream.read(&mut [0]);
    });
    let error = answer_to(&server, "sendmany").unwrap_err();
    assert_lost(&error);
    assert!(error.to_string().contains("the deadline passed"), "{error}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_call_that_was_written_in_part_may_still_run() {
    // Nobody reads, so the sockets fill up in the middle of the call.
    let server = Server::start(|stream| {
        std::thread::sleep(Duration::from_secs(5));
        drop(stream);
    });
    let rpc = Rpc::with_limits(&server.coin, SOON);
    let error = rpc.call::<Value>("sendmany", &[json!("x".repeat(32_000_000))]).unwrap_err();
    assert_lost(&error);
}

#[test]
fn a_drip_of_bytes_does_not_extend_the_deadline() {
    let server = Server::start(|mut stream| {
        Request::read(&mut stream);
        let mut answer = http("200 OK", &" ".repeat(10_000)).into_bytes().into_iter();
        while answer.next().is_some_and(|byte| stream.write_all(&[byte]).is_ok()) {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert_lost(&answer_to(&server, "sendmany").unwrap_err());
}

#[test]
fn half_an_answer_leaves_the_outcome_open() {
    let whole = http("200 OK", r#"{"result":"txid","error":null,"id":ID}"#);
    for length in [0, 1, 12, 40, whole.len() - 1] {
        assert_lost(&error_of(&whole[..length]));
    }
    assert_lost(&error_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"res\r\n"));
    assert_lost(&error_of(&http("401 Unauthorized", "").replace("Length: 0", "Length: 1")));
}

#[test]
fn an_answer_that_makes_no_sense_leaves_the_outcome_open() {
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(),
        http("200 OK", "Work queue"),
        http("200 OK", "{}"),
        http("200 OK", r#"{"result":"txid","error":null,"id":"another"}"#),
        http("200 OK", r#"{"result":"txid","error":null,"id":null}"#),
    ] {
        let error = error_of(&answer);
        assert!(matches!(error, RpcError::Unreadable { .. }) && !error.is_certainly_not_run(), "{error:?}");
    }
}

#[test]
fn answers_of_the_http_server_are_told_from_those_of_the_daemon() {
    for status in ["500 Internal Server Error", "503 Service Unavailable"] {
        let busy = error_of(&http(status, "Work queue depth exceeded"));
        assert!(matches!(busy, RpcError::Http { .. }) && busy.is_certainly_not_run() && busy.is_transient(), "{busy:?}");
    }
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let refused = error_of(&http(status, ""));
        assert!(
            matches!(refused, RpcError::Http { .. }) && refused.is_certainly_not_run() && !refused.is_transient(),
            "{refused:?}"
        );
    }
    let stopping = error_of(&http("503 Service Unavailable", "<html><body>Service Unavailable</body></html>"));
    assert!(
        matches!(stopping, RpcError::Http { status: 503, .. }) && stopping.is_transient() && !stopping.is_certainly_not_run()
    );

    let daemon = |code: i64, text: &str| format!(r#"{{"result":null,"error":{{"code":{code},"message":"{text}"}},"id":ID}}"#);
    // The server counts bytes before the id is put in; closing the connection ends the body as well.
    let answer = |status: &str, body: &str| format!("HTTP/1.1 {status}\r\n\r\n{body}");
    let unknown = error_of(&answer("404 Not Found", &daemon(-32601, "Method not found")));
    assert!(unknown.code() == Some(-32601) && unknown.is_certainly_not_run(), "{unknown:?}");
    let starting = error_of(&answer("500 Internal Server Error", &daemon(-28, "Loading block index...")));
    assert!(starting.is_warming_up() && starting.is_transient() && starting.is_certainly_not_run(), "{starting:?}");
    let failed = error_of(&answer("500 Internal Server Error", &daemon(-4, "Wallet error")));
    assert!(failed.code() == Some(-4) && !failed.is_certainly_not_run() && !failed.is_transient(), "{failed:?}");
    let unparsed = error_of(&answer("500 Internal Server Error", &daemon(-32700, "Parse error").replace("ID", "null")));
    assert_eq!(unparsed.code(), Some(-32700));
}

#[test]
fn answers_that_are_too_long_are_not_read() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 100000001\r\n\r\n");
    let error = answer_to(&server, "getblockcount").unwrap_err();
    assert!(matches!(&error, RpcError::Unreadable { reason, .. } if reason.contains("100000000 bytes")), "{error:?}");
    assert!(matches!(answer_to(&server, "listsinceblock"), Err(RpcError::Lost { .. })), "a listing may be that long");

    let endless = Server::start(|mut stream| {
        Request::read(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b' '; 65536]).is_ok() {}
    });
    let limits = Limits { deadline: None, max_body: Some(1_000_000) };
    let error = Rpc::with_limits(&endless.coin, limits).call::<Value>("getblockcount", &[]).unwrap_err();
    assert!(matches!(&error, RpcError::Unreadable { reason, .. } if reason.contains("1000000 bytes")), "{error:?}");
}

#[test]
fn a_call_is_one_request_that_closes_its_connection() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let server = Server::start(move |mut stream| {
        let request = Request::read(&mut stream);
        let body = json!({ "result": "0.1", "error": null, "id": request.json["id"] }).to_string();
        let exact = body.replace("\"0.1\"", "90071992.54740993");
        log.lock().unwrap().push(request);
        let _ = stream.write_all(http("200 OK", &exact).as_bytes());
    });
    let rpc = Rpc::new(&server.coin).at_wallet("hot & new");
    let args = json!({ "dummy": "", "amounts": {} });
    assert_eq!(rpc.call_as::<Value>("batch 7", "sendmany", &args).unwrap().to_string(), "90071992.54740993");
    let seen = seen.lock().unwrap();
    let [Request { head, json }] = seen.as_slice() else { panic!("one request") };
    assert!(head.starts_with("POST /wallet/hot%20%26%20new HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nConnection: close\r\n") && head.contains("\r\nAuthorization: Basic YnVyc2FyOnRvcHNlY3JldA==\r\n"));
    assert_eq!(json, &json!({ "jsonrpc": "1.0", "id": "batch 7", "method": "sendmany", "params": args }));
}

#[test]
fn no_more_calls_are_open_than_allowed() {
    let (open, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let server = Server::start(move |mut stream| {
        let request = Request::read(&mut stream);
        seen.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(30));
        open.fetch_sub(1, Ordering::SeqCst);
        let body = json!({ "result": 1, "error": null, "id": request.json["id"] }).to_string();
        let _ = stream.write_all(http("200 OK", &body).as_bytes());
    });
    let node = Rpc::new(&server.coin);
    let wallet = node.at_wallet("hot");
    std::thread::scope(|scope| {
        for rpc in [&node, &wallet].repeat(6) {
            scope.spawn(|| rpc.call::<Value>("getblockcount", &[]).unwrap());
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), server.coin.daemon.rpc_concurrency);
}

#[test]
fn no_secret_shows_when_things_are_printed() {
    let server = Server::answering(&http("500 Internal Server Error", "oops"));
    let rpc = Rpc::new(&server.coin);
    let error = rpc.call::<Value>("walletpassphrase", &[json!("open sesame"), json!(60)]).unwrap_err();
    let printed = format!("{rpc:?} {error:?} {error}");
    for secret in ["topsecret", "YnVyc2Fy", "sesame"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
