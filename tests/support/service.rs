//! `bursar run` as a child process, and what an operator asks it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::Value;

use super::rpc;
use super::wait_for;
use super::world::{World, has_ended, raw_pid};

/// A service starts or ends within this, its daemon included.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A running service of a world's coin. Ends with the value; its daemon then ends with the world.
pub struct Service<'a> {
    world: &'a World,
    child: Child,
    log: PathBuf,
}

impl<'a> Service<'a> {
    /// Starts it and waits until its daemon and its wallet answer.
    pub fn start(world: &'a World) -> Service<'a> {
        let mut service = Service::spawn(world);
        service.wait_until_ready();
        service
    }

    /// Waits until it listens, and its daemon and its wallet answer.
    pub fn wait_until_ready(&mut self) {
        let world = self.world;
        // Without this, a command would open the store itself, before the service does.
        wait_for(PATIENCE, "the service listens", || {
            self.refuse_end();
            UnixStream::connect(world.coin().control_socket()).ok()
        });
        wait_for(PATIENCE, "the service answers", || {
            self.refuse_end();
            let (status, code) = world.order(&["status"]);
            (code == 0 && status["daemon_error"].is_null() && !status["ledger_tip"].is_null()).then_some(())
        });
    }

    /// Starts it and does not wait. What it says goes to a file.
    pub fn spawn(world: &'a World) -> Service<'a> {
        Service::spawn_as(world, |_log| world.bursar_command(&["run"]))
    }

    /// The same by a command of one's own, which may look at the file that its stderr goes to.
    pub fn spawn_as(world: &'a World, command: impl FnOnce(&File) -> Command) -> Service<'a> {
        let numbers = 0..;
        let mut logs = numbers.map(|number| world.dir().join(format!("service-{number}.log")));
        let log = logs.find(|log| !log.exists()).expect("a name");
        let stderr = File::create(&log).expect("its log");
        let mut command = command(&stderr);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().expect("bursar runs");
        Service { world, child, log }
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("its log")
    }

    /// Its process, or that of the sandbox around it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the service alone.
    pub fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        wait_for(PATIENCE, "the service ends", || self.child.try_wait().expect("its status"))
    }

    /// SIGTERM, and its end.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// `GET` of a page on `http.listen`: status and body. Status 0: nobody answered.
    pub fn get(&self, path: &str) -> (u16, String) {
        let address: SocketAddr = self.world.coin().http_listen.expect("http.listen is set");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        rpc::exchange(address, request.as_bytes()).unwrap_or_else(|error| (0, error.to_string()))
    }

    /// The value of a metric that has one series.
    pub fn metric(&self, name: &str) -> String {
        let (status, page) = self.get("/metrics");
        assert_eq!(status, 200, "{page}");
        let of_name = |line: &&str| line.starts_with(name) && line[name.len()..].starts_with('{');
        let mut lines = page.lines().filter(of_name);
        let value = lines.next().and_then(|line| line.rsplit_once(' ')).unwrap_or_else(|| panic!("no {name} in:\n{page}"));
        assert_eq!(lines.next(), None, "{name} has one series");
        value.1.to_owned()
    }

    fn refuse_end(&mut self) {
        if let Some(status) = self.child.try_wait().expect("its status") {
            panic!("the service ended ({status}):\n{}", self.log());
        }
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the service said:\n{}", self.log());
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            // The world stops the daemon, so the service need not be asked kindly.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl World {
    /// Runs one verb with JSON output, to its end: the answer and the exit code.
    pub fn order(&self, args: &[&str]) -> (Value, i32) {
        let output = self.bursar(&[&["--output", "json"], args].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        let answer = serde_json::from_str(text.trim())
            .unwrap_or_else(|error| panic!("{args:?}: {error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        (answer, output.status.code().unwrap_or(-1))
    }

    /// Runs one verb that must exit with 0.
    pub fn done(&self, args: &[&str]) -> Value {
        let (answer, code) = self.order(args);
        assert_eq!(code, 0, "{args:?}: {answer}");
        answer
    }

    /// A hold on the daemon's process, which must run.
    pub fn daemon_process(&self) -> Process {
        Process(pidfd_open(raw_pid(self.daemon_pid().expect("a daemon that runs")), PidfdFlags::empty()).expect("its handle"))
    }

    /// The same by the keeper's own record, when no keeper runs that could tell.
    pub fn daemon_process_of_record(&self) -> Process {
        let text = fs::read(self.coin().daemon_dir().join("keeper.json")).expect("the keeper's record");
        let record: Value = serde_json::from_slice(&text).expect("JSON");
        let pid = record["process"]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a daemon that was started");
        Process(pidfd_open(raw_pid(pid), PidfdFlags::empty()).expect("its handle"))
    }

    /// Makes the folders for backups.
    pub fn make_backup_places(&self) {
        self.coin().backup.directories.iter().for_each(|directory| fs::create_dir_all(directory).expect("a folder"));
    }
}

/// A hold on a process, whatever becomes of its number.
pub struct Process(OwnedFd);

impl Process {
    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        has_ended(&self.0, Duration::ZERO)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        pidfd_send_signal(&self.0, signal).expect("the signal");
    }
}

/// Sends a signal to a child that was not waited for yet.
pub(super) fn send(pid: u32, signal: Signal) {
    let process = pidfd_open(raw_pid(pid), PidfdFlags::empty()).expect("its handle");
    pidfd_send_signal(&process, signal).expect("the signal");
}
