//! The program is replaced by another version under our feet.

use std::fs;

use bursar::keeper::wallet_dir;
use serde_json::json;

use crate::support::{Generation, ProgramSwitch, World};
use crate::{fails_with, pid_of, with_each_keeper};

fn conf(world: &World) -> String {
    fs::read_to_string(world.coin().conf_file()).unwrap()
}

#[test]
fn an_upgrade_on_one_data_directory_keeps_wallet_and_balance_and_renders_the_conf_anew() {
    let switch = ProgramSwitch::to(Generation::Litecoin018);
    let world = || {
        switch.turn_to(Generation::Litecoin018);
        World::with(Generation::Litecoin018, &[("daemon.program", &switch.setting())])
    };
    with_each_keeper(world, |world| {
        let mut keeper = world.start_daemon();
        world.mine_to_wallet(2);
        world.mine(100);
        let (balance, address) = (world.rpc("getbalance", json!([])), world.new_address());
        let old_conf = conf(world);
        keeper.stop().unwrap();

        switch.turn_to(Generation::Litecoin021);
        keeper.start(&[]).unwrap();
        assert!(world.node_rpc("getnetworkinfo", json!([]))["version"].as_u64().unwrap() >= 210_000);
        assert_eq!(world.rpc("getbalance", json!([])), balance);
        assert_eq!(world.rpc("getaddressinfo", json!([address]))["ismine"], true);
        // What the new version knows and the old one did not is in the conf now, or there is nothing of that kind.
        let log = fs::read_to_string(world.coin().chain_dir().join("debug.log")).unwrap();
        assert!(!log.contains("Ignoring unknown configuration value"), "{old_conf}\n{}", conf(world));
        keeper.stop().unwrap();
    });
}

#[test]
fn the_way_back_from_a_newer_wallet_is_refused_and_nothing_is_changed() {
    let switch = ProgramSwitch::to(Generation::Litecoin021);
    let world = || {
        switch.turn_to(Generation::Litecoin021);
        World::with(Generation::Litecoin021, &[("daemon.program", &switch.setting())])
    };
    with_each_keeper(world, |world| {
        let mut keeper = world.start_daemon();
        world.mine(1);
        keeper.stop().unwrap();
        let file = wallet_dir(world.coin()).join("wallet.dat");
        let before = fs::read(&file).unwrap();
        switch.turn_to(Generation::Litecoin018);
        let words = ["Wallet requires newer version", "a newer daemon has written this wallet", "use that version again"];
        fails_with(keeper.start(&[]), "daemon_not_started", &words);
        switch.turn_to(Generation::Litecoin021);
        keeper.start(&[]).unwrap();
        assert!(!before.is_empty() && file.is_file());
        keeper.stop().unwrap();
    });
}

#[test]
fn a_program_that_is_replaced_between_the_look_at_it_and_its_start_does_not_run_on_the_others_conf() {
    let switch = ProgramSwitch::to(Generation::Litecoin018);
    let world = World::with(Generation::Litecoin018, &[("daemon.program", &switch.setting())]);
    // Asked for its options, the old version puts the new one in its own place.
    let new = switch.dir().join("upgrade");
    let upgraded = format!("#!/bin/sh\nexec {} \"$@\"\n", Generation::Litecoin021.program().display());
    fs::write(&new, upgraded).unwrap();
    fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let (new, old, place) = (new.display(), Generation::Litecoin018.program(), switch.program());
    switch.stand_in(Generation::Litecoin018, "exit 9");
    let script = format!("#!/bin/sh\nmv {new} {}\nexec {} \"$@\"\n", place.display(), old.display());
    fs::write(switch.program(), script).unwrap();
    let mut keeper = world.keeper();
    fails_with(keeper.start(&[]), "daemon_not_started", &["was replaced", "try again"]);
    assert!(world.daemon_pid().is_none());
    keeper.start(&[]).unwrap();
    pid_of(&mut keeper);
    keeper.stop().unwrap();
}
