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
mod process;
mod proxy;
mod rpc;
mod service;
mod standin;
mod switch;
mod world;

use std::net::{TcpListener, UdpSocket};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

pub use deposits::deposit;
pub use foreign::ForeignDaemon;
pub use generation::Generation;
pub use keep::Keep;
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

/// A free port of loopback below the range from which the system takes ports for outgoing connections, so that none of those takes
/// it before the daemon does. It stays this process's: a daemon that is restarted finds it free, whatever other tests choose in that moment. The socket
/// of the same number for UDP, which no daemon here uses, tells all test processes of the host.
pub fn free_port() -> u16 {
    static TAKEN: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    loop {
        let mut random = [0; 2];
        getrandom::fill(&mut random).expect("randomness");
        let port = 10_000 + u16::from_le_bytes(random) % 22_000;
        if let (Ok(ours), Ok(_free)) = (UdpSocket::bind(("127.0.0.1", port)), TcpListener::bind(("127.0.0.1", port))) {
            TAKEN.lock().expect("the ports").push(ours);
            return port;
        }
    }
}
