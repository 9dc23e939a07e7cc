//! One daemon: its rendered conf, its RPC, what it can do, and the `Wallet` that the capabilities work on.
//!
//! Nothing here retries. Every call has a deadline, and every failure says whether the daemon can have acted on it.

mod error;
mod wallet;

pub use error::RpcError;
pub use wallet::*;
