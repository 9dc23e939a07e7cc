//! One question about many things, in one request: a connection for each of a thousand payees takes longer than the payment itself.
//!
//! A request that holds several calls has one deadline and one outcome for all of them. So it is open to questions alone, of which
//! running again is harmless: nothing that may pay, sign, lock or make a key ever goes this way, whoever asks.

use jsonrpc::error::RpcError as JsonError;
use jsonrpc::{Request, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::RpcError;
use super::rpc::Rpc;

/// The questions that may be asked together.
const QUESTIONS: &[&str] = &["getaddressinfo", "getblockheader", "validateaddress"];
/// Calls in one request: each takes the daemon some ten microseconds, and the answers to all of them a few hundred kilobytes.
const CALLS_PER_REQUEST: usize = 250;
/// "Parse error": daemons before 0.7 take no list for a call.
const NOT_PARSED: i64 = -32700;
/// "Invalid Request object": what else has no lists says so.
const NOT_A_REQUEST: i64 = -32600;

/// What came back for several calls.
pub(super) enum Together {
    /// An answer to each, in any order.
    Each(Vec<Response>),
    /// The daemon took none of them.
    Refused(JsonError),
}

/// The one method of these calls.
///
/// # Errors
/// [`RpcError::Refused`] unless all have the same one, and it may be asked together.
pub(super) fn method_of<'a>(requests: &[Request<'a>]) -> Result<&'a str, RpcError> {
    let method = requests.first().map_or("", |request| request.method);
    if QUESTIONS.contains(&method) && requests.iter().all(|request| request.method == method) {
        return Ok(method);
    }
    let reason = "several calls in one request have one outcome: only one and the same harmless question is asked so".to_owned();
    Err(RpcError::Refused { method: method.to_owned(), reason })
}

impl Rpc {
    /// Asks one question about many things, some hundred in one request. The answers come in the order of the arguments, each with an
    /// error of its own. A daemon that takes no lists is asked one by one.
    ///
    /// # Errors
    /// What is wrong with a whole request; [`RpcError::Refused`] for a method that may not be asked so.
    pub fn ask_each<T: DeserializeOwned>(&self, method: &str, args: &[Vec<Value>]) -> Result<Vec<Result<T, RpcError>>, RpcError> {
        let mut answers = Vec::with_capacity(args.len());
        for some in args.chunks(CALLS_PER_REQUEST) {
            match self.call_each(method, some) {
                Ok(some) => answers.extend(some),
                Err(RpcError::Daemon { code: NOT_PARSED | NOT_A_REQUEST, .. }) => {
                    answers.extend(some.iter().map(|args| self.call(method, args)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(answers)
    }
}
