//! What goes into a batch, when and at which rate, on real daemons. What was really paid is read from the transactions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "payouts/bench.rs"]
mod bench;
#[path = "policy/estimates.rs"]
mod estimates;
mod support;

use std::time::Duration;

use bench::{Bench, payee, request, script_of};
use bursar::coin::{FeeRate, Timestamp};
use bursar::payout::rules::WaitsFor;
use bursar::payout::{self, BatchState, FlushReport, LocalHost, Occasion, Priority, Request, State};
use serde_json::json;
use support::{Generation, Service, World};

use Generation::{Knots, Litecoin018, Litecoin021};

fn submit_as(bench: &mut Bench, id: &str, address: &str, amount: &str, priority: Priority) {
    let request = Request { priority, ..request(id, address, amount) };
    let (wallet, coin) = (bench.world.wallet(), bench.world.coin());
    assert!(payout::submit(&mut bench.store, Some(&wallet), coin, &request, Timestamp::now()).unwrap().new);
}

/// As the schedule orders it, so many seconds from now.
fn flush_by_policy(bench: &mut Bench, in_s: i64) -> FlushReport {
    let (wallet, coin, now) = (bench.world.wallet(), bench.world.coin(), Timestamp(Timestamp::now().0 + in_s));
    payout::flush(&mut bench.store, &wallet, coin, &LocalHost { coin }, &mut (), Occasion::Policy, now).unwrap()
}

/// A world with one coin.
fn with_one_coin(generation: Generation) -> Bench {
    let world = World::new(generation);
    let keeper = world.start_daemon();
    world.fund(&["50"]);
    Bench::open(world, keeper)
}

#[test]
fn the_fixed_rate_is_what_is_really_paid_and_the_size_is_as_planned() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(World::new(generation));
        for n in 0..30_u32 {
            bench.submit(&format!("p{n}"), &payee(n), "0.5");
        }
        let plan = payout::preview(&mut bench.store, &bench.world.wallet(), bench.world.coin(), Timestamp::now()).unwrap();
        let report = bench.flush();
        let batch = &report.batches[0];
        let (paid, real) = (batch.paid_rate().unwrap(), batch.vsize.unwrap());
        assert_eq!(batch.planned_rate, FeeRate::from_per_vb(20));
        let near = FeeRate::from_per_kvb(19_900)..=FeeRate::from_per_kvb(20_300);
        assert!(near.contains(&paid), "{generation:?}: {paid} per virtual byte");
        assert!(plan.vbytes >= real && plan.vbytes * 100 <= real * 112, "{generation:?}: {} planned, {real} real", plan.vbytes);
        assert!(plan.fee >= batch.fee.unwrap() && batch.note.is_none(), "{generation:?}: {plan} {report:?}");
        assert_eq!(batch.saving_percent, Some(plan.saving_percent));
    }
}

#[test]
fn a_rate_that_somebody_left_in_the_daemon_is_noticed_before_it_is_paid() {
    let mut bench = Bench::new(World::new(Litecoin018));
    bench.submit("a", &payee(1), "1");
    bench.world.rpc("settxfee", json!(["0.0009"]));
    let report = bench.flush();
    assert_eq!((report.waits_for, report.batches.len()), (Some(WaitsFor::Settings), 0), "{report:?}");
    assert!(report.waiting.unwrap().contains("and 90 is there, not 20"));
    // A restart makes it read its conf again, as the words say.
    bench.keeper.stop().unwrap();
    bench.restart();
    assert_eq!(bench.flush().batches[0].state, BatchState::Sent);
}

#[test]
fn ceilings_on_fees_refuse_before_anything_is_sent() {
    for (key, value, says) in [
        ("max_fee_per_payout", "0.00001", "above payouts.max_fee_per_payout (0.00001000)"),
        ("max_tx_fee", "0.00002", "above payouts.max_tx_fee (0.00002000)"),
    ] {
        let mut bench = Bench::new(World::new(Litecoin021));
        let setting = format!("[coins.coin.payouts]\n{key} = \"{value}\"\n");
        bench.world.edit_settings("[coins.coin.payouts]\n", &setting);
        bench.submit("a", &payee(1), "1");
        let report = bench.flush();
        assert_eq!((report.waits_for, report.queued), (Some(WaitsFor::LowerRate), 1), "{report:?}");
        assert!(report.waiting.as_ref().unwrap().contains(says), "{report:?}");
        assert_eq!(bench.state("a"), State::Queued);
    }
}

