//! A thin client: a method, its arguments, its answer. No retry, no float, no type of our own for what the daemon says.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use jsonrpc::{Request, Response};
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use zeroize::Zeroize;

use super::RpcError;
use super::limits::Limits;
use super::transport::{HttpTransport, Link, RoleFiles};
use crate::config::CoinSettings;

/// The oldest envelope, which all generations answer alike: with "2.0" some send errors with status 200 and some do not.
const JSONRPC: &str = "1.0";

/// RPC to one daemon, or to one wallet of it.
pub struct Rpc {
    client: bitcoincore_rpc::Client,
    transport: HttpTransport,
}

impl Rpc {
    /// RPC to the coin's daemon, with no wallet named. Connects to nothing yet.
    pub fn new(coin: &CoinSettings) -> Rpc {
        Rpc::with_limits(coin, Limits::default())
    }

    /// The same with other deadlines and sizes.
    pub fn with_limits(coin: &CoinSettings, limits: Limits) -> Rpc {
        let daemon = &coin.daemon;
        let link = Link::new(daemon.rpc_connect, RoleFiles::of_coin(coin), daemon.rpc_concurrency, limits);
        Rpc::over(HttpTransport::new(Arc::new(link), "/".to_owned()))
    }

    /// RPC to the daemon's own port with the `user:password` of this file for every call.
    pub fn direct(coin: &CoinSettings, credentials: &Path, limits: Limits) -> Rpc {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, coin.daemon.rpc_port));
        let link = Link::new(address, RoleFiles::all(credentials.to_owned()), coin.daemon.rpc_concurrency, limits);
        Rpc::over(HttpTransport::new(Arc::new(link), "/".to_owned()))
    }

    /// RPC to the wallet of this name; it shares the open calls' limit. The path names the wallet even when its name is empty: a call
    /// that names none is answered from whichever wallet happens to be the only one.
    pub fn at_wallet(&self, name: &str) -> Rpc {
        Rpc::over(self.transport.at(format!("/wallet/{}", percent_encode(name))))
    }

    /// RPC by the same way, with no wallet named.
    pub fn at_node(&self) -> Rpc {
        Rpc::over(self.transport.at("/".to_owned()))
    }

    fn over(transport: HttpTransport) -> Rpc {
        let client = jsonrpc::Client::with_transport(transport.clone());
        Rpc { client: bitcoincore_rpc::Client::from_jsonrpc(client), transport }
    }

    /// Where the daemon is.
    pub fn address(&self) -> SocketAddr {
        self.transport.address()
    }

    /// Calls a method with positional arguments.
    pub fn call<T: DeserializeOwned>(&self, method: &str, args: &[Value]) -> Result<T, RpcError> {
        self.send(method, &raw(method, &args)?, None)
    }

    /// Calls a method with named arguments, for daemons that take names (0.14 and later).
    pub fn call_named<T: DeserializeOwned>(&self, method: &str, args: &Map<String, Value>) -> Result<T, RpcError> {
        self.send(method, &raw(method, args)?, None)
    }

    /// Calls a method under a JSON-RPC id of our own, with an array of positional or an object of named arguments.
    pub fn call_as<T: DeserializeOwned>(&self, id: &str, method: &str, args: &Value) -> Result<T, RpcError> {
        self.send(method, &raw(method, args)?, Some(id))
    }

    /// Several calls in one request; the answers in their order. The transport says for which methods.
    pub(super) fn call_each<T: DeserializeOwned>(
        &self,
        method: &str,
        args: &[Vec<Value>],
    ) -> Result<Vec<Result<T, RpcError>>, RpcError> {
        let params = args.iter().map(|args| raw(method, args)).collect::<Result<Vec<_>, _>>()?;
        let client = self.client.get_jsonrpc_client();
        let request = |params| Request { jsonrpc: Some(JSONRPC), ..client.build_request(method, Some(params)) };
        let requests: Vec<Request<'_>> = params.iter().map(|params| request(params.as_ref())).collect();
        let responses = client.send_batch(&requests).map_err(|error| told_apart(method, error))?;
        let answer = |response: Option<Response>| {
            let response = response.ok_or_else(|| unreadable(method, "one of several calls has no answer"))?;
            response.result().map_err(|error| told_apart(method, error))
        };
        Ok(responses.into_iter().map(answer).collect())
    }

    /// Calls a method whose result has a list under the name `field`, however long, and hands on its elements as they come: the answer is never held.
    ///
    /// What was handed on counts only when this succeeds. A visitor that breaks ends the call as it says, unread as it is. It must not call the daemon:
    /// its own call is open still, and holds one of few places.
    pub fn list<T: DeserializeOwned>(
        &self,
        method: &str,
        args: &[Value],
        field: &str,
        visit: impl FnMut(T) -> ControlFlow<Result<(), RpcError>>,
    ) -> Result<(), RpcError> {
        let params = raw(method, &args)?;
        let client = self.client.get_jsonrpc_client();
        let request = Request { jsonrpc: Some(JSONRPC), ..client.build_request(method, Some(&params)) };
        self.transport.list(&request, field, visit)
    }

    /// Calls a method with a secret among its positional arguments: what was written of them is wiped.
    pub fn call_with_secret<T: DeserializeOwned>(&self, method: &str, args: &impl serde::Serialize) -> Result<T, RpcError> {
        let params = raw(method, args)?;
        let answer = self.send(method, &params, None);
        Box::<str>::from(params).zeroize();
        answer
    }

    /// Past `bitcoincore_rpc`'s own `call`, which writes arguments to the log.
    fn send<T: DeserializeOwned>(&self, method: &str, params: &RawValue, id: Option<&str>) -> Result<T, RpcError> {
        let client = self.client.get_jsonrpc_client();
        let mut request = client.build_request(method, Some(params));
        request.jsonrpc = Some(JSONRPC);
        if let Some(id) = id {
            request.id = Value::from(id);
        }
        let sent_id = request.id.clone();
        let response = client.send_request(request).map_err(|error| told_apart(method, error))?;
        // An answer to a call that could not be parsed has no id; it can only be ours, for the connection was.
        let is_ours = response.id == sent_id || (response.id.is_null() && response.error.is_some());
        if !is_ours {
            return Err(unreadable(method, "it answers another call"));
        }
        response.result().map_err(|error| told_apart(method, error))
    }
}

