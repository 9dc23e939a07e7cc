//! A kept daemon that is not as it should be, through the real program: one that could not be started again after a fence, and one
//! that salvaged its wallet by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "payouts/bench.rs"]
mod bench;
mod support;

use std::fs;
use std::time::Duration;

use bench::{Bench, payee, script_of};
use bursar::gate::{self, Cause};
use bursar::keeper::wallet_dir;
use bursar::service::exit;
use bursar::store::{Store, StoreError};
use serde_json::{Value, json};
use support::{Fault, Generation, PATIENCE, Service, World, wait_for};

/// What `bursar` answers, as JSON.
fn ask(world: &World, args: &[&str]) -> Value {
    let output = world.bursar(&[args, &["--output", "json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

#[test]
fn a_daemon_that_did_not_start_after_a_fence_is_started_again_and_one_that_a_person_stopped_is_not() {
    let (world, keeper) = Bench::new(World::behind_proxy(Generation::Litecoin018)).part();
    drop(keeper);
    let _service = Service::start(&world);
    let (address, proxy) = (payee(1), world.proxy.as_ref().unwrap());
    let submitted = world.bursar(&["pay", "submit", "--id", "a", "--address", &address, "--amount", "0.5"]);
    assert!(submitted.status.success(), "{submitted:?}");
    proxy.once("sendmany", Fault::DropCall);
    // A folder where the conf belongs: the daemon can be stopped, and nothing can be started.
    let conf = world.coin().conf_file();
    fs::rename(&conf, conf.with_extension("away")).unwrap();
    fs::create_dir_all(conf.join("in-the-way")).unwrap();
    world.bursar(&["pay", "flush"]);
    let failed = world.bursar(&["pay", "resolve", "--yes"]);
    assert!(!failed.status.success(), "{failed:?}");
    assert_eq!(world.daemon_pid(), None);
    fs::remove_dir_all(&conf).unwrap();
    // Nobody gives an order from here on.
    wait_for(PATIENCE, "the daemon", || world.daemon_pid());
    wait_for(PATIENCE, "the proof", || {
        ask(&world, &["pay", "show", "a"]).to_string().contains("proven not to be sent").then_some(())
    });
    let sent = || ask(&world, &["pay", "list", "--state", "sent"]).to_string().contains("\"a\"");
    wait_for(PATIENCE, "the payment", || {
        world.bursar(&["pay", "flush"]);
        sent().then_some(())
    });
    world.mine(1);
    assert_eq!(bench::paid_on_chain(&world)[&script_of(1)], [50_000_000]);

    assert!(world.bursar(&["daemon", "stop"]).status.success());
    std::thread::sleep(Duration::from_secs(4));
    assert!(ask(&world, &["daemon", "status"]).to_string().contains("stopped"));
    assert_eq!(world.daemon_pid(), None);
}

/// Damages one page after the other, the middle first and in ever smaller parts, until the daemon salvages the file by itself and comes
/// up: which page does that depends on what the wallet wrote where. It cannot in the second of an earlier try, whose copy has the name of its own.
fn start_on_a_damaged_wallet(world: &World, whole: &[u8]) {
    let file = wallet_dir(world.coin()).join("wallet.dat");
    let pages = whole.len() / 4096;
    for part in [4096, 512, 64] {
        for page in (1..pages).map(|step| (pages / 2 + step) % pages).filter(|page| *page > 0) {
            let mut damaged = whole.to_vec();
            for (at, byte) in damaged[(page + 1) * 4096 - part..(page + 1) * 4096].iter_mut().enumerate() {
                *byte = (at * 7 + 13) as u8;
            }
            fs::write(&file, damaged).unwrap();
            for copy in fs::read_dir(wallet_dir(world.coin())).unwrap().flatten() {
                if copy.path().extension().is_some_and(|ext| ext == "bak") {
                    fs::remove_file(copy.path()).unwrap();
                }
            }
            let started = world.bursar(&["daemon", "start"]);
            let printed = fs::read_to_string(world.coin().daemon_dir().join("keeper-output.log")).unwrap();
            if started.status.success() && printed.contains("data salvaged") {
                return;
            }
            world.bursar(&["daemon", "stop"]);
            world.keeper().trust_wallet().unwrap();
        }
    }
    panic!("no damage made the daemon salvage the wallet by itself");
}

#[test]
fn a_wallet_that_the_daemon_salvaged_by_itself_pays_nobody_before_somebody_looked() {
    let mut bench = Bench::new(World::new(Generation::Litecoin018));
    bench.settle();
    bench.submit("a", &payee(1), "0.5");
    bench.flush_chain_to_disk();
    bench.keeper.stop().unwrap();
    let (world, _keeper) = bench.part();
    let whole = fs::read(wallet_dir(world.coin()).join("wallet.dat")).unwrap();
    start_on_a_damaged_wallet(&world, &whole);
    assert_eq!(world.bursar(&["pay", "flush"]).status.code(), Some(i32::from(exit::FROZEN)));
    let mut store = Store::open(&world.coin().service_dir()).unwrap();
    let frozen = store.read::<_, StoreError>(gate::frozen).unwrap();
    let detail = &frozen.iter().find(|frozen| frozen.freeze.cause == Cause::Repair).unwrap().freeze.detail;
    assert!(detail.contains(".bak") && detail.contains("bursar repair"), "{detail}");
    assert_eq!(world.node_rpc("getrawmempool", json!([])), json!([]));
}
