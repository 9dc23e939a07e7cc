//! A client of the API over one connection that it keeps, as an exchange's backend has many.
#![allow(dead_code, reason = "a bench uses a part of it")]

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::support::{CALL_TIMEOUT, Generation, Message, World, free_port, read_message};

/// A world whose service offers the API.
pub(crate) fn api_world(generation: Generation, changes: &[(&str, &str)]) -> World {
    let listen = format!("\"127.0.0.1:{}\"", free_port());
    let api = [("api.listen", listen.as_str()), ("api.tokens_file", "\"tokens\""), ("api.requests_per_s", "100000")];
    World::with(generation, &[&api, changes].concat())
}

/// Where its API is.
pub(crate) fn address(world: &World) -> SocketAddr {
    world.coin().api.listen.expect("api.listen is set")
}

/// Makes a token.
pub(crate) fn token(world: &World, name: &str, role: &str) -> String {
    world.done(&["token", "add", "--name", name, "--role", role])["token"].as_str().expect("a token").to_owned()
}

/// An address whose key nobody has: version 111 is the same on all regtest chains.
pub(crate) fn payee(number: u8) -> String {
    let mut bytes = vec![111];
    bytes.extend([number; 20]);
    bs58::encode(bytes).with_check().into_string()
}

/// One client.
pub(crate) struct Client {
    address: SocketAddr,
    token: String,
    stream: Option<TcpStream>,
}

impl Client {
    pub(crate) fn new(world: &World, token: &str) -> Client {
        Client { address: address(world), token: token.to_owned(), stream: None }
    }

    pub(crate) fn get(&mut self, path: &str) -> (u16, Value) {
        self.done("GET", path, "")
    }

    /// Posts this as JSON; null means no body.
    pub(crate) fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.done("POST", path, &body)
    }

    fn done(&mut self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let reply = self.call(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let value = serde_json::from_slice(&reply.body);
        (reply.status(), value.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&reply.body))))
    }

    /// One exchange. After an error the next one uses a new connection.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: &str) -> io::Result<Message> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(self.address)?,
        };
        stream.set_read_timeout(Some(CALL_TIMEOUT))?;
        stream.set_nodelay(true)?;
        let authorization =
            if self.token.is_empty() { String::new() } else { format!("Authorization: Bearer {}\r\n", self.token) };
        let content = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{authorization}{content}Content-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes())?;
        let reply = read_message(&mut stream)?;
        if reply.header("connection") != Some("close") {
            self.stream = Some(stream);
        }
        Ok(reply)
    }
}
