//! What the transport says of servers that misbehave: above all, whether a call may have been carried out.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use crate::coin::{RPC_CONCURRENCY, write_credentials};
use crate::ports::free_port;
use crate::server::{Request, Server, http};
use bursar::daemon::{Limits, Rpc, RpcError};
use serde_json::{Value, json};

/// For what does not end by itself.
const SOON: Limits = Limits { deadline: Some(Duration::from_secs(1)), max_body: None };
/// Longer than any test takes.
const PATIENT: Limits = Limits { deadline: Some(Duration::from_secs(60)), max_body: None };

fn answer_to(server: &Server, method: &str) -> Result<Value, RpcError> {
    Rpc::with_limits(&server.coin, PATIENT).call(method, &[])
}

/// The error of a call to a server that never comes to an end.
fn no_answer_to(server: &Server) -> RpcError {
    Rpc::with_limits(&server.coin, SOON).call::<Value>("sendmany", &[]).unwrap_err()
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
    let error = no_answer_to(&server);
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
    assert_lost(&no_answer_to(&server));
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

/// Answers each call of a list with `answer`.
fn answering_each(answer: fn(&Value) -> Value) -> Server {
    Server::start(move |mut stream| {
        let request = Request::read(&mut stream);
        let answers: Vec<Value> = request.json.as_array().unwrap().iter().map(answer).rev().collect();
        let _ = stream.write_all(http("200 OK", &json!(answers).to_string()).as_bytes());
    })
}

fn ask_each(server: &Server, count: usize) -> Result<Vec<Result<Value, RpcError>>, RpcError> {
    let args: Vec<Vec<Value>> = (0..count).map(|number| vec![json!(number)]).collect();
    Rpc::with_limits(&server.coin, PATIENT).ask_each("validateaddress", &args)
}

#[test]
fn one_question_about_many_things_is_few_requests_with_an_answer_for_each() {
    let server = answering_each(|call| match call["params"][0].as_u64().unwrap() {
        7 => json!({ "result": null, "error": { "code": -5, "message": "not that one" }, "id": call["id"] }),
        number => json!({ "result": number, "error": null, "id": call["id"] }),
    });
    let answers = ask_each(&server, 600).unwrap();
    assert_eq!((answers.len(), server.connections.load(Ordering::SeqCst)), (600, 3));
    for (number, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(answer) => assert_eq!(answer, json!(number)),
            Err(error) => assert_eq!((number, error.code()), (7, Some(-5))),
        }
    }
}

#[test]
fn an_answer_too_few_is_an_error_and_one_too_many_spoils_them_all() {
    let server = answering_each(|call| json!({ "result": 1, "error": null, "id": call["id"].as_u64().unwrap().max(2) }));
    assert!(matches!(ask_each(&server, 2), Err(RpcError::Unreadable { .. })), "two answers to one call");
    let strange = answering_each(|_| json!({ "result": 1, "error": null, "id": "strange" }));
    assert!(matches!(ask_each(&strange, 1), Err(RpcError::Unreadable { .. })), "an answer to no call");
    let answers = ask_each(&Server::answering(&http("200 OK", "[]")), 2).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Err(RpcError::Unreadable { .. }))), "{answers:?}");
}

#[test]
fn only_harmless_questions_are_asked_together() {
    let server = Server::answering(&http("200 OK", "[]"));
    let rpc = Rpc::new(&server.coin);
    for method in ["sendmany", "sendrawtransaction", "signrawtransactionwithwallet", "lockunspent", "getrawchangeaddress", ""] {
        let error = rpc.ask_each::<Value>(method, &[vec![], vec![]]).unwrap_err();
        assert!(matches!(error, RpcError::Refused { .. }) && error.is_certainly_not_run(), "{error:?}");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn a_daemon_that_takes_no_lists_is_asked_one_by_one() {
    let server = Server::start(|mut stream| {
        let call = Request::read(&mut stream).json;
        let answer = if call.is_array() {
            let error = json!({ "code": -32700, "message": "Parse error" });
            http("500 Internal Server Error", &json!({ "result": null, "error": error, "id": null }).to_string())
        } else {
            http("200 OK", &json!({ "result": call["params"][0], "error": null, "id": call["id"] }).to_string())
        };
        let _ = stream.write_all(answer.as_bytes());
    });
    let answers: Vec<Value> = ask_each(&server, 3).unwrap().into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(answers, [json!(0), json!(1), json!(2)]);
    let starting = error_body(-28, "Loading block index...");
    let error = ask_each(&Server::answering(&http("500 Internal Server Error", &starting)), 3).unwrap_err();
    assert!(error.is_warming_up(), "{error:?}");
}

fn error_body(code: i64, message: &str) -> String {
    json!({ "result": null, "error": { "code": code, "message": message }, "id": null }).to_string()
}

#[test]
fn no_more_calls_are_open_than_allowed() {
    let (open, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let (seen, full) = (Arc::clone(&most), Barrier::new(RPC_CONCURRENCY));
    let server = Server::start(move |mut stream| {
        let request = Request::read(&mut stream);
        seen.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // None is answered before as many are open as may be; after that, one too many has a moment to come.
        full.wait();
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
    assert_eq!(most.load(Ordering::SeqCst), RPC_CONCURRENCY);
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
