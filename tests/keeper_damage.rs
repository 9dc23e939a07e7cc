//! What the keeper makes of damaged and missing files, on real daemons.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::fs;
use std::time::Duration;

use bursar::keeper::{KeeperError, wallet_dir};
use serde_json::json;
use support::{Generation, World, wait_for};

const DEADLINE: Duration = Duration::from_secs(30);

/// The text of a start that failed.
fn refusal(result: Result<(), KeeperError>) -> String {
    match result {
        Err(error @ KeeperError::NotStarted { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_damaged_wallet_leads_to_the_repair_ladder() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let mut keeper = world.start_daemon();
        world.new_address();
        keeper.stop().unwrap();
        let file = wallet_dir(world.coin()).join("wallet.dat");
        let whole = fs::read(&file).unwrap();
        fs::write(&file, "junk".repeat(1000)).unwrap();

        let refused = refusal(keeper.start(&[]));
        assert!(refused.contains("bursar repair plan"), "{generation:?}: {refused}");
        if generation == Generation::Litecoin018 {
            // It may have swapped the file: nobody starts it again before somebody has looked, not even another keeper.
            let again = world.keeper().start(&[]);
            assert!(matches!(&again, Err(KeeperError::SuspectWallet { line }) if line.contains("salvage failed")), "{again:?}");
            // Nor is the suspicion lost with the file that it stands in.
            fs::write(world.coin().daemon_dir().join("keeper.json"), "{\"process\": nul").unwrap();
            world.keeper().stop().unwrap();
            let again = world.keeper().start(&[]);
            assert!(matches!(&again, Err(KeeperError::SuspectWallet { line }) if line.contains("salvage failed")), "{again:?}");
        }
        for entry in fs::read_dir(wallet_dir(world.coin())).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().contains(".bak")) {
                fs::remove_file(path).unwrap();
            }
        }
        fs::write(&file, whole).unwrap();
        keeper.trust_wallet().unwrap();
        keeper.start(&[]).unwrap();
        assert_eq!(world.rpc("getbalance", json!([])).to_string().trim_end_matches(['0', '.']), "", "{generation:?}");
    }
}

#[test]
fn a_salvage_by_order_that_ends_in_silence_makes_the_wallet_suspect() {
    let world = World::new(Generation::Litecoin018);
    let mut keeper = world.start_daemon();
    world.new_address();
    keeper.stop().unwrap();
    let file = wallet_dir(world.coin()).join("wallet.dat");
    let half = fs::metadata(&file).unwrap().len() / 2;
    fs::File::options().write(true).open(&file).unwrap().set_len(half).unwrap();

    let refused = refusal(keeper.start(&["-salvagewallet"]));
    assert!(refused.contains("it printed nothing") && refused.contains("bursar repair plan"), "{refused}");
    let again = world.keeper().start(&[]);
    assert!(matches!(&again, Err(KeeperError::SuspectWallet { line }) if line.contains("salvage failed")), "{again:?}");
}

#[test]
fn a_failed_salvage_that_no_keeper_saw_is_found_by_the_next() {
    let world = World::new(Generation::Litecoin018);
    let mut keeper = world.start_daemon();
    keeper.stop().unwrap();
    keeper.start(&[]).unwrap();
    world.kill_daemon();
    drop(keeper);
    // What a start leaves behind whose keeper died before the daemon did.
    fs::write(world.coin().daemon_dir().join("keeper-output.log"), "Error: wallet.dat corrupt, salvage failed\n").unwrap();
    // A stop, as for a fence, finds nothing to stop and does not make it forgotten.
    for stop_first in [true, false] {
        let mut keeper = world.keeper();
        if stop_first {
            keeper.stop().unwrap();
        }
        let refused = keeper.start(&[]);
        assert!(matches!(&refused, Err(KeeperError::SuspectWallet { line }) if line.contains("salvage failed")), "{refused:?}");
    }
    let mut keeper = world.keeper();
    keeper.trust_wallet().unwrap();
    keeper.start(&[]).unwrap();
}

#[test]
fn damaged_chain_data_is_told_apart_from_a_damaged_wallet() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let mut keeper = world.start_daemon();
        world.mine(3);
        keeper.stop().unwrap();
        fs::write(world.coin().chain_dir().join("chainstate/CURRENT"), "junk").unwrap();
        let refused = refusal(keeper.start(&[]));
        assert!(refused.contains("-reindex-chainstate") && !refused.contains("repair"), "{generation:?}: {refused}");
        keeper.start(&["-reindex-chainstate"]).unwrap();
        wait_for(DEADLINE, "the chain", || (world.node_rpc("getblockcount", json!([])) == 3).then_some(()));
    }
}

#[test]
fn a_missing_wallet_file_is_never_replaced_by_an_empty_wallet_of_that_name() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let mut keeper = world.start_daemon();
        keeper.stop().unwrap();
        fs::remove_file(wallet_dir(world.coin()).join("wallet.dat")).unwrap();
        keeper.start(&[]).unwrap();
        let path = format!("/wallet/{}", world.coin().wallet.name);
        let missing = world.try_rpc(&path, "getwalletinfo", json!([])).unwrap_err();
        assert_eq!(missing.code, -18, "{generation:?}: {missing:?}");
    }
}
