//! Blocks that go.

use serde_json::json;

use crate::scene::{Scene, text};
use crate::support::Generation;
use crate::{ALL, Made, Says, Trouble, WITH_KEYS, on_each_daemon};

pub(crate) const TROUBLES: &[Trouble] = &[
    Trouble {
        kind: "a payout's block went, and it waits for another",
        on: ALL,
        says: Says::Agrees,
        names: &[],
        frozen: false,
        make: |scene| {
            let payout = scene.payout("0.6");
            scene.world.mine(2);
            scene.sync();
            scene.world.invalidate_from(scene.world.height() - 1);
            assert!(scene.in_mempool(&payout));
            Made::until(&[], move |scene| {
                scene.world.mine_to_other_address(3);
                assert!(!scene.in_mempool(&payout));
            })
        },
    },
    Trouble {
        kind: "a reorg double-spent a deposit",
        on: ALL,
        says: Says::Agrees,
        names: &[],
        frozen: false,
        make: |scene| {
            let fork = scene.world.height();
            let deposit = scene.deposit("0.8");
            scene.world.mine(scene.world.coin().final_depth - 1);
            scene.sync();
            let rival = scene.world.rival_of(&deposit);
            scene.world.invalidate_from(fork + 1);
            scene.world.mine_elsewhere(&[rival], 5);
            assert!(scene.confirmations(&deposit) < 0);
            Made::until(&[], |_| {})
        },
    },
    Trouble {
        kind: "a reorg double-spent a deposit that a payout had spent",
        on: ALL,
        says: Says::Agrees,
        names: &[],
        frozen: false,
        make: |scene| {
            double_spend_what_was_paid_from(scene, 1);
            Made::until(&[], |_| {})
        },
    },
    Trouble {
        kind: "a reorg below the final depth double-spent a deposit that a payout had spent",
        on: ALL,
        says: Says::Agrees,
        names: &[],
        frozen: true,
        make: |scene| {
            double_spend_what_was_paid_from(scene, scene.world.coin().final_depth);
            Made::until(&[], |scene| {
                scene.assert_frozen_by("deep_reorg");
                scene.thaw_all();
            })
        },
    },
    Trouble {
        kind: "a payout lost its block to a payment by hand of the same coin",
        on: ALL,
        says: Says::Unexplained,
        names: &["unexplained"],
        frozen: true,
        make: |scene| {
            let deposit = scene.final_deposit("1.1");
            let rival = scene.raw_spend(&scene.coin_of(&deposit));
            scene.lock_all_but(&deposit);
            let payout = scene.payout("1");
            scene.unlock_all();
            let fork = scene.world.height();
            scene.world.mine(2);
            scene.sync();
            scene.world.invalidate_from(fork + 1);
            scene.world.mine_elsewhere(std::slice::from_ref(&rival), 4);
            assert!(scene.confirmations(&payout) < 0);
            let rival = text(&scene.world.node_rpc("decoderawtransaction", json!([rival]))["txid"]).parse().unwrap();
            Made::until(&[("unexplained", rival)], move |scene| scene.explain(&rival))
        },
    },
    Trouble {
        kind: "the newest blocks went, and none follow",
        on: ALL,
        says: Says::Agrees,
        names: &[],
        frozen: false,
        make: |scene| {
            scene.deposit("0.45");
            scene.world.mine(2);
            scene.sync();
            let first = scene.world.invalidate_from(scene.world.height() - 1);
            Made::until(&[], move |scene| _ = scene.world.node_rpc("reconsiderblock", json!([first])))
        },
    },
    Trouble {
        kind: "mined coins that wait lost their block",
        on: ALL,
        says: Says::Agrees,
        names: &[],
        frozen: false,
        make: |scene| {
            scene.world.mine_to_wallet(1);
            scene.sync();
            scene.world.invalidate_from(scene.world.height());
            scene.assert_agrees("before other blocks");
            scene.world.mine_to_other_address(2);
            Made::until(&[], |_| {})
        },
    },
    Trouble {
        kind: "mined coins that a payout spent are not mature any more",
        on: WITH_KEYS,
        says: Says::Explained,
        names: &["limbo"],
        frozen: false,
        make: too_young,
    },
    Trouble {
        kind: "mined coins that a payout spent are not mature any more, and the daemon does not count them",
        on: &[Generation::Knots],
        says: Says::Unexplained,
        names: &["limbo"],
        frozen: true,
        make: too_young,
    },
];

on_each_daemon!(TROUBLES, Scene::of);

/// A deposit, and a payout of its coins after so many blocks, are both in no block any more: a stranger's payment took their place.
fn double_spend_what_was_paid_from(scene: &mut Scene, blocks: u64) {
    let fork = scene.world.height();
    let deposit = scene.deposit("1.7");
    scene.world.mine(blocks);
    scene.sync();
    scene.lock_all_but(&deposit);
    let payout = scene.payout("1.6");
    scene.unlock_all();
    scene.world.mine(blocks);
    scene.sync();
    let rival = scene.world.rival_of(&deposit);
    scene.world.invalidate_from(fork + 1);
    scene.world.mine_elsewhere(&[rival], 2 * blocks + 2);
    assert!(scene.confirmations(&payout) < 0);
}

/// The chain becomes shorter than the coins of a payout in it may be.
fn too_young(scene: &mut Scene) -> Made {
    scene.world.mine_to_wallet(1);
    scene.world.mine(100);
    scene.sync();
    let coinbase = text(&scene.world.rpc("listtransactions", json!(["*", 1]))[0]["txid"]).parse().unwrap();
    scene.lock_all_but(&coinbase);
    let payout = scene.payout("20");
    scene.unlock_all();
    scene.world.mine(1);
    scene.sync();
    let first = scene.world.invalidate_from(scene.world.height() - 3);
    Made::until(&[("limbo", payout)], move |scene| _ = scene.world.node_rpc("reconsiderblock", json!([first])))
}
