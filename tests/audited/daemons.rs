//! Daemons that lie, move, lost their chain, or do not answer.

use std::fs;
use std::sync::{Arc, Mutex};

use bursar::audit::{self, Verdict};
use bursar::coin::{Amount, Timestamp};
use bursar::daemon::Wallet;
use bursar::ledger;
use bursar::store::Store;
use serde_json::{Value, json};

use crate::scene::{Lie, Scene, number};
use crate::support::{Call, FaultProxy, Generation, Upstream, World};
use crate::{ALL, Made, Says, Trouble, on_each_daemon};

pub(crate) const TROUBLES: &[Trouble] = &[
    Trouble {
        kind: "the daemon tells another amount than yesterday",
        on: ALL,
        says: Says::Unexplained,
        names: &["changed"],
        frozen: true,
        make: |scene| {
            let deposit = scene.final_deposit("1.5");
            scene.world.mine(5);
            scene.sync();
            let txid = json!(deposit);
            let balance = scene.world.wallet().balances().unwrap().trusted.base_units() - 25_000_000;
            let balance = number(&Amount::from_base_units(balance).to_decimal(8));
            scene.lie(move |method, result| {
                each_entry(result, |entry| {
                    if entry["txid"] == txid {
                        entry["amount"] = number("1.25");
                    }
                });
                match method {
                    "getbalances" => result["mine"]["trusted"] = balance.clone(),
                    "getwalletinfo" => result["balance"] = balance.clone(),
                    _ => {}
                }
            });
            Made::until(&[("changed", deposit)], |scene| scene.tell_the_truth())
        },
    },
    Trouble {
        kind: "an entry is of a kind that nobody knows",
        on: ALL,
        says: Says::Unexplained,
        names: &["puzzling"],
        frozen: true,
        make: |scene| {
            let deposit = scene.deposit("0.1");
            let txid = json!(deposit);
            scene.lie(move |_, result| {
                each_entry(result, |entry| {
                    if entry["txid"] == txid {
                        entry["category"] = json!("mweb");
                    }
                });
            });
            scene.world.mine(1);
            Made::until(&[("puzzling", deposit)], move |scene| {
                // Nothing is guessed when it is known later: a person says what it was.
                scene.tell_the_truth();
                let audit = scene.audit();
                assert_eq!((audit.says.as_str(), audit.named), ("unexplained", [("changed".to_owned(), deposit)].into()));
                scene.explain_as(&deposit, "deposit");
            })
        },
    },
    Trouble {
        kind: "the chain moves under every reading",
        on: ALL,
        says: Says::Fails("chain_moving"),
        names: &[],
        frozen: false,
        make: |scene| {
            let mut count = 0_u64;
            scene.lie(move |method, result| {
                if method == "getblockchaininfo" || method == "getbestblockhash" {
                    count += 1;
                    let hash = json!(format!("{count:064x}"));
                    if result.is_string() { *result = hash } else { result["bestblockhash"] = hash }
                }
            });
            Made::until(&[], |scene| scene.tell_the_truth())
        },
    },
    Trouble {
        kind: "the daemon lost blocks in a crash",
        on: ALL,
        says: Says::Fails("blocks_lost"),
        names: &[],
        frozen: false,
        make: |scene| {
            scene.world.mine(20);
            scene.sync();
            let blocks = scene.world.blocks();
            scene.world.kill_daemon();
            scene.start(&[]);
            assert!(scene.world.height() < blocks.len() as u64);
            Made::until(&[], move |scene| {
                for block in blocks {
                    scene.world.node_rpc("submitblock", json!([block]));
                }
                scene.world.settle();
            })
        },
    },
    Trouble {
        kind: "the daemon is of another network",
        on: ALL,
        says: Says::Fails("wrong_daemon"),
        names: &[],
        frozen: false,
        make: |scene| {
            scene.lie(|method, result| {
                if method == "getblockchaininfo" {
                    result["chain"] = json!("test");
                }
            });
            Made::until(&[], |scene| scene.tell_the_truth())
        },
    },
    Trouble {
        kind: "the daemon has another chain, shorter than ours",
        on: ALL,
        says: Says::Fails("blocks_lost"),
        names: &[],
        frozen: false,
        make: |scene| {
            swap_chain(scene, -5);
            Made::until(&[], swap_back)
        },
    },
    Trouble {
        kind: "the daemon has another chain, longer than ours",
        on: ALL,
        says: Says::Agrees,
        names: &[],
        frozen: true,
        make: |scene| {
            swap_chain(scene, 5);
            Made::until(&[], |scene| {
                swap_back(scene);
                assert_eq!(scene.audit().says, "blocks_lost", "until the right chain is longer");
                scene.world.mine(6);
                scene.assert_frozen_by("deep_reorg");
                scene.thaw_all();
            })
        },
    },
    Trouble {
        kind: "the clock was set back by a day",
        on: ALL,
        says: Says::Agrees,
        names: &[],
        frozen: false,
        make: |scene| {
            scene.final_deposit("0.12");
            // On a copy of the store, by the library: a program cannot be given another clock.
            let copy = scene.world.dir().join("copy");
            fs::create_dir(&copy).unwrap();
            fs::copy(scene.world.coin().service_dir().join("bursar.db"), copy.join("bursar.db")).unwrap();
            let mut store = Store::open(&copy).unwrap();
            for back in [86_400, 0, 2 * 86_400] {
                scene.deposit("0.13");
                scene.world.mine(1);
                let now = Timestamp(Timestamp::now().0 - back);
                let report = audit::run(&mut store, &scene.world.wallet(), scene.world.coin(), now).unwrap();
                assert_eq!((report.verdict, report.frozen, report.time), (Verdict::Agrees, false, now));
                assert_eq!(store.read(ledger::verify).unwrap().fault, None);
            }
            Made::until(&[], |_| {})
        },
    },
];

