//! Fee estimates. Regtest has none, so a proxy STANDS IN for the estimator of a daemon on a busy chain: it answers `estimatesmartfee` and
//! passes on everything else. What the daemon is told, and what it pays when it is told a rate, is real.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bursar::coin::{FeeRate, Timestamp};
use bursar::payout::rules::WaitsFor;
use bursar::payout::{self, Priority, State};
use serde_json::{Value, json};

use super::bench::{Bench, payee};
use super::support::{Call, FaultProxy, Generation, World};
use super::{flush_by_policy, submit_as};

/// Rates by target, in coins per 1000 virtual bytes, and the arguments of every `sendmany`.
#[derive(Clone, Default)]
struct Standin {
    rates: Arc<Mutex<BTreeMap<u64, &'static str>>>,
    told: Arc<Mutex<Vec<Value>>>,
}

impl Standin {
    fn set(&self, rates: &[(u64, &'static str)]) {
        *self.rates.lock().unwrap() = rates.iter().copied().collect();
    }

    fn told(&self) -> Value {
        self.told.lock().unwrap().last().unwrap().clone()
    }

    fn answer(&self, call: &Call<'_>) -> Option<(u16, String)> {
        if call.method == "sendmany" {
            self.told.lock().unwrap().push(call.params.clone());
        }
        if call.method != "estimatesmartfee" {
            return None;
        }
        let target = call.params[0].as_u64().unwrap();
        let result = match self.rates.lock().unwrap().get(&target) {
            Some(rate) => format!(r#"{{"feerate":{rate},"blocks":{target}}}"#),
            None => r#"{"errors":["Insufficient data or no feerate found"],"blocks":0}"#.to_owned(),
        };
        Some((200, format!(r#"{{"result":{result},"error":null,"id":{}}}"#, call.id)))
    }
}

/// A world whose payouts cost what the daemon estimates.
fn estimating(generation: Generation, changes: &[(&str, &str)]) -> (Bench, Standin) {
    let standin = Standin::default();
    let answering = standin.clone();
    let mut world = World::behind(generation, changes, |upstream| {
        FaultProxy::start_rewriting(upstream, Box::new(move |call, _| answering.answer(call)))
    });
    world.edit_settings("fee_rate_per_vb = 20\n", "");
    (Bench::new(world), standin)
}

#[test]
fn without_an_estimate_payouts_wait_and_are_told_why() {
    for generation in Generation::ALL {
        let mut world = World::new(generation);
        world.edit_settings("fee_rate_per_vb = 20\n", "");
        let mut bench = Bench::new(world);
        bench.submit("a", &payee(1), "1");
        let report = bench.flush();
        assert_eq!((report.waits_for, report.batches.len()), (Some(WaitsFor::Estimate), 0), "{generation:?} {report:?}");
        assert!(report.waiting.unwrap().contains("payouts.fee_rate_per_vb"));
        assert_eq!(bench.state("a"), State::Queued);
    }
}

#[test]
fn an_estimate_goes_into_the_call_and_is_what_is_paid() {
    for generation in [Generation::Litecoin021, Generation::Knots] {
        let (mut bench, standin) = estimating(generation, &[("payouts.min_fee_rate_per_vb", "3")]);
        for (estimate, paid) in [("0.00012345", 12_345), ("0.00001500", 3000)] {
            standin.set(&[(6, estimate)]);
            bench.submit(estimate, &payee(1), "1");
            let report = bench.flush();
            assert_eq!(report.batches[0].planned_rate, FeeRate::from_per_kvb(paid), "{generation:?} {report:?}");
            assert_eq!(standin.told()["fee_rate"].to_string(), FeeRate::from_per_kvb(paid).to_string());
            let real = report.batches[0].paid_rate().unwrap_or_else(|| panic!("{report:?}")).per_kvb();
            assert!(real.abs_diff(paid) * 50 <= paid && report.batches[0].note.is_none(), "{generation:?}: {real}, {report:?}");
        }
    }
}

#[test]
fn the_generation_that_takes_no_rate_is_told_the_target_and_what_it_really_pays_is_judged() {
    let (mut bench, standin) = estimating(Generation::Litecoin018, &[("payouts.fee_target_blocks", "12")]);
    standin.set(&[(12, "0.00010000")]);
    bench.submit("a", &payee(1), "1");
    let report = bench.flush();
    let told = standin.told();
    assert_eq!((&told["conf_target"], &told["estimate_mode"]), (&json!(12), &json!("CONSERVATIVE")), "{told}");
    // The daemon itself has no estimate here and pays its fallback fee: twenty times the plan, and that is told.
    let note = report.batches[0].note.clone().unwrap();
    assert!(note.contains("200") && note.contains("per virtual byte where 10 was planned"), "{report:?}");
}

#[test]
fn above_the_ceiling_on_the_rate_payouts_wait_until_it_falls() {
    let (mut bench, standin) = estimating(Generation::Knots, &[("payouts.max_fee_rate_per_vb", "50")]);
    standin.set(&[(6, "0.00050001")]);
    bench.submit("a", &payee(1), "1");
    let report = bench.flush();
    assert_eq!((report.waits_for, report.queued), (Some(WaitsFor::LowerRate), 1), "{report:?}");
    standin.set(&[(6, "0.00050000")]);
    assert_eq!(bench.flush().queued, 0);
}

#[test]
fn the_patient_wait_for_a_cheaper_moment_or_the_end_of_their_patience() {
    let (mut bench, standin) = estimating(Generation::Litecoin021, &[("payouts.patience_s", "2000")]);
    standin.set(&[(6, "0.00030000"), (144, "0.00005000")]);
    submit_as(&mut bench, "patient", &payee(1), "1", Priority::Low);
    bench.submit("normal", &payee(2), "1");
    let report = bench.flush();
    assert_eq!((report.batches[0].payouts, report.patient, report.queued), (1, 1, 1), "{report:?}");
    assert!(report.waiting.is_none(), "that it waits is as it was asked for: {report:?}");
    let plan = payout::preview(&mut bench.store, &bench.world.wallet(), bench.world.coin(), Timestamp::now());
    assert!(plan.unwrap_err().to_string().contains("1 payouts of priority low wait for a cheaper moment: 30 per virtual byte"));
    // The rate falls to what it would cost in many hours.
    standin.set(&[(6, "0.00005000"), (144, "0.00005000")]);
    assert_eq!((bench.flush().queued, bench.state("patient")), (0, State::Sent));
    // It stays high, and patience ends.
    standin.set(&[(6, "0.00030000"), (144, "0.00005000")]);
    submit_as(&mut bench, "until it ends", &payee(3), "1", Priority::Low);
    assert_eq!(flush_by_policy(&mut bench, 1800).queued, 1);
    assert_eq!(flush_by_policy(&mut bench, 1905).queued, 0);
}

#[test]
fn a_rate_below_the_daemons_own_floor_is_refused_for_certain_and_nothing_is_paid() {
    let (mut bench, standin) = estimating(Generation::Litecoin021, &[("payouts.min_fee_rate_per_vb", "15")]);
    standin.set(&[(6, "0.00005000")]);
    // The daemon runs with the floor of before.
    bench.world.edit_settings("min_fee_rate_per_vb = 15", "min_fee_rate_per_vb = 2");
    bench.submit("a", &payee(1), "1");
    let before = bench.world.rpc("getwalletinfo", json!([]))["txcount"].clone();
    let report = bench.flush();
    assert_eq!((report.waits_for, report.queued), (Some(WaitsFor::Estimate), 1), "{report:?}");
    assert!(report.waiting.unwrap().contains("lower than the minimum fee rate setting (15"));
    assert_eq!(bench.world.rpc("getwalletinfo", json!([]))["txcount"], before);
    assert!(bench.world.node_rpc("getrawmempool", json!([])).as_array().unwrap().is_empty());
}

#[test]
fn an_absurd_estimate_pays_no_higher_fee_than_the_daemons_own_ceiling_would_let_it() {
    let (mut bench, standin) = estimating(Generation::Knots, &[("payouts.method", "'journaled'")]);
    standin.set(&[(6, "0.05000000")]);
    for n in 0..100_u32 {
        bench.submit(&format!("p{n}"), &payee(n), "0.1");
    }
    let report = bench.flush();
    assert_eq!((report.waits_for, report.queued), (Some(WaitsFor::LowerRate), 100), "{report:?}");
    assert!(report.waiting.unwrap().contains("payouts.max_tx_fee"));
    assert!(bench.world.node_rpc("getrawmempool", json!([])).as_array().unwrap().is_empty());
}
