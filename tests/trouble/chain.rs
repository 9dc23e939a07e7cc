//! Damaged chain data, conf lines that a daemon refuses, files of its own that it cannot read.

use std::fs;
use std::net::TcpListener;

use serde_json::json;

use crate::support::{Generation, World, wait_for};
use crate::{DEADLINE, fails_with, refusal, with_each_keeper};

/// Overwrites the middle of every file in a folder whose name has one of these endings.
fn damage(folder: &std::path::Path, endings: &[&str]) {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| endings.iter().any(|ending| file.to_string_lossy().ends_with(ending))) {
        let junk: Vec<u8> = (0..file.metadata().unwrap().len()).map(|at| (at * 7 + 13) as u8).collect();
        fs::write(file, junk).unwrap();
    }
}

#[test]
fn a_damaged_block_index_leads_to_a_reindex_that_mends_it() {
    for generation in Generation::ALL {
        with_each_keeper(
            || World::new(generation),
            |world| {
                let mut keeper = world.start_daemon();
                world.mine_to_wallet(3);
                keeper.stop().unwrap();
                damage(&world.coin().chain_dir().join("blocks/index"), &[".log", ".ldb"]);
                let (code, said) = refusal(keeper.start(&[]));
                assert_eq!(code, "daemon_not_started", "{said}");
                assert!(said.contains("--with=-reindex") && !said.contains("repair"), "{generation:?}: {said}");
                keeper.start(&["-reindex"]).unwrap();
                wait_for(DEADLINE, "the chain", || (world.node_rpc("getblockcount", json!([])) == 3).then_some(()));
                keeper.stop().unwrap();
            },
        );
    }
}

#[test]
fn damaged_chain_state_is_told_with_the_shorter_way_first() {
    for generation in Generation::ALL {
        with_each_keeper(
            || World::new(generation),
            |world| {
                let mut keeper = world.start_daemon();
                world.mine(3);
                keeper.stop().unwrap();
                let chainstate = world.coin().chain_dir().join("chainstate");
                let manifest = fs::read_dir(&chainstate).unwrap().map(|entry| entry.unwrap().path());
                let manifest = manifest.into_iter().find(|path| path.to_string_lossy().contains("MANIFEST")).unwrap();
                fs::write(manifest, "junk".repeat(100)).unwrap();
                let words = ["the chain data is damaged, the wallet is not", "bursar daemon start --with=-reindex-chainstate"];
                fails_with(keeper.start(&[]), "daemon_not_started", &words);
                keeper.start(&["-reindex-chainstate"]).unwrap();
                wait_for(DEADLINE, "the chain", || (world.node_rpc("getblockcount", json!([])) == 3).then_some(()));
                keeper.stop().unwrap();
            },
        );
    }
}

#[test]
fn a_conf_that_somebody_spoiled_is_written_anew_and_a_refused_value_is_named() {
    for generation in Generation::ALL {
        with_each_keeper(
            || World::new(generation),
            |world| {
                let mut keeper = world.keeper();
                fs::create_dir_all(world.coin().daemon_dir()).unwrap();
                fs::write(world.coin().conf_file(), "regtest=1\nrpcport\n-what\n\u{0}\u{1}").unwrap();
                keeper.start(&[]).unwrap();
                keeper.stop().unwrap();
                let words = ["Invalid -rpcallowip subnet", "the conf file is refused", "bursar render"];
                let (_, said) = refusal(keeper.start(&["-rpcallowip=bogus"]));
                assert!(
                    words[1..].iter().all(|word| said.contains(word)) || said.contains("HTTP server"),
                    "{generation:?}: {said}"
                );
            },
        );
    }
}

#[test]
fn broken_files_beside_the_chain_are_named() {
    let settings = World::new(Generation::Litecoin021);
    let mut keeper = settings.start_daemon();
    keeper.stop().unwrap();
    fs::write(settings.coin().chain_dir().join("settings.json"), "{ half").unwrap();
    fails_with(keeper.start(&[]), "daemon_not_started", &["settings.json", "move settings.json"]);
    let peers = World::new(Generation::Knots);
    let mut keeper = peers.start_daemon();
    keeper.stop().unwrap();
    fs::write(peers.coin().chain_dir().join("peers.dat"), "junk".repeat(50)).unwrap();
    fails_with(keeper.start(&[]), "daemon_not_started", &["peers.dat", "it is made anew"]);
}

#[test]
fn the_same_port_on_another_address_is_nobodys_business() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        // Only 127.0.0.1 is bound, so a program on ::1 is neither in the way nor asked.
        let other = TcpListener::bind(("::1", world.coin().daemon.rpc_port));
        if other.is_err() && TcpListener::bind(("::1", 0)).is_err() {
            println!("NOT TRIED: this host has no loopback of IPv6");
            return;
        }
        let _other = other.unwrap();
        let mut keeper = world.start_daemon();
        world.mine(1);
        keeper.stop().unwrap();
    }
}
