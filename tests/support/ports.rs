//! Ports of loopback for daemons and servers.

use std::net::{TcpListener, UdpSocket};
use std::sync::Mutex;

/// A free port of loopback below the range from which the system takes ports for outgoing connections, so that none of those takes
/// it before the daemon does. It stays this process's: a daemon that is restarted finds it free, whatever other tests choose in that moment. The socket
/// of the same number for UDP, which no daemon here uses, tells all test processes of the host.
pub fn free_port() -> u16 {
    static TAKEN: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    loop {
        let mut random = [0; 2];
        getrandom::fill(&mut random).expect("randomness");
        let port = 10_000 + u16::from_le_bytes(random) % 22_000;
        // Not even for a look is the port of another test taken.
        let Ok(ours) = UdpSocket::bind(("127.0.0.1", port)) else { continue };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            TAKEN.lock().expect("the ports").push(ours);
            return port;
        }
    }
}
