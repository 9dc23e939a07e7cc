//! `bursar keep` as a child process, and a systemd that listens to it.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::service::{PATIENCE, send};
use super::wait_for;
use super::world::World;

/// The socket that systemd would listen on.
const SOCKET: &str = "notify";

/// How a word of our own on it begins.
const MARK: &str = "MARK=";

/// A running keeper of a world's coin. Killed with the value, which leaves its daemon to the world.
pub struct Keep<'a> {
    world: &'a World,
    child: Child,
    log: PathBuf,
    said: Arc<Mutex<Vec<String>>>,
    // Where systemd would listen; ends with the value.
    socket: tempfile::TempDir,
}

impl<'a> Keep<'a> {
    /// Starts it, does not wait.
    pub fn spawn(world: &'a World, args: &[&str]) -> Keep<'a> {
        let socket = tempfile::tempdir().expect("a folder");
        let path = socket.path().join(SOCKET);
        let said = listen(&UnixDatagram::bind(&path).expect("a socket"));
        let log = (0..).map(|number| world.dir().join(format!("keep-{number}.log"))).find(|log| !log.exists()).expect("a name");
        let stderr = File::create(&log).expect("its log");
        let mut command = world.bursar_command(&[&["keep"], args].concat());
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "60000000");
        let child = command.stdout(Stdio::null()).stderr(stderr).spawn().expect("bursar runs");
        Keep { world, child, log, said, socket }
    }

    /// Starts it and waits for `READY=1`.
    pub fn start(world: &'a World) -> Keep<'a> {
        let mut keep = Keep::spawn(world, &[]);
        keep.wait_until_said("READY=1");
        keep
    }

    /// What systemd heard until now, a line each, in order.
    pub fn said(&self) -> Vec<String> {
        static MARKS: AtomicUsize = AtomicUsize::new(0);
        // A word of our own comes after all that was said before.
        let mark = format!("{MARK}{}", MARKS.fetch_add(1, Ordering::SeqCst));
        let ours = UnixDatagram::unbound().expect("a socket");
        ours.send_to(mark.as_bytes(), self.socket.path().join(SOCKET)).expect("the mark is sent");
        wait_for(PATIENCE, "what was said", || {
            let said = self.said.lock().expect("what was said");
            let end = said.iter().position(|line| *line == mark)?;
            Some(said[..end].iter().filter(|line| !line.starts_with(MARK)).cloned().collect())
        })
    }

    /// Waits until a line that starts like this was said.
    pub fn wait_until_said(&mut self, start: &str) {
        wait_for(PATIENCE, start, || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the keeper ended ({status}):\n{}", self.log());
            }
            self.said().iter().any(|line| line.starts_with(start)).then_some(())
        });
    }

    /// Its log.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("its log")
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        wait_for(PATIENCE, "the keeper ends", || self.child.try_wait().expect("its status"))
    }

    /// Dies at once, as by `kill -9`.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What it answers about the daemon through the command line.
    pub fn daemon_status(&self) -> String {
        self.world.done(&["daemon", "status"]).to_string()
    }
}

impl Drop for Keep<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the keeper said:\n{}\nto systemd: {:?}", self.log(), self.said.lock());
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn listen(socket: &UnixDatagram) -> Arc<Mutex<Vec<String>>> {
    let said = Arc::<Mutex<Vec<String>>>::default();
    let (ours, theirs) = (Arc::clone(&said), socket.try_clone().expect("the socket"));
    // The sender learns nothing of our end; this thread ends with the test.
    theirs.set_read_timeout(Some(Duration::from_secs(600))).expect("a limit");
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count) = theirs.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            ours.lock().expect("what was said").extend(text.lines().map(str::to_owned));
        }
    });
    said
}
