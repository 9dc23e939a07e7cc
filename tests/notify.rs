//! What the service tells systemd, received on a real datagram socket, and what it writes for the journal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::{Generation, PATIENCE, Service, World};

/// systemd's end.
struct Manager(UnixDatagram);

impl Manager {
    fn of(world: &World) -> Manager {
        let socket = UnixDatagram::bind(world.dir().join("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        Manager(socket)
    }

    /// A service that is told of this manager, and of a watchdog of three seconds.
    fn start<'w>(&self, world: &'w World) -> Service<'w> {
        Service::spawn_as(world, |_| {
            let mut command = world.bursar_command(&["run"]);
            command.env("NOTIFY_SOCKET", world.dir().join("notify")).env("WATCHDOG_USEC", "3000000");
            command
        })
    }

    /// The lines of one message; none: nothing came for a second.
    fn message(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let Ok(length) = self.0.recv(&mut bytes) else { return Vec::new() };
        String::from_utf8(bytes[..length].to_vec()).unwrap().lines().map(str::to_owned).collect()
    }

    /// Everything that was said by a service that has ended.
    fn rest(&self) -> Vec<String> {
        std::iter::from_fn(|| Some(self.message()).filter(|message| !message.is_empty())).flatten().collect()
    }

    /// Everything up to and with the first line that is wanted.
    #[track_caller]
    fn until(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let began = Instant::now();
        let mut heard = Vec::new();
        while began.elapsed() < PATIENCE {
            heard.extend(self.message());
            if heard.iter().any(|line| wanted(line)) {
                return heard;
            }
        }
        panic!("never told; instead: {heard:?}");
    }
}

fn count(lines: &[String], line: &str) -> usize {
    lines.iter().filter(|heard| *heard == line).count()
}

#[test]
fn a_service_tells_when_it_is_ready_well_unwell_and_stopping() {
    let world = World::new(Generation::Litecoin021);
    let manager = Manager::of(&world);
    let mut service = manager.start(&world);

    let heard = manager.until(|line| line == "READY=1");
    assert!(heard.iter().any(|line| line.starts_with("STATUS=waiting for the daemon")), "{heard:?}");
    UnixStream::connect(world.coin().control_socket()).expect("ready means that it listens");
    assert!(world.daemon_pid().is_some(), "the daemon of its own runs");
    let heard = manager.until(|line| line == "STATUS=all well");
    assert_eq!(count(&heard, "READY=1"), 0, "told once");

    // A daemon that hangs keeps the worker waiting in its calls, and that is not being stuck.
    let daemon = world.daemon_process();
    daemon.signal(Signal::STOP);
    let asking = std::thread::scope(|scope| {
        let asking = scope.spawn(|| world.order(&["ledger", "sync"]));
        manager.until(|line| line.starts_with("STATUS=ledger_sync"));
        manager.until(|line| line.contains("the daemon does not answer"));
        for _ in 0..3 {
            manager.until(|line| line == "WATCHDOG=1");
        }
        daemon.signal(Signal::CONT);
        asking.join().unwrap()
    });
    assert!(asking.1 == 0 || asking.1 == 75, "{asking:?}");
    manager.until(|line| line == "STATUS=all well");

    service.signal(Signal::TERM);
    let heard = manager.until(|line| line == "STOPPING=1");
    assert_eq!(count(&heard, "READY=1"), 0);
    assert_eq!(count(&heard, "EXTEND_TIMEOUT_USEC=120000000"), 1, "what is under way gets its time: {heard:?}");
    assert_eq!(service.ended().code(), Some(0));
}

#[test]
fn a_service_whose_keeper_is_away_is_ready_and_says_that_it_is_unwell() {
    waits_for_its_daemon(&World::with(Generation::Litecoin021, &[("daemon.separate_keeper", "true")]));
}

#[test]
fn a_service_whose_attached_daemon_is_away_is_ready_and_says_that_it_is_unwell() {
    let attached = [("daemon.mode", "\"attach\""), ("daemon.rpc_credentials_file", "\"identity.txt\"")];
    waits_for_its_daemon(&World::with(Generation::Litecoin021, &attached));
}

fn waits_for_its_daemon(world: &World) {
    let manager = Manager::of(world);
    let mut service = manager.start(world);
    manager.until(|line| line == "READY=1");
    manager.until(|line| line == "STATUS=unwell: the daemon does not answer");
    manager.until(|line| line == "WATCHDOG=1");
    service.signal(Signal::TERM);
    manager.until(|line| line == "STOPPING=1");
    assert_eq!(service.ended().code(), Some(0));
}

#[test]
fn a_service_that_cannot_start_is_never_ready() {
    let world = World::with(Generation::Litecoin021, &[("daemon.program", "\"/nonexistent/litecoind\"")]);
    let manager = Manager::of(&world);
    let mut service = manager.start(&world);
    assert_ne!(service.ended().code(), Some(0));
    assert_eq!(count(&manager.rest(), "READY=1"), 0);
}

#[test]
fn a_service_that_is_stopped_before_it_was_ready_is_never_ready() {
    let world = World::new(Generation::Litecoin021);
    let manager = Manager::of(&world);
    let mut service = manager.start(&world);
    // The signal finds the worker in the start of its daemon, which it finishes.
    manager.until(|line| line.starts_with("STATUS=waiting for the daemon"));
    service.signal(Signal::TERM);
    manager.until(|line| line == "STOPPING=1");
    service.ended();
    assert_eq!(count(&manager.rest(), "READY=1"), 0);
}

/// A service whose stderr is the journal's, as far as it can tell.
fn start_for_the_journal(world: &World) -> Service<'_> {
    Service::spawn_as(world, |log| {
        let facts = log.metadata().unwrap();
        let mut command = world.bursar_command(&["run"]);
        command.env("JOURNAL_STREAM", format!("{}:{}", facts.dev(), facts.ino())).env_remove("RUST_LOG");
        command
    })
}

#[test]
fn lines_for_the_journal_begin_with_their_priority_and_have_no_time() {
    let away = World::with(Generation::Litecoin021, &[("daemon.separate_keeper", "true")]);
    let mut service = start_for_the_journal(&away);
    support::wait_for(PATIENCE, "it listens", || UnixStream::connect(away.coin().control_socket()).ok());
    support::wait_for(PATIENCE, "a warning", || service.log().contains("backup directory").then_some(()));
    service.signal(Signal::TERM);
    service.ended();
    let log = service.log();
    for line in ["<4>backup directory", "<6>SIGTERM"] {
        assert!(log.lines().any(|said| said.starts_with(line)), "{line}: {log}");
    }
    assert!(log.lines().all(|line| line.starts_with('<')), "{log}");

    let wrong = World::with(Generation::Litecoin021, &[("daemon.program", "\"/nonexistent/litecoind\"")]);
    let mut service = start_for_the_journal(&wrong);
    service.ended();
    assert!(service.log().lines().any(|line| line.starts_with("<3>bursar: ")), "the end, with its reason: {}", service.log());
}
