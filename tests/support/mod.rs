//! What tests, the demo, the torture and the benches share: real daemons in worlds of their own, a proxy that breaks calls on order,
//! and a stand-in for the oldest generation.
//!
//! Use it by `mod support;` (or with `#[path]` from elsewhere). Everything runs on loopback and in temporary folders, every wait has
//! a deadline, and a world stops exactly the daemon that it started.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test uses another part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stderr, reason = "a failed test shows what the service said")]

mod branch;
mod deposits;
mod foreign;
mod generation;
mod keep;
mod ports;
mod process;
mod proxy;
mod rpc;
mod service;
mod standin;
mod switch;
mod world;

use std::thread;
use std::time::{Duration, Instant};

pub use deposits::deposit;
pub use foreign::ForeignDaemon;
pub use generation::Generation;
pub use keep::Keep;
pub use ports::free_port;
pub use process::{is_alive, signal, suspend};
pub use proxy::{Call, Fault, FaultProxy, Moment, Upstream, Watcher};
pub use rpc::{CALL_TIMEOUT, Message, Refused, call, exchange, read_message};
pub use service::{PATIENCE, Process, Service};
pub use standin::{getinfo_standin, staking_standin};
pub use switch::ProgramSwitch;
pub use world::{BURN_ADDRESS, World};

/// Waits until `ready` gives something.
///
/// # Panics
/// When it has not by the deadline.
pub fn wait_for<T>(deadline: Duration, what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(began.elapsed() < deadline, "{what}: not within {} s", deadline.as_secs());
        thread::sleep(Duration::from_millis(20));
    }
}
