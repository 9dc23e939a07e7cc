use proptest::prelude::*;

use super::*;
use crate::coin::{Amount, FeeRate, Timestamp};
use crate::config::{FeeSettings, FlushSettings, Method, PayoutSettings};
use crate::daemon::{FeeChoice, FeeWay};
use crate::payout::batch::BatchId;
use crate::payout::request::Priority;

fn units(units: i64) -> Amount {
    Amount::from_base_units(units)
}

fn rate(per_vb: u64) -> FeeRate {
    FeeRate::from_per_vb(per_vb)
}

fn at(per_kvb: u64) -> Price {
    Price { rate: FeeRate::from_per_kvb(per_kvb), choice: FeeChoice::Daemons, is_low: true }
}

/// A queue as the store gives it: most urgent first, then oldest first.
fn queues() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (0_u8..12, 1_i64..100_000, 0_usize..3, 0_i64..1000);
    proptest::collection::vec(one, 0..40).prop_map(|all| {
        let numbered = all.into_iter().enumerate();
        let candidate = |(n, (payee, amount, priority, submitted)): (usize, (u8, i64, usize, i64))| Candidate {
            id: format!("p{n}").parse().unwrap(),
            address: format!("address {payee} in spelling {}", n % 2),
            script_hex: format!("0014{}", format!("{payee:02x}").repeat(20)),
            amount: units(amount),
            priority: Priority::ALL[priority],
            submitted: Timestamp(submitted),
        };
        let mut queue: Vec<Candidate> = numbered.map(candidate).collect();
        queue.sort_by_key(|candidate| candidate.priority);
        queue
    })
}

fn wallets() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(1_i64..400_000, 0..30)
}

fn facts(queue: &[Candidate], coins: &[i64]) -> Facts {
    Facts {
        queue: queue.to_vec(),
        available: units(coins.iter().sum()),
        coins: Coins::new(coins.iter().map(|amount| (units(*amount), None))),
        ..Facts::default()
    }
}

