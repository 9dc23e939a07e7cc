//! What somebody does with the wallet's money past bursar.

use serde_json::json;

use crate::scene::Scene;
use crate::support::BURN_ADDRESS;
use crate::{ALL, Made, Says, Trouble, on_each_daemon};

pub(crate) const TROUBLES: &[Trouble] = &[
    Trouble {
        kind: "a person paid by hand",
        on: ALL,
        says: Says::Unexplained,
        names: &["unexplained"],
        frozen: true,
        make: |scene| {
            let payment = scene.by_hand(BURN_ADDRESS, "0.3", "refund");
            scene.world.mine(4);
            Made::until(&[("unexplained", payment)], move |scene| scene.explain(&payment))
        },
    },
    Trouble {
        kind: "a person moved coins within the wallet",
        on: ALL,
        says: Says::Agrees,
        names: &[],
        frozen: false,
        make: |scene| {
            scene.by_hand(&scene.world.new_address(), "0.4", "");
            Made::until(&[], |scene| scene.world.mine(1))
        },
    },
    Trouble {
        kind: "a person moved a coin within the wallet, and nearly all of it went as the fee",
        on: ALL,
        says: Says::Unexplained,
        names: &["unexplained"],
        frozen: true,
        make: |scene| {
            let coin = scene.coin_of(&scene.final_deposit("0.9"));
            let given_away = scene.mine_raw(&scene.raw_to(&coin, &json!({ scene.world.new_address(): 0.1 })));
            Made::until(&[("unexplained", given_away)], move |scene| scene.explain_as(&given_away, "fee"))
        },
    },
    Trouble {
        kind: "a person paid nobody, and a whole coin went as the fee",
        on: ALL,
        says: Says::Unexplained,
        names: &["unexplained"],
        frozen: true,
        make: |scene| {
            let coin = scene.coin_of(&scene.final_deposit("0.9"));
            let given_away = scene.mine_raw(&scene.raw_to(&coin, &json!({ "data": "ab".repeat(20) })));
            Made::until(&[("unexplained", given_away)], move |scene| scene.explain_as(&given_away, "fee"))
        },
    },
    Trouble {
        kind: "a person spent a coin together with one of a stranger, all of it to the wallet",
        on: ALL,
        says: Says::Unexplained,
        names: &["unexplained"],
        frozen: true,
        make: |scene| {
            let coin = scene.coin_of(&scene.final_deposit("0.9"));
            let fees = scene.booked("fee");
            let joint = scene.mine_raw(&scene.raw_with_stranger(&coin));
            scene.sync();
            assert_eq!(scene.booked("fee"), fees, "a fee is never below zero");
            let (refused, code) =
                scene.world.order(&["ledger", "explain", &joint.to_string(), "--as", "fee", "--reason", "none"]);
            assert_eq!((code, &refused["error"]["code"]), (2, &json!("wrong_account")), "{refused}");
            Made::until(&[("unexplained", joint)], move |scene| scene.explain_as(&joint, "deposit"))
        },
    },
    Trouble {
        kind: "a person spent a locked coin",
        on: ALL,
        says: Says::Unexplained,
        names: &["unexplained"],
        frozen: true,
        make: |scene| {
            let coin = scene.coin_of(&scene.final_deposit("0.9"));
            scene.world.rpc("lockunspent", json!([false, [{"txid": coin["txid"], "vout": coin["vout"]}]]));
            let spend = scene.send_raw(&scene.raw_spend(&coin));
            Made::until(&[("unexplained", spend)], move |scene| scene.explain(&spend))
        },
    },
    Trouble {
        kind: "a payment carries a mark of this store that no batch has",
        on: ALL,
        says: Says::Unexplained,
        names: &["unexplained"],
        frozen: true,
        make: |scene| {
            let mut mark: Vec<String> = scene.mark_of_payout().split(':').map(str::to_owned).collect();
            (mark[2], mark[3]) = ("999".to_owned(), "ab".repeat(16));
            let mark = mark.join(":");
            let forged = scene.by_hand(BURN_ADDRESS, "0.2", &mark);
            Made::until(&[("unexplained", forged)], move |scene| {
                scene.explain(&forged);
                scene.sync();
                assert_eq!(scene.audit().says, "agrees");
                assert_eq!(scene.causes(), ["store_went_back".to_owned()].into());
                scene.thaw_all();
            })
        },
    },
    Trouble {
        kind: "a payment by hand copies the mark of a batch",
        on: ALL,
        says: Says::Agrees,
        names: &[],
        frozen: true,
        make: |scene| {
            let mark = scene.mark_of_payout();
            scene.by_hand(BURN_ADDRESS, "0.35", &mark);
            // The books are right, and somebody was paid twice.
            scene.sync();
            assert_eq!(scene.causes(), ["payment".to_owned()].into());
            Made::until(&[], |scene| scene.thaw_all())
        },
    },
];

on_each_daemon!(TROUBLES, Scene::of);
