//! The way of an export: by the running service, as it is read, whoever waits.

use std::io::Read;
use std::process::Stdio;

use crate::support::{Generation, PATIENCE, Service, World, wait_for};
use crate::{export, words};

/// Deposits whose export is larger than all buffers between store and reader.
const DEPOSITS: usize = 1800;

fn long() -> World {
    let world = World::new(Generation::Litecoin021);
    drop(world.start_daemon());
    world.fund(&["0.01"; DEPOSITS]);
    world.done(&["ledger", "sync"]);
    world
}

#[test]
fn a_service_exports_what_the_store_holds_and_waits_for_no_reader() {
    let world = long();
    let alone: Vec<String> = ["csv", "jsonl", "hledger", "ledger"].map(|format| export(&world, format, &[])).into();
    assert!(alone[1].len() > 850_000, "{}", alone[1].len());
    let service = Service::start(&world);
    for (format, alone) in ["csv", "jsonl", "hledger", "ledger"].iter().zip(&alone) {
        assert!(export(&world, format, &[]) == *alone, "{format}");
    }

    // Nobody reads: orders are carried out meanwhile, and what they post is not in it.
    let mut slow = world.bursar_command(&["ledger", "export", "--format", "jsonl"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut text = slow.stdout.take().unwrap();
    let mut begin = [0; 1];
    text.read_exact(&mut begin).unwrap();
    world.pay_in(&world.new_address(), "1");
    world.mine(1);
    assert_eq!(world.done(&["ledger", "sync"])["posted"], 1);
    let mut read = String::from_utf8(begin.to_vec()).unwrap();
    text.read_to_string(&mut read).unwrap();
    assert!(slow.wait().unwrap().success());
    assert!(read == alone[1]);
    assert!(export(&world, "jsonl", &[]).starts_with(&alone[1]));

    // Whoever reads no further has what it wanted.
    let mut head = world.bursar_command(&["ledger", "export", "--format", "csv"]).stdout(Stdio::piped()).spawn().unwrap();
    head.stdout.take().unwrap().read_exact(&mut begin).unwrap();
    assert!(head.wait().unwrap().success());
    assert!(service.stop().success());
}

#[test]
fn an_export_that_is_cut_off_is_not_taken_for_a_whole_one() {
    let world = long();
    let service = Service::start(&world);
    let mut child = world
        .bursar_command(&["ledger", "export", "--format", "jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 1]).unwrap();
    drop(service);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the export ended early"), "{}", words(&output));
    wait_for(PATIENCE, "the store is free", || world.bursar(&["ledger", "balance"]).status.success().then_some(()));
}
