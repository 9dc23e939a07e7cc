//! A server that is scripted by a test and stands in for a daemon.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bursar::config::CoinSettings;
use serde_json::Value;
use tempfile::TempDir;

use crate::coin::{coin, write_credentials};

/// A coin whose RPC port is served by a test.
pub(crate) struct Server {
    pub(crate) coin: CoinSettings,
    pub(crate) connections: Arc<AtomicUsize>,
    _dir: TempDir,
}

impl Server {
    /// Gives each connection to `serve`, each on its own thread.
    pub(crate) fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dir = TempDir::new().unwrap();
        let mut coin = coin("litecoin", Path::new("none"), dir.path());
        coin.daemon.rpc_connect = listener.local_addr().unwrap();
        write_credentials(&coin, "bursar:topsecret");
        let connections = Arc::new(AtomicUsize::new(0));
        let (serve, count) = (Arc::new(serve), Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(stream.unwrap()));
            }
        });
        Server { coin, connections, _dir: dir }
    }

    /// Answers each call with these bytes; `ID` in them becomes the call's id.
    pub(crate) fn answering(answer: &str) -> Server {
        let answer = answer.to_owned();
        Server::start(move |mut stream| {
            let request = Request::read(&mut stream);
            let _ = stream.write_all(answer.replace("ID", &request.json["id"].to_string()).as_bytes());
        })
    }
}

/// One call as it came.
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) json: Value,
}

impl Request {
    pub(crate) fn read(stream: &mut TcpStream) -> Request {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "the head ends");
            bytes.extend_from_slice(&piece[..count]);
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
        let mut body = bytes[end..].to_vec();
        let read = body.len();
        body.resize(length, 0);
        stream.read_exact(&mut body[read..]).unwrap();
        Request { head, json: serde_json::from_slice(&body).unwrap() }
    }
}

/// A JSON-RPC answer with its head.
pub(crate) fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
