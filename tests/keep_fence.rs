//! A `bursar keep` and a service that die, or meet others, between the stop and the start of a daemon: for a fence, for new passwords, at the end of
//! a keeper.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::thread;

use bursar::coin::Timestamp;
use bursar::daemon::{RpcError, RpcWallet, Wallet};
use bursar::keeper::{Keeper, Phase, ProcessState};
use bursar::payout::{self, KeptHost, LocalHost, Observer, PayoutError, Step};
use bursar::store::Store;
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use serde_json::json;
use support::{Fault, FaultProxy, Generation, Keep, PATIENCE, Service, World, wait_for};

const SEPARATE: (&str, &str) = ("daemon.separate_keeper", "true");

/// The parts of a step's observer: does something once, behind the fence.
struct Behind<F>(Option<F>);

impl<F: FnOnce()> Observer for Behind<F> {
    fn step(&mut self, step: Step) {
        if matches!(step, Step::Fenced(_))
            && let Some(act) = self.0.take()
        {
            act();
        }
    }
}

fn phase(keeper: &mut Keeper) -> Option<Phase> {
    keeper.report().ok().map(|report| report.phase)
}

#[test]
fn a_keeper_that_began_behind_the_fence_with_the_old_passwords_hinders_no_resolution() {
    let world = World::behind(Generation::Litecoin018, &[SEPARATE], FaultProxy::start);
    let keep = RefCell::new(Some(Keep::start(&world)));
    world.done(&["daemon", "start"]);
    world.fund(&["2"]);
    world.done(&["ledger", "sync"]);
    world.done(&["pay", "submit", "--id", "a", "--address", &world.outside_address(), "--amount", "0.5"]);
    world.proxy.as_ref().unwrap().once("sendmany", Fault::DropCall);
    let (flushed, _) = world.order(&["pay", "flush"]);
    assert_eq!(flushed["batches"][0]["state"], "in_doubt", "{flushed}");

    let hashes = world.coin().rpcauth_file();
    let (old, late) = (fs::read(&hashes).unwrap(), world.credentials());
    // The daemon has stopped, and systemd starts its keeper again a moment before the new passwords are there.
    let race = || {
        let new = fs::read(&hashes).unwrap();
        assert_ne!(new, old);
        keep.take().unwrap().kill();
        fs::write(&hashes, &old).unwrap();
        keep.replace(Some(Keep::start(&world)));
        fs::write(&hashes, &new).unwrap();
    };
    let mut store = Store::open(&world.coin().service_dir()).unwrap();
    let mut connect = || Ok(Box::new(RpcWallet::connect(world.coin())?) as Box<dyn Wallet>);
    let (mut keeper, mut behind) = (world.keeper(), Behind(Some(race)));
    let mut host = KeptHost { host: LocalHost { coin: world.coin() }, keeper: &mut keeper };
    let resolved = payout::resolve(&mut store, &mut connect, &mut host, world.coin(), false, &mut behind, Timestamp::now());
    assert!(matches!(resolved, Err(PayoutError::Rpc(RpcError::Http { status: 401, .. }))), "{resolved:?}");
    drop((behind, store));

    let resolved = world.done(&["pay", "resolve", "--yes"]);
    assert_eq!(resolved["batches"][0]["resolution"]["not_sent"]["times"], 1, "{resolved}");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], world.coin().daemon.rpc_port));
    let late = support::call(address, &late, "/", "getblockcount", json!([]));
    assert_eq!(late.unwrap_err().code, 401, "a late copy of the call is refused");
}

#[test]
fn a_service_makes_up_for_the_start_that_an_earlier_one_owed() {
    for generation in [Generation::Litecoin018, Generation::Knots] {
        let world = World::with(generation, &[SEPARATE]);
        let _keep = Keep::start(&world);
        assert!(Service::start(&world).stop().success());
        let mut keeper = world.keeper();
        keeper.stop_for_restart().unwrap();
        assert!(keeper.report().unwrap().awaits_start);
        // The service died here, whether or not it had made new passwords.
        bursar::daemon::renew(world.coin()).unwrap();
        let service = Service::start(&world);
        assert_eq!(phase(&mut keeper), Some(Phase::Ready));
        assert!(!keeper.report().unwrap().awaits_start);

        // The same while a service runs: its start was refused or lost.
        keeper.stop_for_restart().unwrap();
        wait_for(PATIENCE, "the daemon is back", || (phase(&mut keeper) == Some(Phase::Ready)).then_some(()));

        world.done(&["daemon", "stop"]);
        assert!(!keeper.report().unwrap().awaits_start, "a person's word stands");
        assert!(service.stop().success());
    }
}

/// Refuses every password, as another daemon would that has the port.
fn refuse_all(listener: TcpListener) {
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
}

#[test]
fn a_daemon_that_a_person_stopped_stays_stopped_though_another_program_answers_on_its_port() {
    let world = World::with(Generation::Litecoin021, &[SEPARATE]);
    let keep = Keep::start(&world);
    world.done(&["daemon", "start"]);
    world.done(&["daemon", "stop"]);
    refuse_all(TcpListener::bind(("127.0.0.1", world.coin().daemon.rpc_port)).unwrap());
    let service = Service::spawn(&world);
    wait_for(PATIENCE, "the service waits", || service.log().contains("waiting for the daemon").then_some(()));
    let report = world.keeper().report().unwrap();
    assert_eq!((report.phase, report.process), (Phase::Stopped, ProcessState::Stopped), "{}", keep.log());
    assert!(service.stop().success());
}

#[test]
fn a_keeper_gives_its_turn_away_only_when_its_socket_is_gone() {
    let world = World::new(Generation::Litecoin018);
    let mut keep = Keep::start(&world);
    // A client that says nothing: the end of the keeper waits for it for a moment.
    let silent = UnixStream::connect(world.coin().keeper_socket()).unwrap();
    let lock = File::open(world.coin().daemon_dir().join("keeper.lock")).unwrap();
    keep.signal(Signal::TERM);
    wait_for(PATIENCE, "the turn is free", || flock(&lock, FlockOperation::NonBlockingLockExclusive).ok());
    assert!(!world.coin().keeper_socket().exists(), "it would remove the socket of the next");
    drop((lock, silent));
    assert!(keep.ended().success());
}
