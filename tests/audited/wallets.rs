//! Other wallets, and other files.

use std::fs;
use std::path::PathBuf;

use bursar::keeper::wallet_dir;
use serde_json::json;

use crate::scene::Scene;
use crate::support::{Generation, World};
use crate::{ALL, Made, Says, Trouble, WITH_KEYS, on_each_daemon};

pub(crate) const TROUBLES: &[Trouble] = &[
    Trouble {
        kind: "the daemon does not run",
        on: ALL,
        says: Says::Fails("daemon_unreachable"),
        names: &[],
        frozen: false,
        make: |scene| {
            scene.keeper.stop().unwrap();
            Made::until(&[], |scene| scene.start(&[]))
        },
    },
    Trouble {
        kind: "the wallet was unloaded",
        on: ALL,
        says: Says::Agrees,
        names: &[],
        frozen: false,
        make: |scene| {
            scene.world.rpc("unloadwallet", json!([]));
            Made::until(&[], |_| {})
        },
    },
    Trouble {
        kind: "another wallet has the name",
        on: ALL,
        says: Says::Fails("other_wallet"),
        names: &[],
        frozen: true,
        make: |scene| {
            let stranger = World::new(scene.world.generation);
            let _other = stranger.start_daemon();
            let copy = scene.world.dir().join("another.dat");
            stranger.wallet_file_to(&copy);
            let ours = replace_file(scene, &copy);
            assert_eq!(scene.audit().says, "other_wallet");
            assert_eq!(scene.causes(), ["wallet".to_owned()].into());
            Made::until(&[], move |scene| _ = replace_file(scene, &ours))
        },
    },
    Trouble {
        kind: "the wallet's file is gone",
        on: ALL,
        says: Says::Fails("daemon"),
        names: &[],
        frozen: false,
        make: |scene| {
            scene.keeper.stop().unwrap();
            let (file, kept) = (file_of(scene), scene.world.dir().join("kept.dat"));
            fs::rename(&file, &kept).unwrap();
            scene.start(&[]);
            Made::until(&[], move |scene| {
                scene.keeper.stop().unwrap();
                fs::rename(kept, file).unwrap();
                scene.start(&[]);
            })
        },
    },
    Trouble {
        kind: "the wallet's file is of yesterday, and it found its coins",
        on: &[Generation::Knots],
        says: Says::Agrees,
        names: &[],
        frozen: false,
        make: |scene| {
            go_back_a_day(scene);
            Made::until(&[], |_| {})
        },
    },
    Trouble {
        kind: "the wallet's file is of yesterday, and it found its coins but not all addresses",
        on: WITH_KEYS,
        says: Says::Agrees,
        names: &[],
        frozen: true,
        make: |scene| {
            go_back_a_day(scene);
            Made::until(&[], |scene| {
                assert_eq!(scene.causes(), ["shrunk_wallet".to_owned()].into());
                scene.thaw_all();
            })
        },
    },
    Trouble {
        kind: "the wallet's file is older than its key pool",
        on: ALL,
        says: Says::Unexplained,
        names: &["lost"],
        frozen: true,
        make: |scene| {
            let old = scene.world.dir().join("old.dat");
            scene.world.wallet_file_to(&old);
            for _ in 0..120 {
                scene.world.new_address();
            }
            let lost = scene.final_deposit("0.4");
            scene.assert_agrees("today");
            replace_file(scene, &old);
            assert!(!scene.knows(&lost));
            Made::until(&[("lost", lost)], |scene| {
                scene.world.rpc("keypoolrefill", json!([200]));
                scene.rescan();
                scene.audit();
                scene.thaw_all();
            })
        },
    },
    Trouble {
        kind: "the wallet was encrypted, and has new keys",
        on: &[Generation::Litecoin018, Generation::Knots],
        says: Says::Fails("other_wallet"),
        names: &[],
        frozen: true,
        make: |scene| {
            encrypt(scene);
            Made::until(&[], |scene| _ = scene.world.done(&["ledger", "rekeyed", "--reason", "encrypted, ticket 816", "--yes"]))
        },
    },
    Trouble {
        kind: "the wallet was encrypted, and has its keys",
        on: &[Generation::Litecoin021],
        says: Says::Agrees,
        names: &[],
        frozen: false,
        make: |scene| {
            encrypt(scene);
            Made::until(&[], |_| {})
        },
    },
];

on_each_daemon!(TROUBLES, Scene::of);

fn file_of(scene: &Scene) -> PathBuf {
    wallet_dir(scene.world.coin()).join("wallet.dat")
}

/// Puts another file in the place of the wallet's, with the daemon stopped meanwhile. Returns where ours is now.
fn replace_file(scene: &mut Scene, other: &PathBuf) -> PathBuf {
    scene.keeper.stop().unwrap();
    let kept = (0..).map(|number| scene.world.dir().join(format!("kept-{number}.dat"))).find(|path| !path.exists()).unwrap();
    fs::rename(file_of(scene), &kept).unwrap();
    fs::copy(other, file_of(scene)).unwrap();
    scene.start(&[]);
    kept
}

/// A copy of the wallet comes back after a deposit and a payout that it does not have.
fn go_back_a_day(scene: &mut Scene) {
    let yesterday = scene.world.dir().join("yesterday.dat");
    scene.world.wallet_file_to(&yesterday);
    scene.final_deposit("0.35");
    scene.payout("0.25");
    scene.world.mine(4);
    scene.assert_agrees("today");
    replace_file(scene, &yesterday);
}

/// Some daemons stop after it.
fn encrypt(scene: &mut Scene) {
    scene.world.rpc("encryptwallet", json!(["a passphrase"]));
    scene.restart(&[]);
}
