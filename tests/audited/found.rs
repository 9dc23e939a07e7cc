//! What turns up below the ledger's cursor, or beside the wallet's money.

use bursar::coin::Txid;
use serde_json::{Value, json};

use crate::scene::{Scene, number, text};
use crate::support::Generation;
use crate::{ALL, Made, Says, Trouble, WITH_KEYS, on_each_daemon};

pub(crate) const TROUBLES: &[Trouble] = &[
    Trouble {
        kind: "a deposit that nobody knew is put into the wallet",
        on: ALL,
        says: Says::Explained,
        names: &["found_late"],
        frozen: false,
        make: |scene| {
            let found = scene.deposit("0.5");
            scene.world.mine(1);
            let proof = scene.world.node_rpc("gettxoutproof", json!([[found], scene.block_of(&found)]));
            let raw = scene.raw(&found);
            scene.lose(&found);
            scene.world.mine(6);
            scene.assert_agrees("nobody knows it");
            scene.world.rpc("importprunedfunds", json!([raw, proof]));
            Made::until(&[("found_late", found)], |_| {})
        },
    },
    Trouble {
        kind: "a key with coins is imported",
        on: WITH_KEYS,
        says: Says::Explained,
        names: &["found_late"],
        frozen: false,
        make: |scene| {
            let (address, found) = donor(scene);
            let key = scene.world.try_rpc(DONOR, "dumpprivkey", json!([address])).unwrap();
            scene.world.rpc("importprivkey", json!([key, "", true]));
            Made::until(&[("found_late", found)], |_| {})
        },
    },
    Trouble {
        kind: "descriptors are imported",
        on: &[Generation::Knots],
        says: Says::Fails("other_wallet"),
        names: &[],
        frozen: true,
        make: |scene| {
            let (_, found) = donor(scene);
            let listed = scene.world.try_rpc(DONOR, "listdescriptors", json!([true])).unwrap();
            let of_coins = |line: &&Value| text(&line["desc"]).starts_with("wpkh") && line["internal"] == false;
            let key = listed["descriptors"].as_array().unwrap().iter().find(of_coins).unwrap()["desc"].clone();
            scene.world.rpc("importdescriptors", json!([[{"desc": key, "timestamp": 0, "range": [0, 5]}]]));
            Made::until(&[], move |scene| {
                scene.world.done(&["ledger", "rekeyed", "--reason", "ticket 816", "--yes"]);
                let audit = scene.audit();
                let named = [("found_late".to_owned(), found)];
                assert_eq!((audit.says.as_str(), audit.named, audit.frozen), ("explained", named.into(), false));
            })
        },
    },
    Trouble {
        kind: "coins come to an address that is only watched",
        on: WITH_KEYS,
        says: Says::Agrees,
        names: &[],
        frozen: false,
        make: |scene| {
            let (old, new) = (scene.world.outside_address(), scene.world.outside_address());
            scene.deposit_to(&old, "0.3");
            scene.world.mine(4);
            for address in [&old, &new] {
                scene.world.rpc("importaddress", json!([address, "", true]));
            }
            scene.deposit_to(&new, "0.4");
            assert_eq!(scene.world.rpc("listunspent", json!([0, 999, [old, new]])).as_array().unwrap().len(), 2);
            scene.assert_agrees("unconfirmed");
            scene.world.mine(1);
            Made::until(&[], |_| {})
        },
    },
];

on_each_daemon!(TROUBLES, Scene::of);

const DONOR: &str = "/wallet/donor";

/// A wallet with a coin that our wallet has never heard of: its address, and the transaction.
fn donor(scene: &Scene) -> (String, Txid) {
    scene.world.node_rpc("createwallet", json!(["donor"]));
    let address = text(&scene.world.try_rpc(DONOR, "getnewaddress", json!(["", "bech32"])).unwrap());
    scene.world.outside_address();
    let txid = text(&scene.world.outside_rpc("sendtoaddress", json!([address, number("0.6")])));
    scene.world.mine(7);
    scene.assert_agrees("nobody knows the coin");
    (address, txid.parse().unwrap())
}
