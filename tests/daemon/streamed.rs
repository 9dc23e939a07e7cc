//! Listings that are read as they come: what is handed on, and that half an answer is none.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::server::{Request, Server, http};
use bursar::daemon::{Limits, Rpc, RpcError};
use serde_json::Value;

/// For what does not end by itself.
const SOON: Limits = Limits { deadline: Some(Duration::from_secs(1)), max_body: None };
/// Longer than any test takes.
const PATIENT: Limits = Limits { deadline: Some(Duration::from_secs(60)), max_body: None };

/// What was handed on, and how the call ended.
fn list(server: &Server, limits: Limits) -> (Vec<u64>, Result<(), RpcError>) {
    let mut seen = Vec::new();
    let ended = Rpc::with_limits(&server.coin, limits).list("listsinceblock", &[], "transactions", |element| {
        seen.push(element);
        ControlFlow::Continue(())
    });
    (seen, ended)
}

fn list_of(answer: &str) -> (Vec<u64>, Result<(), RpcError>) {
    list(&Server::answering(answer), PATIENT)
}

/// The body ends with the connection.
fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n\r\n{body}")
}

#[test]
fn what_was_sent_is_handed_on_before_the_rest_is() {
    let (saw, seen) = mpsc::channel();
    let seen = Arc::new(Mutex::new(seen));
    let server = Server::start(move |mut stream| {
        let id = Request::read(&mut stream).json["id"].to_string();
        stream.write_all(ok(r#"{"result":{"transactions":[1,2,"#).as_bytes()).unwrap();
        let before: Vec<u64> = seen.lock().unwrap().iter().take(2).collect();
        assert_eq!(before, [1, 2]);
        stream.write_all(format!(r#"3],"lastblock":"ab"}},"error":null,"id":{id}}}"#).as_bytes()).unwrap();
    });
    let rpc = Rpc::with_limits(&server.coin, PATIENT);
    let mut all = Vec::new();
    rpc.list("listsinceblock", &[], "transactions", |element: u64| {
        all.push(element);
        saw.send(element).unwrap();
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(all, [1, 2, 3]);
}

#[test]
fn a_listing_may_be_longer_than_any_other_answer_but_none_of_its_elements() {
    let short = Limits { deadline: PATIENT.deadline, max_body: Some(100) };
    let numbers: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
    let long = ok(&format!(r#"{{"id":ID,"error":null,"result":{{"transactions":[{}]}}}}"#, numbers.join(",")));
    let (seen, ended) = list(&Server::answering(&long), short);
    assert_eq!((seen.len(), ended), (10_000, Ok(())));
    let padded = ok(&format!(r#"{{"id":ID,"error":null,"result":{{"transactions":[1,{}2]}}}}"#, " ".repeat(101)));
    let (seen, ended) = list(&Server::answering(&padded), short);
    assert_eq!(seen, [1]);
    assert!(matches!(&ended, Err(RpcError::Unreadable { reason, .. }) if reason.contains("longer")), "{ended:?}");
    let endless = Server::start(|mut stream| {
        Request::read(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 500 Internal Server Error\r\n\r\n");
        while stream.write_all(&[b' '; 65536]).is_ok() {}
    });
    assert!(matches!(list(&endless, short).1, Err(RpcError::Unreadable { .. })));
}

#[test]
fn a_visitor_ends_the_call_as_it_likes() {
    let endless = Server::start(|mut stream| {
        Request::read(&mut stream);
        let _ = stream.write_all(ok(r#"{"result":{"transactions":[0"#).as_bytes());
        while stream.write_all(b",0").is_ok() {}
    });
    let rpc = Rpc::with_limits(&endless.coin, PATIENT);
    let listed = |end: &dyn Fn() -> Result<(), RpcError>| {
        let mut left = 1000;
        rpc.list("listsinceblock", &[], "transactions", |_: u64| {
            left -= 1;
            if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(end()) }
        })
    };
    assert_eq!(listed(&|| Ok(())), Ok(()));
    let own = || RpcError::Refused { method: "visit".to_owned(), reason: "enough".to_owned() };
    assert_eq!(listed(&|| Err(own())), Err(own()));
}

#[test]
fn half_a_listing_is_none_whatever_was_handed_on() {
    let whole = http("200 OK", r#"{"result":{"transactions":[1,2]},"error":null,"id":0}"#);
    for length in [0, 1, 12, 60, whole.len() - 30, whole.len() - 1] {
        let ended = list_of(&whole[..length]).1;
        assert!(matches!(ended, Err(RpcError::Lost { .. })), "{length}: {ended:?}");
    }
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1d\r\n{\"result\":{\"transactions\":[1,\r\n";
    assert!(matches!(list_of(chunked), (seen, Err(RpcError::Lost { .. })) if seen == [1]));
    let closed = ok(r#"{"result":{"transactions":[1,"#);
    assert!(matches!(list_of(&closed), (seen, Err(RpcError::Unreadable { .. })) if seen == [1]), "no length tells");
}

#[test]
fn a_drip_of_elements_does_not_extend_the_deadline() {
    let server = Server::start(|mut stream| {
        Request::read(&mut stream);
        let _ = stream.write_all(ok(r#"{"result":{"transactions":[0"#).as_bytes());
        while stream.write_all(b",0").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let (_, ended) = list(&server, SOON);
    assert!(matches!(&ended, Err(RpcError::Lost { reason, .. }) if reason.contains("deadline")), "{ended:?}");
}

#[test]
fn what_makes_no_sense_is_no_listing() {
    for body in [
        "Work queue",
        "{}",
        r#"{"result":null,"error":null,"id":ID}"#,
        r#"{"result":{},"error":null,"id":ID}"#,
        r#"{"result":{"transactions":null},"error":null,"id":ID}"#,
        r#"{"result":{"transactions":[1,"two"]},"error":null,"id":ID}"#,
        r#"{"result":{"transactions":[1]},"error":null,"id":ID} {"#,
        r#"{"result":{"transactions":[1]},"error":null,"id":"another"}"#,
        r#"{"result":{"transactions":[1]},"error":null,"id":null}"#,
        r#"{"result":{"transactions":[1]},"error":null}"#,
    ] {
        let ended = list_of(&ok(body)).1;
        assert!(matches!(ended, Err(RpcError::Unreadable { .. })), "{body}: {ended:?}");
    }
}

#[test]
fn errors_are_the_same_as_those_of_any_other_call() {
    let daemon = |code: i64, id: &str| format!(r#"{{"result":null,"error":{{"code":{code},"message":"no"}},"id":{id}}}"#);
    let answer = |status: &str, body: &str| format!("HTTP/1.1 {status}\r\n\r\n{body}");
    for answer in [
        answer("500 Internal Server Error", &daemon(-5, "ID")),
        answer("200 OK", &daemon(-5, "ID")),
        answer("404 Not Found", &daemon(-32601, "ID")),
        answer("500 Internal Server Error", &daemon(-32700, "null")),
        answer("500 Internal Server Error", &daemon(-5, "\"another\"")),
        http("401 Unauthorized", ""),
        http("403 Forbidden", ""),
        http("503 Service Unavailable", "Work queue depth exceeded"),
        http("500 Internal Server Error", "<html></html>"),
        http("500 Internal Server Error", r#"{"result":1,"id":1}"#),
        "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(),
    ] {
        let server = Server::answering(&answer);
        let called = Rpc::with_limits(&server.coin, PATIENT).call::<Value>("listsinceblock", &[]).unwrap_err();
        assert_eq!(list(&server, PATIENT), (vec![], Err(called)), "{answer}");
    }
}
