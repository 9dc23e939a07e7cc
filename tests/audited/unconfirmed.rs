//! What is in no block, or not in the mempool either.

use serde_json::json;

use crate::scene::{Scene, text};
use crate::support::{BURN_ADDRESS, Generation};
use crate::{ALL, Made, Says, Trouble, on_each_daemon};

/// A daemon whose mempool is empty, and that sends nothing by itself.
const FORGETFUL: &[&str] = &["-persistmempool=0", "-walletbroadcast=0"];

pub(crate) const TROUBLES: &[Trouble] = &[
    Trouble {
        kind: "strangers' payments wait in a long chain",
        on: ALL,
        says: Says::Agrees,
        names: &[],
        frozen: false,
        make: |scene| {
            // Each spends the change of the one before.
            let coin = text(&scene.world.outside_rpc("sendtoaddress", json!([scene.world.outside_address(), 0.9])));
            assert!(!coin.is_empty());
            let deposits = ["0.1", "0.2", "0.3", "0.4", "0.5"].map(|amount| scene.deposit(amount));
            assert!(deposits.iter().all(|deposit| scene.in_mempool(deposit)));
            Made::until(&[], |scene| scene.world.mine(1))
        },
    },
    Trouble {
        kind: "a stranger replaced a deposit",
        on: &[Generation::Knots],
        says: Says::Agrees,
        names: &[],
        frozen: false,
        make: |scene| {
            let deposit = scene.deposit("0.7");
            scene.assert_agrees("it waits");
            scene.send_raw(&scene.world.rival_of(&deposit));
            assert!(!scene.in_mempool(&deposit));
            scene.assert_agrees("replaced");
            Made::until(&[], |scene| scene.world.mine(4))
        },
    },
    Trouble {
        kind: "a payout fell out of the mempool",
        on: ALL,
        says: Says::Explained,
        names: &["limbo"],
        frozen: false,
        make: |scene| {
            let payout = scene.payout("0.55");
            scene.restart(FORGETFUL);
            assert!(!scene.in_mempool(&payout));
            Made::until(&[("limbo", payout)], move |scene| {
                scene.sync();
                assert!(scene.in_mempool(&payout), "a sync broadcasts it again");
                scene.restart(&[]);
            })
        },
    },
    Trouble {
        kind: "a payment of ours never reached the mempool",
        on: ALL,
        says: Says::Explained,
        names: &["limbo"],
        frozen: false,
        make: |scene| {
            scene.world.mine(1);
            scene.restart(FORGETFUL);
            // bursar itself would give it to the network.
            let silent = scene.by_hand(BURN_ADDRESS, "0.45", "");
            scene.sync();
            scene.explain(&silent);
            Made::until(&[("limbo", silent)], move |scene| {
                scene.send_raw(&scene.raw(&silent));
                scene.restart(&[]);
            })
        },
    },
    Trouble {
        kind: "a payout that fell out of the mempool is abandoned",
        on: ALL,
        says: Says::Agrees,
        names: &[],
        frozen: false,
        make: |scene| {
            scene.world.mine(1);
            scene.sync();
            let payout = scene.payout("0.65");
            let raw = scene.raw(&payout);
            scene.restart(FORGETFUL);
            scene.world.rpc("abandontransaction", json!([payout]));
            scene.assert_agrees("abandoned");
            // Somebody else kept a copy: it is mined after all.
            scene.send_raw(&raw);
            scene.world.mine(1);
            assert_eq!(scene.confirmations(&payout), 1);
            Made::until(&[], |scene| scene.restart(&[]))
        },
    },
    Trouble {
        kind: "a payment of ours was forgotten by wallet and mempool",
        on: &[Generation::Litecoin018],
        says: Says::Unexplained,
        names: &["limbo", "lost"],
        frozen: true,
        make: |scene| {
            scene.world.mine(4);
            scene.sync();
            let payout = scene.payout("0.85");
            scene.sync();
            let raw = scene.raw(&payout);
            scene.restart(&["-zapwallettxes=1", "-persistmempool=0", "-nowallet", "-wallet=bursar"]);
            assert!(!scene.knows(&payout));
            Made::until(&[("limbo", payout), ("lost", payout)], move |scene| {
                scene.restart(&[]);
                scene.send_raw(&raw);
                scene.world.mine(1);
            })
        },
    },
    Trouble {
        kind: "coins of an unconfirmed deposit were spent",
        on: ALL,
        says: Says::Unexplained,
        names: &["unexplained", "untrusted"],
        frozen: true,
        make: |scene| {
            let deposit = scene.deposit("0.95");
            let spend = scene.send_raw(&scene.raw_spend(&scene.coin_of(&deposit)));
            Made::until(&[("unexplained", spend), ("untrusted", spend)], move |scene| {
                scene.explain(&spend);
                let audit = scene.audit();
                assert_eq!((audit.says.as_str(), audit.named), ("explained", [("untrusted".to_owned(), spend)].into()));
                scene.world.mine(1);
            })
        },
    },
    Trouble {
        kind: "the daemon does not trust unconfirmed change",
        on: ALL,
        says: Says::Explained,
        names: &["untrusted"],
        frozen: false,
        make: |scene| {
            scene.restart(&["-spendzeroconfchange=0"]);
            let payout = scene.payout("0.35");
            Made::until(&[("untrusted", payout)], |scene| {
                scene.world.mine(1);
                scene.restart(&[]);
            })
        },
    },
    Trouble {
        kind: "coins are locked",
        on: ALL,
        says: Says::Agrees,
        names: &[],
        frozen: false,
        make: |scene| {
            let kept = scene.final_deposit("0.15");
            scene.lock_all_but(&kept);
            Made::until(&[], |scene| scene.unlock_all())
        },
    },
    Trouble {
        kind: "a payout was replaced for a higher fee",
        on: &[Generation::Litecoin021, Generation::Knots],
        says: Says::Explained,
        names: &["limbo"],
        frozen: false,
        make: |scene| {
            let first = scene.payout("0.25");
            let second = text(&scene.world.rpc("bumpfee", json!([first]))["txid"]).parse().unwrap();
            // Before full replacement the mempool refuses it, and the wallet says nothing of that.
            let waits = if scene.in_mempool(&second) { first } else { second };
            assert!(!scene.in_mempool(&waits));
            Made::until(&[("limbo", waits)], |scene| scene.world.mine(4))
        },
    },
];

on_each_daemon!(TROUBLES, Scene::of);
