//! What can go wrong with an RPC call, told apart by what the daemon may have done.

use std::time::Duration;

use thiserror::Error;

/// A failed RPC call.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RpcError {
    /// No byte of the call was written: the daemon cannot have seen it.
    #[error("RPC {method}: the daemon at {address} cannot be reached ({reason}); the call was not sent")]
    NotConnected {
        /// The method that was to be called.
        method: String,
        /// Where.
        address: String,
        /// The system's words.
        reason: String,
    },
    /// The call was written, wholly or in part, and no whole answer came: the daemon may run it, now or later.
    #[error("RPC {method}: no answer from the daemon ({reason}, after {} s); {}", waited.as_secs(), fate_of(method))]
    Lost {
        /// The method.
        method: String,
        /// The system's words.
        reason: String,
        /// How long we waited.
        waited: Duration,
    },
    /// An HTTP answer that is not JSON-RPC: wrong password (401), not allowed (403), work queue full (500 or 503), stopping (503).
    #[error("RPC {method}: the daemon answered HTTP {status}{}", hint_for_status(*status, body))]
    Http {
        /// The method.
        method: String,
        /// HTTP status.
        status: u16,
        /// The start of the body.
        body: String,
    },
    /// A JSON-RPC error.
    #[error("RPC {method}: the daemon says: {message} (code {code})")]
    Daemon {
        /// The method.
        method: String,
        /// The JSON-RPC code, such as -6.
        code: i64,
        /// The daemon's text.
        message: String,
    },
    /// Refused here, before a byte was written: the call was wrong or dangerous, or this daemon cannot do it.
    #[error("RPC {method}: not sent: {reason}")]
    Refused {
        /// The method that was to be called.
        method: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The daemon answers, but it is not the one that is configured.
    #[error(
        "the daemon at {address} is not the configured one: it has {found}, not {expected}; nothing was asked of it. Check the coin's chain, rpc_connect and wallet name in bursar.toml against that daemon"
    )]
    WrongDaemon {
        /// Where.
        address: String,
        /// What bursar.toml says, such as `chain main`.
        expected: String,
        /// What the daemon says.
        found: String,
    },
    /// A wallet that holds neither private keys nor descriptors: the daemon counts what its addresses receive as watched, and nobody's money.
    #[error(
        "wallet '{wallet}' has no private keys and is no descriptor wallet: the daemon counts what its addresses receive as watched, not as the wallet's money, and none of its deposits would show"
    )]
    WatchOnly {
        /// Its name.
        wallet: String,
    },
    /// An answer that we cannot read.
    #[error("RPC {method}: the daemon's answer could not be read: {reason}")]
    Unreadable {
        /// The method.
        method: String,
        /// What was wrong.
        reason: String,
    },
}

/// What a call without an answer may have done. Whatever is not known to be a question may have been carried out.
fn fate_of(method: &str) -> &'static str {
    let asks = ["get", "list", "decode", "validate", "help", "uptime"];
    let makes_keys = matches!(method, "getnewaddress" | "getrawchangeaddress");
    if asks.iter().any(|start| method.starts_with(start)) && !makes_keys {
        "it was only a question: nothing was changed or sent by it"
    } else {
        "it may still carry out the call"
    }
}

fn hint_for_status(status: u16, body: &str) -> String {
    match status {
        401 => ": the RPC password is wrong; nothing was asked of it".to_owned(),
        403 => ": this RPC user may not call it, or not from here".to_owned(),
        _ if body.is_empty() => String::new(),
        _ => format!(": {}", body.trim()),
    }
}

impl RpcError {
    /// The JSON-RPC code, where the daemon gave one.
    pub fn code(&self) -> Option<i64> {
        match self {
            RpcError::Daemon { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The daemon is starting and will answer later (code -28).
    pub fn is_warming_up(&self) -> bool {
        self.code() == Some(-28)
    }

    /// The daemon cannot have acted on the call, whatever the method.
    pub fn is_certainly_not_run(&self) -> bool {
        match self {
            RpcError::NotConnected { .. }
            | RpcError::Refused { .. }
            | RpcError::WrongDaemon { .. }
            | RpcError::WatchOnly { .. } => true,
            RpcError::Http { status, body, .. } => {
                matches!(status, 401 | 403 | 404) || body.trim() == "Work queue depth exceeded"
            }
            RpcError::Daemon { code, .. } => matches!(code, -28 | -32601),
            RpcError::Lost { .. } | RpcError::Unreadable { .. } => false,
        }
    }

    /// Trying again later may help without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            RpcError::NotConnected { .. } | RpcError::Lost { .. } => true,
            RpcError::Http { status, body, .. } => *status == 503 || body.trim() == "Work queue depth exceeded",
            RpcError::Daemon { .. } => self.is_warming_up(),
            RpcError::Unreadable { .. }
            | RpcError::Refused { .. }
            | RpcError::WrongDaemon { .. }
            | RpcError::WatchOnly { .. } => false,
        }
    }
}
