//! Payouts on real daemons: batching, certain refusals, doubt and its resolution. What was paid is counted on the chain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "payouts/bench.rs"]
mod bench;
mod support;

use std::fs;
use std::time::Duration;

use bench::{At, Bench, payee, request, script_of};
use bursar::coin::Timestamp;
use bursar::config::DaemonMode;
use bursar::daemon::{Limits, RpcWallet, Wallet};
use bursar::gate::{self, Cause};
use bursar::payout::{self, BatchState, LocalHost, PayoutError, PersonsWord, Resolution, State, Step};
use serde_json::json;
use support::{Fault, Generation, PATIENCE, World, wait_for};

use Generation::{Knots, Litecoin018, Litecoin021};

/// All that a payout needs to be final, and then some.
fn pay_all(bench: &mut Bench) {
    let report = bench.flush();
    assert_eq!(report.queued, 0, "{report:?}");
    bench.world.mine(bench.world.coin().final_depth);
    bench.settle();
}

#[test]
fn one_transaction_pays_all_and_each_payee_once() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(World::new(generation));
        for n in 0..40_u32 {
            bench.submit(&format!("p{n}"), &payee(n % 30), "0.01");
        }
        let report = bench.flush();
        assert_eq!(report.batches.len(), 1, "{report:?}");
        let batch = &report.batches[0];
        assert_eq!((batch.payouts, batch.outputs, batch.state), (40, 30, BatchState::Sent), "{report:?}");
        assert!(batch.fee.unwrap().base_units() != 0 && batch.note.is_none(), "{report:?}");
        assert_eq!(bench.count(State::Sent), 40);
        bench.world.mine(1);
        bench.settle();
        assert_eq!(bench.count(State::Confirmed), 40);
        bench.world.mine(2);
        bench.settle();
        assert_eq!(bench.count(State::Final), 40);
        let paid = bench.paid_on_chain();
        for n in 0..30_u32 {
            let amount = if n < 10 { 2_000_000 } else { 1_000_000 };
            assert_eq!(paid[&script_of(n)], vec![amount], "{generation:?} payee {n}");
        }
    }
}

#[test]
fn a_payout_that_somebody_holds_while_its_batch_is_planned_is_not_sent() {
    let mut bench = Bench::new(World::new(Litecoin021));
    bench.submit("goes", &payee(1), "0.5");
    bench.submit("held", &payee(2), "0.25");
    let mut beside = bench.store.beside().unwrap();
    let hold = move || {
        payout::decide(&mut beside, &"held".parse().unwrap(), PersonsWord::Hold, "wait", Timestamp::now()).unwrap();
    };
    let wallet = bench.world.wallet();
    let report = bench.flush_with(&wallet, &mut At::new(|step: &Step| *step == Step::Planned, hold)).unwrap();
    assert!(report.batches.is_empty() && report.waiting.unwrap().contains("left the queue"));
    assert_eq!((bench.state("goes"), bench.state("held")), (State::Queued, State::Held));
    pay_all(&mut bench);
    let paid = bench.paid_on_chain();
    assert_eq!((paid.get(&script_of(1)), paid.get(&script_of(2))), (Some(&vec![50_000_000]), None));
}