on_each_daemon!(TROUBLES, behind_a_liar);

/// A scene behind a proxy that can change each answer.
fn behind_a_liar(generation: Generation) -> Scene {
    let lie = Arc::<Mutex<Option<Lie>>>::default();
    let ours = lie.clone();
    let world = World::behind(generation, &[], move |upstream| {
        let rewrite = move |call: &Call<'_>, upstream: &Upstream| {
            let mut lie = ours.lock().unwrap();
            let lie = lie.as_mut()?;
            let (status, body) = upstream.forward(call, None, None).ok()?;
            let Ok(mut reply) = serde_json::from_str::<Value>(&body) else { return Some((status, body)) };
            // Several calls of one method come in one request.
            match &mut reply {
                Value::Array(replies) => replies.iter_mut().for_each(|reply| lie(&call.method, &mut reply["result"])),
                reply => lie(&call.method, &mut reply["result"]),
            }
            Some((status, reply.to_string()))
        };
        FaultProxy::start_rewriting(upstream, Box::new(rewrite))
    });
    Scene::in_world(world, lie)
}

/// The entries of `listsinceblock` and of `gettransaction`, with their txid, and the coins of `listunspent`.
fn each_entry(result: &mut Value, mut change: impl FnMut(&mut Value)) {
    let txid = result.get("txid").cloned();
    let lists = match result {
        Value::Array(coins) => vec![coins],
        Value::Object(fields) => fields
            .iter_mut()
            .filter(|(key, _)| *key == "transactions" || *key == "details")
            .filter_map(|(_, list)| list.as_array_mut())
            .collect(),
        _ => vec![],
    };
    for entry in lists.into_iter().flatten().filter(|entry| entry.is_object()) {
        if let Some(txid) = &txid {
            entry["txid"] = txid.clone();
        }
        change(entry);
    }
}

/// The daemon has the chain of another one, which is this much longer.
fn swap_chain(scene: &mut Scene, longer: i64) {
    let other = World::new(scene.world.generation);
    let mut keeper = other.start_daemon();
    other.mine(scene.world.height().saturating_add_signed(longer));
    keeper.stop().unwrap();
    scene.keeper.stop().unwrap();
    for part in ["blocks", "chainstate"] {
        let ours = scene.world.coin().chain_dir().join(part);
        fs::rename(&ours, scene.world.dir().join(part)).unwrap();
        fs::rename(other.coin().chain_dir().join(part), ours).unwrap();
    }
    scene.start(&[]);
}

fn swap_back(scene: &mut Scene) {
    scene.keeper.stop().unwrap();
    for part in ["blocks", "chainstate"] {
        let ours = scene.world.coin().chain_dir().join(part);
        fs::remove_dir_all(&ours).unwrap();
        fs::rename(scene.world.dir().join(part), ours).unwrap();
    }
    scene.start(&[]);
}