#[test]
fn company_lowers_the_fee_of_each_payout_below_its_ceiling() {
    let mut bench = Bench::new(World::with(Litecoin021, &[("payouts.max_fee_per_payout", "\"0.00001\"")]));
    for n in 0..40_u32 {
        bench.submit(&format!("p{n}"), &payee(n), "0.1");
    }
    let report = bench.flush();
    assert_eq!((report.batches.len(), report.queued), (1, 0), "{report:?}");
    assert!(report.batches[0].fee.unwrap().base_units() <= 40_000, "{report:?}");
}

#[test]
fn what_would_save_too_little_waits_for_company_but_not_for_ever_nor_against_a_persons_order() {
    let settings = [("payouts.min_saving_percent", "40"), ("payouts.flush_at_age_s", "600")];
    let mut bench = Bench::new(World::with(Litecoin021, &settings));
    bench.submit("lonely", &payee(1), "0.1");
    let report = flush_by_policy(&mut bench, 0);
    assert_eq!((report.waits_for, report.queued), (Some(WaitsFor::Company), 1), "{report:?}");
    for n in 2..8_u32 {
        bench.submit(&format!("p{n}"), &payee(n), "0.1");
    }
    assert_eq!(flush_by_policy(&mut bench, 0).batches[0].payouts, 7, "now it has company");
    bench.submit("old", &payee(20), "0.1");
    assert_eq!(flush_by_policy(&mut bench, 590).queued, 1);
    assert_eq!(flush_by_policy(&mut bench, 605).batches[0].payouts, 1);
    submit_as(&mut bench, "urgent", &payee(21), "0.1", Priority::High);
    assert_eq!(flush_by_policy(&mut bench, 0).batches[0].payouts, 1);
    bench.submit("ordered", &payee(22), "0.1");
    assert_eq!(bench.flush().batches[0].payouts, 1);
}

#[test]
fn the_urgent_go_first_and_funds_that_lack_hold_back_whoever_is_behind() {
    let mut bench = with_one_coin(Knots);
    submit_as(&mut bench, "low", &payee(1), "1", Priority::Low);
    bench.submit("large", &payee(2), "60");
    bench.submit("small", &payee(3), "1");
    submit_as(&mut bench, "urgent", &payee(4), "1", Priority::High);
    let report = bench.flush();
    assert_eq!((report.waits_for, report.queued), (Some(WaitsFor::Funds), 3), "{report:?}");
    assert_eq!(bench.state("urgent"), State::Sent);
    payout::decide(&mut bench.store, &"large".parse().unwrap(), payout::PersonsWord::Hold, "by a person", Timestamp::now())
        .unwrap();
    assert_eq!(bench.flush().queued, 0);
    assert_eq!((bench.state("low"), bench.state("small")), (State::Sent, State::Sent));
}

#[test]
fn dust_is_rejected_alone_before_any_call_and_the_least_amount_is_paid() {
    for (generation, hrp, least) in [(Litecoin018, "rltc", 2940), (Litecoin021, "rltc", 2940), (Knots, "bcrt", 294)] {
        let mut bench = Bench::new(World::behind_proxy(generation));
        let hrp = bech32::Hrp::parse(hrp).unwrap();
        let segwit = |byte: u8| bech32::segwit::encode(hrp, bech32::segwit::VERSION_0, &[byte; 20]).unwrap();
        let coins = |units: i64| format!("0.{units:08}");
        bench.submit("dust", &segwit(1), &coins(least - 1));
        bench.submit("least", &segwit(2), &coins(least));
        // Two payouts to one payee are one output.
        bench.submit("half", &segwit(3), &coins(least - 1));
        bench.submit("other half", &segwit(3), "0.00000001");
        let report = bench.flush();
        assert_eq!(report.rejected.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["dust"], "{report:?}");
        assert!(report.rejected[0].reason.contains("is dust"), "{report:?}");
        assert_eq!((report.batches.len(), bench.proxy().seen("sendmany")), (1, 1), "{generation:?} {report:?}");
        assert_eq!(bench.count(State::Sent), 3);
        bench.world.mine(1);
        assert_eq!(bench.paid_on_chain()[&format!("0014{}", "02".repeat(20))], vec![least]);
    }
}