#[test]
fn many_submissions_in_one_commit_are_each_answered_alone() {
    let mut bench = Bench::new(World::new(Litecoin021));
    let group = [
        request("a", &payee(1), "1"),
        request("b", &payee(2), "0"),
        request("c", "nobody", "1"),
        request("a", &payee(1), "1.00"),
        request("a", &payee(1), "2"),
        request("d", &payee(3), "0.5"),
    ];
    let wallet = bench.world.wallet();
    let mut take = |wallet: Option<&dyn Wallet>| {
        let taken = payout::submit_many(&mut bench.store, wallet, bench.world.coin(), &group, Timestamp::now()).unwrap();
        let told = |taken: Result<payout::Submitted, PayoutError>| match taken {
            Ok(taken) if taken.new => if taken.address_checked { "new" } else { "new, unchecked" }.to_owned(),
            Ok(_) => "known".to_owned(),
            Err(PayoutError::OtherContent { .. }) => "other content".to_owned(),
            Err(_) => "bad".to_owned(),
        };
        taken.into_iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(take(Some(&wallet)), ["new", "bad", "bad", "known", "other content", "new"]);
    assert_eq!(take(None), ["known", "bad", "bad", "known", "other content", "known"]);
    assert_eq!(bench.count(State::Queued), 2);
}

#[test]
fn payments_by_hand_are_not_read_again_by_each_flush_where_nothing_was_journaled() {
    let mut bench = Bench::new(World::behind_proxy(Litecoin021));
    bench.settle();
    for number in 10..13 {
        bench.world.rpc("sendtoaddress", json!([payee(number), "0.1"]));
    }
    bench.world.mine(1);
    bench.settle();
    bench.submit("first", &payee(1), "0.5");
    let read = bench.proxy().seen("decoderawtransaction");
    pay_all(&mut bench);
    assert_eq!(bench.proxy().seen("decoderawtransaction") - read, 1, "its own transaction alone");
}

#[test]
fn two_spellings_of_one_script_are_one_payee() {
    let mut bench = Bench::new(World::new(Litecoin021));
    let spelled = |version: u8| {
        let mut bytes = vec![version];
        bytes.extend([9; 20]);
        bs58::encode(bytes).with_check().into_string()
    };
    bench.submit("new", &spelled(58), "0.1");
    bench.submit("old", &spelled(196), "0.2");
    let report = bench.flush();
    assert_eq!((report.batches[0].outputs, report.batches[0].payouts), (1, 2), "{report:?}");
    bench.world.mine(1);
    let script = format!("a914{}87", "09".repeat(20));
    assert_eq!(bench.paid_on_chain()[&script], vec![30_000_000]);
}

#[test]
fn an_address_that_the_daemon_does_not_know_is_rejected_before_sending() {
    let mut bench = Bench::new(World::new(Litecoin018));
    bench.submit("good", &payee(1), "0.1");
    // Sound bech32m, for a witness version that this generation has not heard of.
    let taproot = bench::taproot("rltc");
    let refused = bench.try_submit("known bad", &taproot, "0.1");
    assert!(matches!(refused, Err(PayoutError::BadAddress { .. })), "{refused:?}");
    bench.submit_unasked("bad", &taproot, "0.1");
    let report = bench.flush();
    assert_eq!(report.rejected.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["bad"], "{report:?}");
    assert_eq!((bench.state("good"), bench.state("bad")), (State::Sent, State::Rejected));
}

#[test]
fn low_funds_wait_and_the_head_of_the_queue_goes_first() {
    let mut bench = Bench::new(World::new(Litecoin021));
    bench.submit("small", &payee(1), "1");
    bench.submit("large", &payee(2), "1000");
    bench.submit("later", &payee(3), "1");
    let report = bench.flush();
    assert_eq!((bench.state("small"), bench.state("large"), bench.state("later")), (State::Sent, State::Queued, State::Queued));
    assert_eq!(report.queued, 2);
    let report = bench.flush();
    assert!(report.waiting.unwrap().contains("payout large needs 1000.00000000"));
}

#[test]
fn a_lost_answer_is_doubt_and_the_payment_is_found_by_its_mark() {
    for (generation, fault) in
        [(Litecoin018, Fault::DropReply), (Litecoin021, Fault::TruncateReply(60)), (Knots, Fault::DropReply)]
    {
        let mut bench = Bench::new(World::behind_proxy(generation));
        bench.submit("a", &payee(1), "0.5");
        bench.proxy().once("sendmany", fault);
        let report = bench.flush();
        assert_eq!(report.batches[0].state, BatchState::InDoubt, "{report:?}");
        bench.submit("b", &payee(2), "0.5");
        assert!(bench.try_flush().unwrap_err().to_string().contains("may or may not have been sent"));
        let held = payout::decide(&mut bench.store, &"a".parse().unwrap(), payout::PersonsWord::Cancel, "no", Timestamp::now());
        assert!(matches!(held, Err(PayoutError::NotNow { .. })));
        let pid = bench.world.daemon_pid();
        let resolved = bench.resolve();
        assert!(matches!(resolved.batches[0].resolution, Resolution::Sent { .. }), "{resolved:?}");
        assert_eq!(bench.world.daemon_pid(), pid, "a find needs no fence");
        pay_all(&mut bench);
        assert_eq!(bench.paid_on_chain()[&script_of(1)], vec![50_000_000]);
        assert_eq!(bench.count(State::Final), 2);
        assert_eq!(bench.proxy().forwarded("sendmany"), 2);
    }
}

#[test]
fn a_timeout_is_doubt_and_the_late_payment_is_found() {
    let mut bench = Bench::new(World::behind_proxy(Litecoin021));
    bench.submit("a", &payee(1), "0.5");
    let answer = bench.proxy().hold_answers("sendmany");
    // All other calls must be answered within it, on a busy machine too.
    let limits = Limits { deadline: Some(Duration::from_secs(5)), ..Limits::default() };
    let wallet = RpcWallet::connect_with(bench.world.coin(), limits).unwrap();
    let report = bench.flush_with(&wallet, &mut ()).unwrap();
    assert_eq!(report.batches[0].state, BatchState::InDoubt, "{report:?}");
    drop(answer);
    assert!(matches!(bench.resolve().batches[0].resolution, Resolution::Sent { .. }));
    pay_all(&mut bench);
    assert_eq!(bench.paid_on_chain()[&script_of(1)], vec![50_000_000]);
}

#[test]
fn a_call_that_never_arrived_is_proven_unsent_behind_the_fence_and_paid_once() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(World::behind_proxy(generation));
        bench.submit("a", &payee(1), "0.5");
        bench.proxy().once("sendmany", Fault::DropCall);
        let flushed = bench.flush();
        assert_eq!(flushed.batches.first().map(|batch| batch.state), Some(BatchState::InDoubt), "{generation:?} {flushed:?}");
        let (pid, credentials) = (bench.world.daemon_pid(), bench.world.credentials());
        let resolved = bench.resolve();
        assert_eq!(resolved.batches[0].resolution, Resolution::NotSent { times: 1 }, "{generation:?} {resolved:?}");
        assert!(bench.world.daemon_pid() != pid && bench.world.credentials() != credentials, "no fence");
        pay_all(&mut bench);
        assert_eq!(bench.paid_on_chain()[&script_of(1)], vec![50_000_000]);
    }
}

