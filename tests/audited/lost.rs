//! What the wallet forgets. A restart does not bring it back.

use serde_json::json;

use crate::scene::{Scene, text};
use crate::support::{Generation, World};
use crate::{ALL, Made, Says, Trouble, on_each_daemon, play};

pub(crate) const TROUBLES: &[Trouble] = &[
    Trouble {
        kind: "the wallet lost a deposit",
        on: ALL,
        says: Says::Unexplained,
        names: &["lost"],
        frozen: true,
        make: |scene| {
            let lost = scene.final_deposit("1.25");
            let proof = scene.world.node_rpc("gettxoutproof", json!([[lost], scene.block_of(&lost)]));
            let raw = scene.raw(&lost);
            scene.lose(&lost);
            Made::until(&[("lost", lost)], move |scene| _ = scene.world.rpc("importprunedfunds", json!([raw, proof])))
        },
    },
    Trouble {
        kind: "the wallet lost a deposit that was spent since",
        on: ALL,
        says: Says::Unexplained,
        names: &["changed", "lost"],
        frozen: true,
        make: |scene| {
            let lost = scene.final_deposit("2.5");
            scene.lock_all_but(&lost);
            let spend = scene.payout("2");
            scene.unlock_all();
            scene.world.mine(4);
            scene.sync();
            scene.lose(&lost);
            Made::until(&[("lost", lost), ("changed", spend)], |scene| scene.rescan())
        },
    },
    Trouble {
        kind: "the wallet lost a payment of ours",
        on: ALL,
        says: Says::Unexplained,
        names: &["lost"],
        frozen: true,
        make: |scene| {
            let lost = scene.payout("0.75");
            scene.world.mine(4);
            scene.sync();
            scene.lose(&lost);
            Made::until(&[("lost", lost)], |scene| scene.rescan())
        },
    },
    Trouble {
        kind: "the wallet lost mined coins",
        on: ALL,
        says: Says::Unexplained,
        names: &["lost"],
        frozen: true,
        make: |scene| {
            let listed = scene.world.rpc("listsinceblock", json!([]));
            let mut entries = listed["transactions"].as_array().unwrap().iter();
            let mature = entries.find(|entry| entry["category"] == "generate").unwrap();
            let lost = text(&mature["txid"]).parse().unwrap();
            scene.lose(&lost);
            Made::until(&[("lost", lost)], |scene| scene.rescan())
        },
    },
    Trouble {
        kind: "the wallet lost mined coins that were to mature",
        on: ALL,
        says: Says::Unexplained,
        names: &["lost"],
        frozen: true,
        make: |scene| {
            scene.world.mine_to_wallet(1);
            scene.sync();
            let lost = text(&scene.world.rpc("listtransactions", json!(["*", 1]))[0]["txid"]).parse().unwrap();
            scene.lose(&lost);
            Made::until(&[("lost", lost)], |scene| scene.rescan())
        },
    },
];

on_each_daemon!(TROUBLES, Scene::of);

#[test]
fn on_the_stand_in_for_getinfo() {
    play(TROUBLES, Generation::Litecoin018, || Scene::in_world(World::getinfo_standin(), Default::default()));
}
