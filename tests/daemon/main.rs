//! One daemon over RPC: every call of the `Wallet` on three generations of real daemons, a stand-in for a fourth, and servers that
//! misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;
mod coin;
mod conf;
mod old_daemon;
#[path = "../support/ports.rs"]
#[allow(unreachable_pub, reason = "shared with the tests that have all of the support")]
mod ports;
mod process;
mod server;
mod streamed;
mod transport;