#[test]
fn a_late_copy_of_the_call_meets_other_credentials() {
    for generation in [Litecoin018, Knots] {
        let mut bench = Bench::new(World::behind_proxy(generation));
        bench.submit("a", &payee(1), "0.5");
        bench.proxy().once("sendmany", Fault::CopyOnOrder);
        bench.flush();
        assert_eq!(bench.resolve().batches[0].resolution, Resolution::NotSent { times: 1 });
        pay_all(&mut bench);
        bench.proxy().send_copies();
        wait_for(PATIENCE, "the late copy", || (bench.proxy().forwarded("sendmany") == 2).then_some(()));
        let log = bench.world.coin().chain_dir().join("debug.log");
        wait_for(PATIENCE, "the refusal", || {
            fs::read_to_string(&log).unwrap().contains("ThreadRPCServer incorrect password attempt").then_some(())
        });
        bench.world.mine(1);
        assert_eq!(bench.paid_on_chain()[&script_of(1)], vec![50_000_000]);
    }
}

#[test]
fn proven_unsent_three_times_is_held_for_a_person() {
    let mut bench = Bench::new(World::behind_proxy(Litecoin021));
    bench.submit("a", &payee(1), "0.5");
    for times in 1..=3 {
        bench.proxy().once("sendmany", Fault::DropCall);
        bench.flush();
        let resolution = bench.resolve().batches.remove(0).resolution;
        let wanted = if times < 3 { Resolution::NotSent { times } } else { Resolution::Held };
        assert_eq!(resolution, wanted);
    }
    assert_eq!(bench.state("a"), State::Held);
    assert_eq!(bench.flush().batches, vec![]);
}