#[test]
fn a_culprit_that_only_the_send_shows_is_found_by_halving() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(World::new(generation));
        for n in 0..9_u32 {
            // Dust: a well-formed payment that no daemon makes.
            bench.submit(&format!("p{n}"), &payee(n), if n == 6 { "0.00000001" } else { "0.01" });
        }
        let (wallet, mut coin) = (bench.world.wallet(), bench.world.coin().clone());
        // As of a coin whose limit is not known here.
        coin.profile.relay.dust_rate_per_kvb = None;
        let report = payout::flush(
            &mut bench.store,
            &wallet,
            &coin,
            &LocalHost { coin: &coin },
            &mut (),
            Occasion::Person,
            Timestamp::now(),
        )
        .unwrap();
        assert_eq!(report.rejected.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["p6"], "{report:?}");
        assert!(report.batches.len() > 4, "{report:?}");
        assert_eq!((report.queued, bench.count(State::Sent)), (0, 8), "{report:?}");
        bench.world.mine(1);
        let paid = bench.paid_on_chain();
        for n in (0..9_u32).filter(|n| *n != 6) {
            assert_eq!(paid[&script_of(n)], vec![1_000_000], "{generation:?} payee {n}");
        }
        assert!(!paid.contains_key(&script_of(6)));
    }
}

#[test]
fn halves_of_a_refused_batch_keep_the_ceiling_that_it_kept_as_a_whole() {
    // Nine share a fee of 0.00000980 each; one alone would pay 0.00004520.
    let mut bench = Bench::new(World::with(Litecoin021, &[("payouts.max_fee_per_payout", "\"0.00002\"")]));
    for n in 0..9_u32 {
        bench.submit(&format!("p{n}"), &payee(n), if n == 6 { "0.00000001" } else { "0.01" });
    }
    let (wallet, mut coin) = (bench.world.wallet(), bench.world.coin().clone());
    coin.profile.relay.dust_rate_per_kvb = None;
    let report =
        payout::flush(&mut bench.store, &wallet, &coin, &LocalHost { coin: &coin }, &mut (), Occasion::Person, Timestamp::now())
            .unwrap();
    let sent: Vec<_> = report.batches.iter().filter_map(|batch| Some((batch.fee?.base_units(), batch.payouts))).collect();
    assert!(!sent.is_empty() && sent.iter().all(|(fee, payouts)| *fee <= 2000 * *payouts as i64), "{report:?}");
    assert_eq!(report.waits_for, Some(WaitsFor::LowerRate), "{report:?}");
    assert!(report.waiting.unwrap().contains("above payouts.max_fee_per_payout (0.00002000)"));
    assert_eq!(bench.count(State::Queued) + bench.count(State::Sent), 9);
}

#[test]
fn a_chain_of_unconfirmed_change_waits_for_a_block_before_the_daemon_loses_a_payment() {
    for generation in Generation::ALL {
        let mut bench = with_one_coin(generation);
        let mut waited_after = None;
        for n in 0..30_u32 {
            bench.submit(&format!("p{n}"), &payee(n), "0.1");
            let report = bench.flush();
            match report.waits_for {
                None => assert_eq!(report.batches[0].state, BatchState::Sent, "{report:?}"),
                Some(reason) => {
                    assert_eq!((reason, report.batches.len()), (WaitsFor::Block, 0), "{report:?}");
                    waited_after = waited_after.or(Some(n));
                }
            }
        }
        assert_eq!(waited_after, Some(20), "{generation:?}");
        let mempool = bench.world.node_rpc("getrawmempool", json!([]));
        assert_eq!(mempool.as_array().unwrap().len(), 20, "{generation:?}: none was kept back in silence");
        bench.world.mine(1);
        bench.settle();
        let report = bench.flush();
        assert_eq!((report.batches[0].payouts, report.queued), (10, 0), "{generation:?} {report:?}");
        bench.world.mine(1);
        let paid = bench.paid_on_chain();
        for n in 0..30_u32 {
            assert_eq!(paid[&script_of(n)], vec![10_000_000], "{generation:?} payee {n}");
        }
    }
}

#[test]
fn confirmed_coins_are_spent_while_a_chain_waits() {
    let mut bench = with_one_coin(Litecoin018);
    for n in 0..20_u32 {
        bench.submit(&format!("p{n}"), &payee(n), "0.1");
        assert_eq!(bench.flush().batches.len(), 1);
    }
    bench.submit("chained", &payee(20), "1");
    assert_eq!(bench.flush().waits_for, Some(WaitsFor::Block));
    bench.world.fund(&["5", "5"]);
    bench.settle();
    let report = bench.flush();
    assert_eq!((report.batches.len(), report.queued), (1, 0), "{report:?}");
}

