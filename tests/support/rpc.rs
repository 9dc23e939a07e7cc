//! A JSON-RPC client of a few lines, independent of the one under test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};

/// A daemon never takes longer than this in a test, mining hundreds of blocks included.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// The JSON-RPC error of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// JSON-RPC code, or the HTTP status when there was no JSON-RPC answer.
    pub code: i64,
    /// The daemon's text.
    pub message: String,
}

/// One call to one daemon. `path` is `/` or `/wallet/NAME`.
pub fn call(address: SocketAddr, credentials: &str, path: &str, method: &str, params: Value) -> Result<Value, Refused> {
    let body = json!({"id": "test", "method": method, "params": params}).to_string();
    let authorization = base64::engine::general_purpose::STANDARD.encode(credentials.trim());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Basic {authorization}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let (status, reply) = exchange(address, format!("{head}{body}").as_bytes()).unwrap_or_else(|error| (0, error.to_string()));
    let Ok(mut reply) = serde_json::from_str::<Value>(&reply) else {
        return Err(Refused { code: i64::from(status), message: reply });
    };
    match reply["error"].take() {
        Value::Null => Ok(reply["result"].take()),
        error => Err(Refused {
            code: error["code"].as_i64().unwrap_or_default(),
            message: error["message"].as_str().unwrap_or_default().to_owned(),
        }),
    }
}

/// Sends a whole request and reads the whole reply: status and body.
pub fn exchange(address: SocketAddr, request: &[u8]) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(CALL_TIMEOUT))?;
    stream.write_all(request)?;
    let reply = read_message(&mut stream)?;
    Ok((reply.status(), String::from_utf8_lossy(&reply.body).into_owned()))
}

/// One HTTP message as it came.
pub struct Message {
    /// First line and headers, without the empty line.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Message {
    /// The status of a reply; 0 for a request.
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    /// The path of a request.
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let of_name = |line: &&str| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        self.head.lines().skip(1).find(of_name).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim())
    }
}

/// Reads one message with a `Content-Length`, or until the end of the stream; an error when the other side hangs up first.
pub fn read_message(stream: &mut TcpStream) -> std::io::Result<Message> {
    let mut bytes = Vec::new();
    let mut part = [0; 8192];
    let mut read = |bytes: &mut Vec<u8>| -> std::io::Result<usize> {
        let count = stream.read(&mut part)?;
        bytes.extend_from_slice(&part[..count]);
        Ok(count)
    };
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if read(&mut bytes)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let body = bytes.split_off(head_end + 4);
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut message = Message { head, body };
    match message.header("content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => {
            while message.body.len() < length {
                if read(&mut message.body)? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        None => while read(&mut message.body)? > 0 {},
    }
    Ok(message)
}