#[test]
fn what_was_never_run_is_queued_again_at_once() {
    let mut bench = Bench::new(World::behind_proxy(Litecoin021));
    bench.submit("a", &payee(1), "0.5");
    for fault in
        [Fault::queue_full(), Fault::Answer(503, "Work queue depth exceeded".to_owned()), Fault::Answer(401, String::new())]
    {
        bench.proxy().once("sendmany", fault);
        let report = bench.flush();
        assert_eq!((report.batches[0].state, report.queued), (BatchState::Ended, 1), "{report:?}");
        assert!(report.waiting.is_some());
    }
    assert_eq!(bench.proxy().forwarded("sendmany"), 0);
    bench.proxy().once("sendmany", Fault::Answer(500, "Internal Server Error".to_owned()));
    assert_eq!(bench.flush().batches[0].state, BatchState::InDoubt);
}

#[test]
fn a_daemon_that_is_gone_before_the_call_was_not_given_it() {
    let mut bench = Bench::new(World::new(Knots));
    bench.submit("a", &payee(1), "0.5");
    bench.flush_chain_to_disk();
    let wallet = bench.world.wallet();
    let (store, world) = (&mut bench.store, &bench.world);
    let mut kill = bench::At::new(|step| matches!(step, Step::Calling(_)), || world.kill_daemon());
    let report = payout::flush(
        store,
        &wallet,
        world.coin(),
        &LocalHost { coin: world.coin() },
        &mut kill,
        payout::Occasion::Person,
        Timestamp::now(),
    )
    .unwrap();
    assert_eq!((report.batches[0].state, report.queued), (BatchState::Ended, 1), "{report:?}");
    bench.restart();
    pay_all(&mut bench);
    assert_eq!(bench.paid_on_chain()[&script_of(1)], vec![50_000_000]);
}

#[test]
fn an_unloaded_wallet_is_no_proof_of_anything() {
    let mut bench = Bench::new(World::behind_proxy(Knots));
    bench.submit("a", &payee(1), "0.5");
    bench.proxy().once("sendmany", Fault::DropReply);
    bench.flush();
    let unload = |world: &World| drop(world.node_rpc("unloadwallet", json!(["bursar"])));
    unload(&bench.world);
    // Once more after the fence.
    let result = bench.resolve_watched(&|step| matches!(step, Step::Restarted(_)), &unload);
    assert!(result.is_err(), "{result:?}");
    assert_eq!(bench.state("a"), State::InDoubt);
    bench.world.node_rpc("loadwallet", json!(["bursar"]));
    assert!(matches!(bench.resolve().batches[0].resolution, Resolution::Sent { .. }));
}

#[test]
fn another_wallet_that_answers_is_no_proof_of_anything() {
    let mut bench = Bench::new(World::behind_proxy(Litecoin021));
    bench.submit("a", &payee(1), "0.5");
    bench.proxy().once("sendmany", Fault::DropReply);
    bench.flush();
    bench.flush_chain_to_disk();
    bench.keeper.stop().unwrap();
    let dir = bursar::keeper::wallet_dir(bench.world.coin());
    fs::rename(&dir, dir.with_extension("away")).unwrap();
    bench.restart();
    bench.world.try_rpc("/", "createwallet", json!(["bursar"])).ok();
    let resolution = bench.resolve().batches.remove(0).resolution;
    assert!(matches!(resolution, Resolution::Disputed { .. }), "{resolution:?}");
    // The right wallet comes back, and its mark settles it.
    bench.keeper.stop().unwrap();
    fs::rename(&dir, dir.with_extension("wrong")).unwrap();
    fs::rename(dir.with_extension("away"), &dir).unwrap();
    bench.restart();
    bench.world.mine(3);
    bench.settle();
    assert_eq!(bench.state("a"), State::Final);
    assert_eq!(bench.paid_on_chain()[&script_of(1)], vec![50_000_000]);
}