#[test]
fn three_thousand_payees_make_transactions_below_the_size_that_is_relayed() {
    for generation in [Litecoin021, Knots] {
        let mut bench = Bench::new(World::with(generation, &[("payouts.max_outputs", "3000")]));
        // 34 virtual bytes each: more than 100,000 together.
        for n in 0..3000_u32 {
            bench.submit_unasked(&format!("p{n}"), &payee(n), "0.001");
        }
        let report = bench.flush();
        assert_eq!((report.batches.len(), report.queued), (2, 0), "{generation:?} {report:?}");
        for batch in &report.batches {
            assert!(batch.state == BatchState::Sent && batch.vsize.unwrap() <= 99_000 && batch.note.is_none(), "{report:?}");
        }
        assert!(report.batches[0].vsize.unwrap() > 98_000, "{generation:?}: the first is full: {report:?}");
        bench.world.mine(1);
        let paid = bench.paid_on_chain();
        assert!((0..3000).all(|n| paid[&script_of(n)] == vec![100_000]), "{generation:?}");
    }
}

#[test]
fn the_service_sends_when_enough_are_queued_and_at_once_what_is_urgent() {
    let world = World::with(Litecoin021, &[("payouts.flush_at_count", "3"), ("http.listen", "\"127.0.0.1:0\"")]);
    drop(world.start_daemon());
    world.fund(&["10"; 4]);
    let _service = Service::start(&world);
    let submit = |id: &str, number: u32, priority: &str| {
        world.done(&["pay", "submit", "--id", id, "--address", &payee(number), "--amount", "0.1", "--priority", priority]);
    };
    let state = |id: &str| world.done(&["pay", "show", id])["payout"]["state"].as_str().unwrap().to_owned();
    let is_sent = |id: &str| (state(id) == "sent").then_some(());
    submit("one", 1, "normal");
    submit("two", 2, "normal");
    assert_eq!(state("one"), "queued");
    submit("three", 3, "normal");
    support::wait_for(Duration::from_secs(30), "the third calls for a flush", || is_sent("one"));
    submit("alone", 4, "normal");
    submit("urgent", 5, "high");
    support::wait_for(Duration::from_secs(30), "the urgent one goes at once", || is_sent("urgent"));
    assert_eq!(state("alone"), "sent", "who goes along makes it cheaper");
}

#[test]
fn what_one_flush_leaves_for_other_work_follows_at_once_under_the_service() {
    let world = World::with(Knots, &[("payouts.max_outputs", "1")]);
    drop(world.start_daemon());
    world.fund(&["10"; 15]);
    let _service = Service::start(&world);
    for n in 0..15_u32 {
        world.done(&["pay", "submit", "--id", &format!("p{n}"), "--address", &payee(n), "--amount", "0.1"]);
    }
    let (report, _) = world.order(&["pay", "flush"]);
    assert_eq!((&report["follows"], &report["queued"]), (&json!(true), &json!(3)), "{report}");
    let sent = || world.done(&["pay", "list", "--state", "sent"])["payouts"].as_array().unwrap().len();
    support::wait_for(Duration::from_secs(30), "the other three", || (sent() == 15).then_some(()));
}

#[test]
fn a_dry_run_says_what_would_be_sent_what_it_costs_and_who_would_be_rejected() {
    let mut bench = Bench::new(World::new(Litecoin021));
    bench.submit("good", &payee(1), "1");
    bench.submit("dust", &payee(2), "0.00000001");
    let plan = payout::preview(&mut bench.store, &bench.world.wallet(), bench.world.coin(), Timestamp::now()).unwrap();
    assert_eq!((plan.payouts, plan.rejects.len()), (1, 1));
    let text = plan.to_string();
    for words in ["one transaction: 1 payouts", "virtual bytes at 20", "rejects dust: 0.00000001 is dust"] {
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(bench.count(State::Queued), 2, "it only looked");
}

#[test]
fn the_oldest_generation_pays_the_fixed_rate_of_its_conf_and_no_other() {
    let mut bench = Bench::new(World::getinfo_standin());
    bench.submit("a", &payee(1), "1");
    let report = bench.flush();
    let paid = report.batches[0].paid_rate().unwrap().per_kvb();
    assert!((19_900..20_300).contains(&paid), "{report:?}");
    bench.world.edit_settings("fee_rate_per_vb = 20", "fee_rate_per_vb = 25");
    bench.submit("b", &payee(2), "1");
    assert_eq!(bench.flush().waits_for, Some(WaitsFor::Settings));
}