fn ceilings() -> impl Strategy<Value = PayoutSettings> {
    let optional = |range: std::ops::Range<i64>| proptest::option::of(range.prop_map(units));
    (1_usize..15, 200_u64..3000, optional(1..20_000), optional(1..2000), 0_u8..60).prop_map(
        |(max_outputs, max_tx_vbytes, max_per_tx, max_per_payout, min_saving_percent)| PayoutSettings {
            max_outputs,
            max_tx_vbytes,
            fee: FeeSettings { max_per_tx, max_per_payout, ..FeeSettings::default() },
            flush: FlushSettings { min_saving_percent, at_age_s: Some(500), ..FlushSettings::default() },
            ..PayoutSettings::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_fee_above_the_highest_that_is_allowed_has_a_ceiling_to_name_and_no_other_has(
        settings in ceilings(),
        fee in 0_i64..30_000,
        payouts in prop_oneof![0_usize..40, Just(usize::MAX)],
    ) {
        let FeeSettings { max_per_tx, max_per_payout, .. } = settings.fee;
        let most = fee_ceiling(max_per_tx, max_per_payout, payouts);
        let named = above_ceiling(&settings.fee, units(fee), payouts as u64);
        prop_assert_eq!(named.is_some(), most.is_some_and(|most| units(fee) > most));
    }

    #[test]
    fn a_plan_pays_a_run_of_the_queue_to_the_unit_no_payee_twice_and_above_no_ceiling(
        queue in queues(),
        coins in wallets(),
        settings in ceilings(),
        per_kvb in 0_u64..20_000,
        person in any::<bool>(),
    ) {
        let occasion = if person { Occasion::Person } else { Occasion::Policy };
        let (facts, limits) = (facts(&queue, &coins), Limits { settings: &settings, price: at(per_kvb), occasion, decimals: 8 });
        match plan(&facts, &limits, Timestamp(1000)) {
            Ok(plan) => {
                let taken = &queue[..plan.payouts];
                prop_assert!(plan.outputs.len() <= settings.max_outputs && plan.vbytes <= settings.max_tx_vbytes);
                prop_assert_eq!(above_ceiling(&settings.fee, plan.fee, plan.payouts as u64), None);
                prop_assert_eq!(plan.fee, limits.price.rate.fee_of(plan.vbytes).unwrap());
                prop_assert!(plan.total.checked_add(plan.fee).unwrap() <= facts.available);
                for output in &plan.outputs {
                    let mine = taken.iter().filter(|candidate| candidate.script_hex == output.script_hex);
                    let (ids, amounts): (Vec<_>, Vec<_>) = mine.map(|one| (one.id.clone(), one.amount)).unzip();
                    prop_assert_eq!(&output.payouts, &ids);
                    prop_assert_eq!(output.amount, Amount::sum(amounts).unwrap());
                }
                let paid: usize = plan.outputs.iter().map(|output| output.payouts.len()).sum();
                prop_assert_eq!(paid, plan.payouts);
                prop_assert_eq!(plan.total, Amount::sum(taken.iter().map(|candidate| candidate.amount)).unwrap());
                prop_assert_eq!(plan.left_over.is_none(), plan.payouts == queue.len());
                let presses = taken.iter().any(|one| one.priority == Priority::High || one.submitted.0 <= 500);
                prop_assert!(person || presses || plan.saving_percent >= settings.flush.min_saving_percent);
            }
            Err(Refusal::NothingQueued) => prop_assert!(queue.is_empty()),
            Err(Refusal::Company { saving_percent, wanted_percent, .. }) => {
                prop_assert!(!person && saving_percent < wanted_percent);
            }
            Err(refusal) => prop_assert!(refusal.waits_for().is_some(), "{}", refusal),
        }
    }

    #[test]
    fn without_ceilings_the_run_is_the_longest_that_the_funds_allow(queue in queues(), coins in wallets(), max_outputs in 1_usize..15) {
        let settings = PayoutSettings { max_outputs, ..PayoutSettings::default() };
        let (facts, limits) =
            (facts(&queue, &coins), Limits { settings: &settings, price: at(0), occasion: Occasion::Person, decimals: 8 });
        match plan(&facts, &limits, Timestamp(7)) {
            Ok(plan) => {
                if let Some(next) = queue.get(plan.payouts) {
                    let known = plan.outputs.iter().any(|output| output.script_hex == next.script_hex);
                    let full = !known && plan.outputs.len() == max_outputs;
                    prop_assert!(full || plan.total.checked_add(next.amount).unwrap() > facts.available);
                }
            }
            Err(Refusal::NothingQueued) => prop_assert!(queue.is_empty()),
            Err(Refusal::FundsTooLow { .. }) => prop_assert!(queue[0].amount > facts.available),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn nothing_is_planned_while_anything_is_open(queue in queues(), which in 0_usize..3) {
        let mut facts = Facts { available: units(i64::MAX), ..facts(&queue, &[]) };
        match which {
            0 => facts.frozen.push("audit".to_owned()),
            1 => facts.unresolved.push(BatchId::from_bytes([1; 16])),
            _ => facts.unknown_marks.push("bursar:x:9:y".to_owned()),
        }
        let settings = PayoutSettings::default();
        let limits = Limits { settings: &settings, price: at(1000), occasion: Occasion::Person, decimals: 8 };
        let refusal = plan(&facts, &limits, Timestamp(0)).unwrap_err();
        prop_assert_eq!(refusal.waits_for(), None, "a person has to look");
    }

    #[test]
    fn no_price_is_above_the_ceiling_nor_below_a_floor(
        estimate in proptest::option::of(0_u64..400_000),
        patient in proptest::option::of(0_u64..400_000),
        relay in 0_u64..50_000,
        fixed in proptest::option::of(1_u64..300),
        floor in 1_u64..50,
        ceiling in proptest::option::of(50_u64..300),
        way in 0_usize..4,
        journaled in any::<bool>(),
        holds_floor in any::<bool>(),
    ) {
        let settings = FeeSettings { rate: fixed.map(rate), min_rate: rate(floor), max_rate: ceiling.map(rate), ..FeeSettings::default() };
        let conf_rate = settings.rate.filter(|_| way == 2);
        let way = [FeeWay::Rate, FeeWay::Target { conf_rate }, FeeWay::Target { conf_rate }, FeeWay::Conf { conf_rate }][way];
        let per_kvb = |rate: Option<u64>| rate.map(FeeRate::from_per_kvb);
        let relay = FeeRate::from_per_kvb(relay);
        let facts = FeeFacts { estimate: per_kvb(estimate), patient: per_kvb(patient), relay, way, holds_floor, fixed_by_coin: None };
        let method = if journaled { Method::Journaled } else { Method::Sendmany };
        match price(&settings, method, &facts) {
            Ok(price) => {
                prop_assert!(price.rate >= relay && settings.max_rate.is_none_or(|ceiling| price.rate <= ceiling));
                match settings.rate {
                    Some(fixed) => prop_assert!(price.rate == fixed && price.is_low),
                    None => prop_assert!(price.rate >= settings.min_rate && price.rate >= facts.estimate.unwrap()),
                }
                match price.choice {
                    FeeChoice::Rate(told) => prop_assert!(told == price.rate && (journaled || way == FeeWay::Rate)),
                    FeeChoice::Target(_) => {
                        prop_assert!(settings.rate.is_none() && (holds_floor || price.rate == facts.estimate.unwrap().max(relay)));
                    }
                    FeeChoice::Daemons => prop_assert!(conf_rate.is_some() && conf_rate == settings.rate),
                }
            }
            Err(refusal) => prop_assert!(refusal.waits_for().is_some(), "{}", refusal),
        }
    }

    #[test]
    fn what_is_due_stays_due_while_more_is_queued_and_time_passes(
        count in 0_u64..100,
        amount in 0_i64..10_000,
        oldest in proptest::option::of(0_i64..5000),
        patient in proptest::option::of(0_i64..5000),
        limits in (proptest::option::of(1_u64..100), proptest::option::of(1_u64..5000), proptest::option::of(1_i64..10_000)),
        later in 0_i64..100_000,
        more in 0_u64..50,
    ) {
        let flush = FlushSettings { at_count: limits.0, at_age_s: limits.1, at_amount: limits.2.map(units), min_saving_percent: 0 };
        let fee = FeeSettings { patience_s: 3600, ..FeeSettings::default() };
        let waiting = Waiting {
            count,
            amount: units(amount),
            oldest: oldest.map(Timestamp),
            oldest_patient: patient.map(Timestamp),
            ..Waiting::default()
        };
        let grown = Waiting { count: count + more, amount: units(amount + more as i64), ..waiting };
        if due(&waiting, &flush, &fee, Timestamp(5000)).is_some() {
            prop_assert!(due(&grown, &flush, &fee, Timestamp(5000 + later)).is_some());
        }
        prop_assert_eq!(due(&Waiting::default(), &flush, &fee, Timestamp(later)), None, "nothing is due where nothing is queued");
    }
}

#[test]
fn each_trigger_has_its_word_and_its_limit() {
    let flush = FlushSettings { at_count: Some(3), at_age_s: Some(60), at_amount: Some(units(500)), min_saving_percent: 0 };
    let fee = FeeSettings { patience_s: 1000, ..FeeSettings::default() };
    let none = Waiting { count: 2, amount: units(499), oldest: Some(Timestamp(941)), ..Waiting::default() };
    let due = |waiting| due(&waiting, &flush, &fee, Timestamp(1000));
    assert_eq!(due(none), None);
    assert_eq!(due(Waiting { urgent: true, ..none }), Some(Due::Urgent));
    assert_eq!(due(Waiting { count: 3, ..none }), Some(Due::Count));
    assert_eq!(due(Waiting { amount: units(500), ..none }), Some(Due::Amount));
    assert_eq!(due(Waiting { oldest: Some(Timestamp(940)), ..none }), Some(Due::Age));
    assert_eq!(due(Waiting { oldest_patient: Some(Timestamp(51)), ..none }), None);
    assert_eq!(due(Waiting { oldest_patient: Some(Timestamp(50)), ..none }), Some(Due::Patience));
}

fn candidate(id: &str, amount: i64, priority: Priority) -> Candidate {
    let script_hex = format!("76a914{}88ac", hex::encode(format!("{id:_>20}")));
    Candidate {
        id: id.parse().unwrap(),
        address: id.to_owned(),
        script_hex,
        amount: units(amount),
        priority,
        submitted: Timestamp(0),
    }
}

#[test]
fn a_large_payout_that_waits_for_funds_is_starved_by_nobody_behind_it() {
    let queue = [
        candidate("urgent", 900, Priority::High),
        candidate("large", 5000, Priority::Normal),
        candidate("low", 1, Priority::Low),
    ];
    let settings = PayoutSettings::default();
    let limits = Limits { settings: &settings, price: at(0), occasion: Occasion::Person, decimals: 8 };
    let first = plan(&facts(&queue, &[1000]), &limits, Timestamp(0)).unwrap();
    assert_eq!((first.payouts, first.left_over), (1, Some(LeftOver::Funds)));
    let second = plan(&facts(&queue[1..], &[1000]), &limits, Timestamp(0)).unwrap_err();
    assert!(matches!(second, Refusal::FundsTooLow { .. }), "{second}");
    // Change of a long chain would do: a block is what it waits for.
    let chained = Facts { in_chain: units(4000), ..facts(&queue[1..], &[1000]) };
    assert!(matches!(plan(&chained, &limits, Timestamp(0)), Err(Refusal::AwaitsBlock { .. })));
}

#[test]
fn a_chain_keeps_a_margin_and_a_crowd_is_left_alone() {
    let chains = |unconfirmed, ancestors, descendants| Chains { unconfirmed, ancestors, descendants };
    assert!(chains(19, 19, 19).have_room() && Chains::default().have_room());
    assert!(!chains(20, 20, 1).have_room() && !chains(20, 1, 20).have_room());
    assert!(!chains(399, 0, 0).are_crowded() && chains(400, 0, 0).are_crowded());
}

#[test]
fn a_fee_that_was_really_paid_is_held_against_plan_and_ceilings() {
    let settings = FeeSettings { max_per_tx: Some(units(10_000)), max_per_payout: Some(units(500)), ..FeeSettings::default() };
    assert_eq!(judge_paid(&settings, rate(20), units(4000), Some(200), 10), None);
    assert!(judge_paid(&settings, rate(20), units(4000), Some(200), 7).unwrap().contains("max_fee_per_payout"));
    assert!(judge_paid(&settings, rate(20), units(10_001), Some(500), 100).unwrap().contains("max_tx_fee"));
    assert!(
        judge_paid(&FeeSettings::default(), rate(20), units(8200), Some(200), 1)
            .unwrap()
            .contains("41 per virtual byte where 20")
    );
    assert_eq!(judge_paid(&FeeSettings::default(), rate(20), units(8200), None, 1), None, "no size to judge by");
    assert!(judge_paid(&settings, rate(20), units(4000), None, 7).unwrap().contains("max_fee_per_payout"));
}

#[test]
fn batches_save_what_measured_ones_did() {
    let queue: Vec<Candidate> = (0..100).map(|n| candidate(&format!("p{n}"), 1000, Priority::Normal)).collect();
    let settings = PayoutSettings::default();
    let limits = Limits { settings: &settings, price: at(20_000), occasion: Occasion::Person, decimals: 8 };
    let coins = [(units(100_000_000), Some("00140707070707070707070707070707070707070707"))];
    let facts = Facts { available: units(100_000_000), coins: Coins::new(coins.into_iter()), ..facts(&queue, &[]) };
    let plan = plan(&facts, &limits, Timestamp(0)).unwrap();
    assert_eq!((plan.vbytes, plan.saving_percent), (3513, 76));
    let shown = plan.to_string();
    assert!(shown.contains("fee about 0.00070260 (0.00000702 a payout): 3513 virtual bytes at 20; 76 % less"), "{shown}");
}

#[test]
fn one_that_needs_many_coins_does_not_make_the_others_too_dear() {
    // Nine small payouts share two coins; the tenth needs thirty more.
    let mut queue: Vec<Candidate> = (0..9).map(|n| candidate(&format!("p{n}"), 1000, Priority::Normal)).collect();
    queue.push(candidate("large", 300_000, Priority::Normal));
    let mut settings = PayoutSettings::default();
    settings.fee.max_per_payout = Some(units(200));
    let limits = Limits { settings: &settings, price: at(1000), occasion: Occasion::Person, decimals: 8 };
    let coins = [10_000; 40];
    let plan_of = |queue: &[Candidate]| plan(&facts(queue, &coins), &limits, Timestamp(0));
    let first = plan_of(&queue).unwrap();
    assert_eq!((first.payouts, first.left_over), (9, Some(LeftOver::Full)));
    assert!(matches!(plan_of(&queue[9..]), Err(Refusal::FeeTooHigh { .. })));
}

#[test]
fn a_coin_with_one_rate_pays_that_and_the_settings_cannot_ask_for_another() {
    let fixed = FeeRate::from_per_vb(10);
    let relay = FeeRate::from_per_vb(10);
    let way = FeeWay::Conf { conf_rate: None };
    let facts = FeeFacts { estimate: None, patient: None, relay, way, holds_floor: true, fixed_by_coin: Some(fixed) };
    let paid = price(&FeeSettings::default(), Method::Sendmany, &facts).unwrap();
    assert_eq!((paid.rate, paid.choice, paid.is_low), (fixed, FeeChoice::Daemons, true));
    let other = FeeSettings { rate: Some(rate(20)), ..FeeSettings::default() };
    assert!(matches!(price(&other, Method::Sendmany, &facts), Err(Refusal::FixedByCoin { .. })));
    let too_dear = FeeSettings { max_rate: Some(rate(9)), ..FeeSettings::default() };
    assert!(matches!(price(&too_dear, Method::Sendmany, &facts), Err(Refusal::RateTooHigh { .. })));
}