#[test]
fn a_zapped_wallet_does_not_prove_that_nothing_was_sent() {
    let mut bench = Bench::new(World::behind_proxy(Litecoin018));
    bench.submit("a", &payee(1), "0.5");
    bench.proxy().once("sendmany", Fault::DropReply);
    bench.flush();
    bench.flush_chain_to_disk();
    bench.world.kill_daemon();
    fs::remove_file(bench.world.coin().chain_dir().join("mempool.dat")).ok();
    bench.keeper.start(&["-zapwallettxes=1"]).unwrap();
    let resolved = bench.resolve();
    let disputed = matches!(&resolved.batches[0].resolution, Resolution::Disputed { .. });
    assert!(disputed, "{resolved:?}");
    assert_eq!(bench.state("a"), State::Disputed);
    assert_eq!(bench.flush().batches, vec![], "what is disputed is never sent again by itself");
}

#[test]
fn a_wallet_that_lost_its_comments_since_does_not_prove_that_nothing_was_sent() {
    let mut bench = Bench::new(World::behind_proxy(Litecoin018));
    bench.submit("older", &payee(1), "0.5");
    pay_all(&mut bench);
    bench.submit("a", &payee(2), "0.5");
    bench.proxy().once("sendmany", Fault::DropCall);
    bench.flush();
    bench.flush_chain_to_disk();
    bench.keeper.stop().unwrap();
    bench.keeper.start(&["-zapwallettxes=2"]).unwrap();
    let log = bench.world.coin().chain_dir().join("debug.log");
    bench.keeper.stop().unwrap();
    fs::write(&log, "").unwrap();
    bench.restart();
    let resolved = bench.resolve();
    let reasons = match &resolved.batches[0].resolution {
        Resolution::Disputed { reasons } => reasons.join("; "),
        other => panic!("{other:?}"),
    };
    assert!(reasons.contains("lost the comments of 1"), "{reasons}");
}

#[test]
fn an_attached_daemon_is_restarted_by_a_person_and_its_uptime_is_checked() {
    let mut bench = Bench::new(World::behind_proxy(Litecoin021));
    bench.submit("a", &payee(1), "0.5");
    bench.proxy().once("sendmany", Fault::DropCall);
    bench.flush();
    let mut attached = bench.world.coin().clone();
    attached.daemon.mode = DaemonMode::Attach;
    attached.daemon.rpc_credentials_file = Some(bench.world.coin().credentials_file(bursar::config::RpcRole::Admin));
    bench.attached = Some(attached);
    for says_so in [false, true] {
        let refused = bench.try_resolve(says_so);
        assert!(matches!(refused, Err(PayoutError::RestartIt { .. })), "{refused:?}");
    }
    bench.keeper.stop().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    bench.restart();
    let now = wait_for(PATIENCE, "the doubt lies before the start", || {
        let report = bench.try_resolve(true).ok()?;
        Some(report.batches[0].resolution.clone())
    });
    assert_eq!(now, Resolution::NotSent { times: 1 });
}

#[test]
fn a_transaction_that_the_wallet_did_not_broadcast_is_given_to_the_network() {
    let mut bench = Bench::new(World::new(Litecoin021));
    bench.keeper.stop().unwrap();
    bench.keeper.start(&["-walletbroadcast=0"]).unwrap();
    bench.submit("a", &payee(1), "0.5");
    let report = bench.flush();
    assert_eq!(report.batches[0].note, None, "{report:?}");
    bench.world.mine(1);
    assert_eq!(bench.paid_on_chain()[&script_of(1)], vec![50_000_000]);
}

#[test]
fn a_reorg_reopens_what_was_final_and_it_becomes_final_again() {
    for generation in [Litecoin021, Knots] {
        let mut bench = Bench::new(World::new(generation));
        bench.submit("a", &payee(1), "0.5");
        bench.flush();
        bench.world.mine(3);
        bench.settle();
        assert_eq!(bench.state("a"), State::Final);
        let tip: u64 = bench.world.node_rpc("getblockcount", json!([])).as_u64().unwrap();
        let block = bench.world.node_rpc("getblockhash", json!([tip - 2]));
        bench.world.node_rpc("invalidateblock", json!([block]));
        bench.settle();
        assert_eq!(bench.state("a"), State::Sent, "{generation:?}");
        // To somebody else: the same block as before would still be invalid.
        bench.world.node_rpc("generatetoaddress", json!([4, payee(99)]));
        bench.settle();
        assert_eq!(bench.state("a"), State::Final, "{generation:?}");
        assert_eq!(bench.paid_on_chain()[&script_of(1)], vec![50_000_000]);
    }
}