fn raw<T: serde::Serialize + ?Sized>(method: &str, args: &T) -> Result<Box<RawValue>, RpcError> {
    let refused = |error: serde_json::Error| RpcError::Refused { method: method.to_owned(), reason: error.to_string() };
    to_raw_value(args).map_err(refused)
}

fn told_apart(method: &str, error: jsonrpc::Error) -> RpcError {
    match error {
        jsonrpc::Error::Rpc(error) => {
            RpcError::Daemon { method: method.to_owned(), code: i64::from(error.code), message: error.message }
        }
        jsonrpc::Error::Transport(error) => match error.downcast::<RpcError>() {
            Ok(error) => *error,
            Err(error) => unreadable(method, &error.to_string()),
        },
        other => unreadable(method, &other.to_string()),
    }
}

pub(super) fn unreadable(method: &str, reason: &str) -> RpcError {
    RpcError::Unreadable { method: method.to_owned(), reason: reason.to_owned() }
}

/// Everything but letters, digits and `-._~` as `%XX`.
fn percent_encode(name: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(encode).collect()
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rpc({:?})", self.client.get_jsonrpc_client())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wallet_names_are_percent_encoded() {
        assert_eq!(percent_encode("hot-1.main_~"), "hot-1.main_~");
        assert_eq!(percent_encode("a b/ü%"), "a%20b%2F%C3%BC%25");
    }
}
