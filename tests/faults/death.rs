//! A daemon that dies between two calls of one order.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use bursar::keeper::ProcessState;
use rustix::process::Signal;

use crate::scene::{Ran, exit_of, run, unchanged};
use crate::support::{BURN_ADDRESS, Fault, Generation, Moment, PATIENCE, World, wait_for};

/// A world behind a proxy with money, one payout in its queue, and places for backups.
fn ready_to_pay() -> World {
    let world = World::behind_proxy(Generation::Litecoin021);
    world.start_daemon();
    world.fund(&["5"]);
    for place in &world.coin().backup.directories {
        fs::create_dir_all(place).unwrap();
    }
    // A daemon that is killed forgets blocks that it had not flushed; on a private chain nobody tells it of them again.
    run(&world, &["daemon", "restart"]).done();
    run(&world, &["ledger", "sync"]).done();
    run(&world, &["pay", "submit", "--id", "p1", "--address", BURN_ADDRESS, "--amount", "1"]).done();
    world
}

/// Gives an order; the daemon answers its first call of `method` and is then killed.
fn dies_after(world: &World, method: &str, order: &[&str]) -> Ran {
    let proxy = world.proxy.as_ref().unwrap();
    let (daemon, last) = (world.daemon_process(), method.to_owned());
    proxy.watch(Some(Arc::new(move |moment, answered| {
        if moment == Moment::Answered && answered == last && !daemon.has_ended() {
            daemon.signal(Signal::KILL);
            wait_for(PATIENCE, "its end", || daemon.has_ended().then_some(()));
        }
        Fault::Pass
    })));
    let ran = run(world, order);
    proxy.watch(None);
    ran
}

fn archives(world: &World) -> Vec<PathBuf> {
    let places = world.coin().backup.directories.iter();
    places.flat_map(|place| fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path())).collect()
}

#[test]
fn an_order_whose_daemon_dies_in_the_middle_leaves_everything_as_it_was() {
    let world = ready_to_pay();
    let rows: [(&[&str], &str); 5] = [
        (&["ledger", "sync"], "listwallets"),
        (&["ledger", "sync"], "listsinceblock"),
        (&["audit", "run"], "listunspent"),
        (&["pay", "flush"], "listwallets"),
        (&["backup", "create"], "listwallets"),
    ];
    for (order, method) in rows {
        let name = format!("{} after {method}", order.join(" "));
        let ran = unchanged(&world, &name, || dies_after(&world, method, order));
        ran.fails_with(&name, exit_of(order, 75), "daemon_no_answer", &["no answer from the daemon", "bursar status"]);
        assert_eq!(archives(&world), Vec::<PathBuf>::new(), "{name}");
        assert!(matches!(world.keeper().state(), ProcessState::Exited { .. }), "the next status tells of the death");
        let status = run(&world, &["status"]).done();
        assert!(status["process"]["exited"].is_object() && status["daemon_error"].is_string(), "{status}");
        run(&world, &["daemon", "start"]).done();
        assert_eq!(run(&world, &["pay", "show", "p1"]).done()["payout"]["state"], "queued");
    }
    for order in [&["audit", "run"][..], &["backup", "create"], &["pay", "flush"]] {
        run(&world, order).done();
    }
    assert_eq!(world.proxy.as_ref().unwrap().forwarded("sendmany"), 1);
    assert_eq!(archives(&world).len(), 2);
}

#[test]
fn a_copy_of_the_wallet_whose_answer_is_lost_leaves_no_archive_and_no_plain_copy() {
    let world = ready_to_pay();
    for fault in [Fault::DropCall, Fault::DropReply, Fault::TruncateReply(30)] {
        let name = format!("{fault:?}");
        world.proxy.as_ref().unwrap().once("backupwallet", fault);
        let ran = run(&world, &["backup", "create"]);
        ran.fails_with(&name, 75, "daemon_no_answer", &["RPC backupwallet", "no answer from the daemon"]);
        assert_eq!(archives(&world), Vec::<PathBuf>::new(), "{name}");
        let handover = fs::read_dir(world.coin().daemon_dir().join("handover")).unwrap();
        assert_eq!(handover.count(), 0, "{name}: the daemon's plain copy is gone");
    }
    run(&world, &["backup", "create"]).done();
    assert_eq!(archives(&world).len(), 2);
}