#[test]
fn a_fee_bump_belongs_to_its_batch_and_pays_it() {
    let mut bench = Bench::new(World::new(Knots));
    bench.submit("a", &payee(1), "0.5");
    let first = bench.flush().batches[0].txid.unwrap();
    let bump = bench.world.rpc("bumpfee", json!([first.to_string()]));
    bench.settle();
    bench.world.mine(3);
    bench.settle();
    assert_eq!(bench.state("a"), State::Final);
    let detail = payout::show(&mut bench.store, &"a".parse().unwrap()).unwrap();
    assert!(detail.transactions.iter().any(|member| bump["txid"] == member.txid.to_string() && member.matched == Some(true)));
    assert_eq!(bench.paid_on_chain()[&script_of(1)], vec![50_000_000]);
}

#[test]
fn a_payment_whose_coins_were_spent_otherwise_is_disputed_and_then_held_never_requeued() {
    let mut bench = Bench::new(World::new(Litecoin021));
    bench.submit("a", &payee(1), "0.5");
    let txid = bench.flush().batches[0].txid.unwrap().to_string();
    // The whole mempool is lost, and the same coins are spent by a person's own transaction.
    let raw = bench.world.rpc("gettransaction", json!([txid]))["hex"].clone();
    let decoded = bench.world.node_rpc("decoderawtransaction", json!([raw]));
    let input = json!({"txid": decoded["vin"][0]["txid"], "vout": decoded["vin"][0]["vout"]});
    let own = bench.world.new_address();
    let spend = bench.world.node_rpc("createrawtransaction", json!([[input], {own: 0.1}]));
    let signed = bench.world.rpc("signrawtransactionwithwallet", json!([spend]))["hex"].clone();
    bench.flush_chain_to_disk();
    bench.keeper.stop().unwrap();
    fs::remove_file(bench.world.coin().chain_dir().join("mempool.dat")).ok();
    bench.keeper.start(&["-walletbroadcast=0"]).unwrap();
    bench.world.node_rpc("generateblock", json!([support::BURN_ADDRESS, [signed]]));
    bench.settle();
    bench.settle();
    assert_eq!(bench.state("a"), State::Disputed);
    bench.world.mine(3);
    bench.settle();
    assert_eq!(bench.state("a"), State::Held);
    assert!(!bench.paid_on_chain().contains_key(&script_of(1)));
}

#[test]
fn a_store_that_went_back_in_time_freezes_and_pays_nobody_twice() {
    let mut bench = Bench::new(World::new(Litecoin018));
    bench.submit("a", &payee(1), "0.5");
    let old = bench.world.dir().join("old.db");
    bench.store.copy_to(&old).unwrap();
    pay_all(&mut bench);
    bench.replace_store(&old);
    assert_eq!(bench.state("a"), State::Queued);
    let refused = bench.try_flush().unwrap_err();
    assert!(refused.to_string().contains("went back in time"), "{refused}");
    assert_eq!(bench.store.read(gate::frozen).unwrap()[0].freeze.cause, Cause::StoreWentBack);
    assert!(matches!(bench.try_submit("b", &payee(2), "0.5"), Err(PayoutError::StoreWentBack(_))));
    assert!(bench.try_flush().is_err());
    bench.world.mine(1);
    assert_eq!(bench.paid_on_chain()[&script_of(1)], vec![50_000_000]);
}

#[test]
fn a_payment_to_ourselves_is_paid_and_settled_like_any_other() {
    let mut bench = Bench::new(World::new(Litecoin018));
    let own = bench.world.new_address();
    bench.submit("a", &own, "0.5");
    pay_all(&mut bench);
    assert_eq!(bench.state("a"), State::Final);
}
