//! What holds of every choice of coins, tried in thousands of cases.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::coin::Txid;
use crate::daemon::DecodedTx;
use crate::payout::rules::{TIME_BYTES, Witness, compare_exactly, dust_limit, input_size};

/// Scripts of all kinds that are spent.
const KINDS: [&str; 4] = [
    "76a914000000000000000000000000000000000000000088ac",
    "a914000000000000000000000000000000000000000087",
    "00140000000000000000000000000000000000000000",
    "51200000000000000000000000000000000000000000000000000000000000000000",
];

fn units(amount: i64) -> Amount {
    Amount::from_base_units(amount)
}

fn coin_of(number: usize, amount: i64, kind: usize, ancestors: u64) -> Coin {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    let script_hex = KINDS[kind].to_owned();
    let size = input_size(&script_hex, Witness::Discounted).unwrap();
    Coin { outpoint: OutPoint { txid: Txid::from_bytes(bytes), vout: 0 }, amount: units(amount), script_hex, size, ancestors }
}

fn coins(most: usize) -> impl Strategy<Value = Vec<Coin>> {
    let one = (1_i64..2_000_000, 0..KINDS.len(), prop_oneof![4 => Just(0_u64), 1 => 1_u64..30]);
    prop::collection::vec(one, 0..most).prop_map(|coins| {
        let numbered = coins.into_iter().enumerate();
        numbered.map(|(number, (amount, kind, ancestors))| coin_of(number, amount, kind, ancestors)).collect()
    })
}

fn need_of(total: i64, outputs: u64, rate_per_kvb: u64, lasting_per_kvb: u64) -> Need {
    let shape = (0..outputs).fold(Shape::new(TIME_BYTES, Witness::Discounted), |shape, _| shape.with_output(22));
    Need {
        total: units(total),
        shape,
        rate: FeeRate::from_per_kvb(rate_per_kvb),
        least_fee: Amount::ZERO,
        lasting_rate: FeeRate::from_per_kvb(lasting_per_kvb),
        least_change: least_change(FeeRate::from_per_kvb(1000)),
        max_vbytes: 99_000,
        max_fee: None,
    }
}

fn need() -> impl Strategy<Value = Need> {
    (1_i64..5_000_000, 1..60_u64, 1000..60_000_u64, 1000..5000_u64)
        .prop_map(|(total, outputs, rate, lasting)| need_of(total, outputs, rate, lasting))
}

fn sum(coins: &[Coin]) -> Amount {
    Amount::sum(coins.iter().map(|coin| coin.amount)).unwrap()
}

/// What every spend keeps, however it came about.
fn check(spend: &Spend, coins: &[Coin], need: &Need) {
    let chosen: BTreeSet<OutPoint> = spend.coins.iter().map(|coin| coin.outpoint).collect();
    assert_eq!(chosen.len(), spend.coins.len(), "a coin is spent twice");
    assert!(spend.coins.iter().all(|coin| coins.contains(coin)), "a coin that nobody offered");
    let out = need.total.checked_add(spend.fee).unwrap().checked_add(spend.change.unwrap_or_default()).unwrap();
    assert_eq!(sum(&spend.coins), out, "not a unit is lost or made");
    assert!(spend.change.is_none_or(|change| change >= need.least_change), "dust");
    let shape = spend.coins.iter().fold(need.shape, |shape, coin| shape.with_input(coin.size));
    let least = need.rate.fee_of(shape.vbytes()).unwrap().max(need.least_fee);
    assert!(spend.fee >= least, "below the rate");
    if spend.change.is_some() {
        let vbytes = shape.with_output(USUAL_CHANGE_SCRIPT_BYTES).vbytes();
        assert_eq!((spend.vbytes, spend.fee), (vbytes, need.rate.fee_of(vbytes).unwrap().max(need.least_fee)));
    }
    assert!(spend.coins.iter().map(|coin| coin.ancestors).sum::<u64>() <= MAX_ANCESTORS, "too long a chain");
}

fn confirmed(coins: Vec<Coin>) -> Vec<Coin> {
    coins.into_iter().map(|coin| Coin { ancestors: 0, ..coin }).collect()
}

/// What some of the coins hold together is nearly what is needed.
fn nearly_exact() -> impl Strategy<Value = (Vec<Coin>, Need)> {
    (coins(9), need(), 1_u32..512, -1000_i64..30_000).prop_map(|(coins, need, bits, over)| {
        let coins = confirmed(coins);
        let fitting = subset(&coins, bits);
        let shape = fitting.iter().fold(need.shape, |shape, coin| shape.with_input(coin.size));
        let fee = need.rate.fee_of(shape.vbytes()).unwrap();
        let total = sum(&fitting).base_units() - fee.base_units() - over;
        (coins, Need { total: if total > 0 { units(total) } else { need.total }, ..need })
    })
}

fn subset(coins: &[Coin], bits: u32) -> Vec<Coin> {
    coins.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0).map(|(_, coin)| coin.clone()).collect()
}

/// What is paid now, less what the coins would cost some day, and with what the change will.
fn cost(spend: &Spend, coins: &[Coin], need: &Need) -> i64 {
    let some_day = |weight: u64| need.lasting_rate.min(need.rate).fee_of(weight).unwrap().base_units() / 4;
    let spared: i64 = spend.coins.iter().map(|coin| some_day(coin.size.weight)).sum();
    let change = coins.iter().map(|coin| coin.size.weight).min().map_or(0, some_day);
    spend.fee.base_units() - spared + spend.change.map_or(0, |_| change)
}

/// No subset that is worth spending is cheaper without change, nor one coin with change, nor are fewer coins enough.
fn no_subset_is_better(coins: &[Coin], need: &Need) {
    let Ok(spend) = choose(coins, need) else { return };
    let fee_of = |vbytes: u64| need.rate.fee_of(vbytes).unwrap().base_units();
    // The choice counts some bytes that a transaction of few inputs has not, and rounds up.
    let rounding = fee_of(5) + 10;
    let most_over = fee_of(output_weight(USUAL_CHANGE_SCRIPT_BYTES) / 4) + need.least_change.base_units() - rounding;
    let chosen = cost(&spend, coins, need);
    for bits in 1_u32..1 << coins.len() {
        let subset = subset(coins, bits);
        if subset.iter().any(|coin| coin.amount.base_units() <= fee_of(coin.size.weight.div_ceil(4) + 1)) {
            continue;
        }
        if let Ok(without) = price_spend(subset.clone(), need, None) {
            let over = without.fee.base_units() - fee_of(without.vbytes);
            let fits = over >= rounding && over <= most_over;
            let other = cost(&without, coins, need);
            assert!(!fits || chosen <= other + rounding, "{chosen} above {other}: {spend:?} instead of {without:?}");
        }
        let with = price_spend(subset, need, Some(USUAL_CHANGE_SCRIPT_BYTES));
        let clearly =
            |with: &Spend| with.change.is_some_and(|change| change.base_units() >= need.least_change.base_units() + rounding);
        if let Some(with) = with.ok().filter(clearly) {
            let other = cost(&with, coins, need);
            assert!(with.coins.len() > 1 || chosen <= other + rounding, "{chosen} above {other}: {spend:?} instead of {with:?}");
            assert!(spend.change.is_none() || spend.coins.len() <= with.coins.len() + 1, "{spend:?} instead of {with:?}");
        }
    }
}

/// More where PROPTEST_CASES asks for more.
fn cases() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(3000), failure_persistence: None, ..asked }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_choice_keeps_every_unit_makes_no_dust_and_pays_the_rate(coins in coins(60), need in need()) {
        match choose(&coins, &need) {
            Ok(spend) => {
                check(&spend, &coins, &need);
                prop_assert_eq!(Ok(spend), choose(&coins, &need), "the same again");
            }
            Err(NoSpend::Funds { .. }) => {
                // Generously, there is indeed too little of what may be spent together.
                let usable = coins.iter().filter(|coin| coin.ancestors == 0);
                let worth: i128 = usable
                    .map(|coin| i128::from(coin.amount.base_units()) - i128::from(need.rate.per_kvb()) * 150 / 1000)
                    .filter(|worth| *worth > 0)
                    .sum();
                let frame = i128::from(need.rate.fee_of(need.shape.vbytes()).unwrap().base_units());
                prop_assert!(worth < i128::from(need.total.base_units()) + frame + 1000, "{worth}");
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn confirmed_coins_alone_pay_where_they_suffice(coins in coins(40), need in need()) {
        let confirmed: Vec<Coin> = coins.iter().filter(|coin| coin.ancestors == 0).cloned().collect();
        if let Ok(spend) = choose(&confirmed, &need) {
            prop_assert_eq!(choose(&coins, &need).unwrap(), spend);
        }
    }

    /// Few enough coins to try every subset of them.
    #[test]
    fn no_subset_without_change_is_cheaper_and_none_with_change_has_fewer_coins((coins, need) in nearly_exact()) {
        no_subset_is_better(&coins, &need);
    }

    #[test]
    fn no_subset_is_better_either_where_none_fits((coins, need) in (coins(9), need())) {
        no_subset_is_better(&confirmed(coins), &need);
    }

    #[test]
    fn ceilings_are_kept(coins in coins(40), need in need(), most in 100_i64..200_000, vbytes in 150..3000_u64) {
        let need = Need { max_fee: Some(units(most)), max_vbytes: vbytes, ..need };
        if let Ok(spend) = choose(&coins, &need) {
            prop_assert!(spend.fee <= units(most) && spend.vbytes <= vbytes);
        }
    }

    #[test]
    fn a_replacement_keeps_all_coins_and_pays_at_least_what_is_asked(
        coins in coins(8), more in coins(20), need in need(), least in 0_i64..50_000,
    ) {
        let coins: Vec<Coin> = coins.into_iter().map(|coin| Coin { ancestors: 0, ..coin }).collect();
        let more: Vec<Coin> = more.into_iter().enumerate().map(|(at, coin)| Coin { outpoint: coin_of(at + 100, 1, 0, 0).outpoint, ..coin }).collect();
        let need = Need { least_fee: units(least), ..need };
        if let Ok(chosen) = with_more(&coins, &more, &need, USUAL_CHANGE_SCRIPT_BYTES) {
            prop_assert_eq!(&chosen[..coins.len()], &coins[..]);
            let spend = price_spend(chosen, &need, Some(USUAL_CHANGE_SCRIPT_BYTES)).unwrap();
            prop_assert!(spend.fee >= units(least));
            let offered: Vec<Coin> = coins.iter().chain(&more).cloned().collect();
            check(&spend, &offered, &need);
        }
    }
}

#[test]
fn a_coin_that_fits_exactly_makes_no_change() {
    let need = need_of(1_000_000, 3, 20_000, 1000);
    let exact = need.rate.fee_of(need.shape.with_input(coin_of(0, 1, 2, 0).size).vbytes()).unwrap();
    let fitting = coin_of(7, 1_000_000 + exact.base_units() + 300, 2, 0);
    let coins = [coin_of(1, 9_000_000, 2, 0), fitting.clone(), coin_of(2, 500_000, 2, 0)];
    let spend = choose(&coins, &need).unwrap();
    assert_eq!((spend.coins, spend.change), (vec![fitting], None));
}

/// Found by the property above: the coins with the least left over were two, dearer than one that leaves a little more; and so neither was
/// spent, but a third one, with change.
#[test]
fn a_coin_that_fits_nearly_is_cheaper_than_two_that_fit_better() {
    let need = need_of(1_000_000, 3, 50_000, 1000);
    let fee = |kinds: &[usize]| {
        let shape = kinds.iter().fold(need.shape, |shape, kind| shape.with_input(coin_of(0, 1, *kind, 0).size));
        need.rate.fee_of(shape.vbytes()).unwrap().base_units()
    };
    let nearly = coin_of(1, 1_000_000 + fee(&[2]) + 800, 2, 0);
    let better = [coin_of(2, 500_000, 0, 0), coin_of(3, 500_000 + fee(&[0, 0]) + 300, 0, 0)];
    let coins = [coin_of(4, 9_000_000, 2, 0), nearly.clone(), better[0].clone(), better[1].clone()];
    let spend = choose(&coins, &need).unwrap();
    assert_eq!((spend.coins, spend.change), (vec![nearly], None));
}

/// Found by a property above: a small kind of coin that is not confirmed made change look cheap.
#[test]
fn a_coin_that_is_not_confirmed_does_not_change_a_choice_among_the_confirmed_ones() {
    let need = need_of(1_000_000, 3, 5000, 5000);
    let exact = need.rate.fee_of(need.shape.with_input(coin_of(0, 1, 0, 0).size).vbytes()).unwrap().base_units();
    // Change costs 170 now, and some day 740 by the only kind that is confirmed, but 290 by the other.
    let confirmed = [coin_of(1, 1_000_000 + exact + 700, 0, 0), coin_of(2, 9_000_000, 0, 0)];
    let all = [confirmed[0].clone(), confirmed[1].clone(), coin_of(3, 800_000, 3, 1)];
    assert_eq!(choose(&all, &need), choose(&confirmed, &need));
    assert_eq!(choose(&confirmed, &need).unwrap().change, None);
}

#[test]
fn of_two_coins_either_of_which_is_enough_the_one_that_is_cheaper_to_spend_is_taken() {
    let need = need_of(1_000_000, 3, 20_000, 1000);
    let coins =
        [coin_of(1, 9_000_000, 0, 0), coin_of(2, 7_000_000, 2, 0), coin_of(3, 5_000_000, 0, 0), coin_of(4, 8_000_000, 2, 0)];
    assert_eq!(choose(&coins, &need).unwrap().coins, coins[1..2]);
}

#[test]
fn small_coins_are_spent_along_only_while_fees_are_low_and_there_are_many() {
    let many: Vec<Coin> = (0..150).map(|number| coin_of(number, if number == 0 { 5_000_000 } else { 3000 }, 2, 0)).collect();
    let spent = |coins: &[Coin], rate| choose(coins, &need_of(1_000_000, 2, rate, 1000)).unwrap().coins.len();
    assert_eq!(spent(&many, 1000), 1 + SPENT_ALONG);
    assert_eq!(spent(&many, 1001), 1);
    assert_eq!(spent(&many[..50], 1000), 1);
}

#[test]
fn a_transaction_is_compared_coin_by_coin_and_to_the_unit() {
    let point = |vout| OutPoint { txid: Txid::from_bytes([1; 32]), vout };
    let output =
        |vout, amount: i64, script: &str| crate::daemon::TxOutput { vout, amount: units(amount), script_hex: script.to_owned() };
    let found = DecodedTx {
        txid: Txid::from_bytes([2; 32]),
        vsize: 100,
        inputs: vec![point(0), point(1)],
        outputs: vec![output(0, 5, "a"), output(1, 7, "b")],
        extension: None,
    };
    let asked = [("b".to_owned(), units(7)), ("a".to_owned(), units(5))];
    assert_eq!(compare_exactly(&[point(1), point(0)], &asked, &found), Ok(()));
    assert!(compare_exactly(&[point(1)], &asked, &found).is_err(), "a coin more");
    assert!(compare_exactly(&[point(1), point(2)], &asked, &found).is_err(), "another coin");
    assert!(compare_exactly(&[point(0), point(1)], &asked[..1], &found).is_err(), "an output more");
    let other = [("b".to_owned(), units(6)), ("a".to_owned(), units(6))];
    assert!(compare_exactly(&[point(0), point(1)], &other, &found).is_err(), "a unit moved");
    let twice = DecodedTx { inputs: vec![point(0), point(1), point(1)], ..found };
    assert!(compare_exactly(&[point(0), point(1)], &asked, &twice).is_err(), "a coin twice");
}

/// What each coin that comes with bursar relays, by its profile: size in bytes as its daemons count it, fee, dust.
#[test]
fn every_profile_gets_fees_that_are_relayed_and_change_that_is_no_dust() {
    for (name, witness, relay) in [
        ("bitcoin", Witness::Discounted, 1000),
        ("litecoin", Witness::Discounted, 10_000),
        ("dogecoin", Witness::Absent, 100_000),
        ("peercoin", Witness::Whole, 10_000),
    ] {
        let profile = crate::coin::Profile::built_in(name).unwrap().unwrap();
        let script_of = |number: usize| KINDS[if witness == Witness::Absent { 0 } else { number % KINDS.len() }].to_owned();
        let sized = |number: usize| {
            let script_hex = script_of(number);
            let size = input_size(&script_hex, witness).unwrap();
            Coin { script_hex, size, ..coin_of(number, 30_000_000 + number as i64 * 1_000_000, 0, 0) }
        };
        let coins: Vec<Coin> = (0..12).map(sized).collect();
        let rate = profile.relay.fixed_fee_per_kvb.or(profile.relay.min_fee_per_kvb).unwrap_or(relay).max(relay);
        let time = if profile.staking.is_some() { TIME_BYTES } else { 0 };
        for total in (1_000_000..300_000_000).step_by(2_999_999) {
            let shape = (0..20).fold(Shape::new(time, witness), |shape, _| shape.with_output(25));
            let least_change = least_change(FeeRate::from_per_kvb(relay));
            let need = Need { shape, least_change, ..need_of(total, 1, rate, rate) };
            let spend = choose(&coins, &need).unwrap();
            check(&spend, &coins, &need);
            let witnesses = spend.coins.iter().filter(|coin| coin.size.witness).count() as i64;
            // Without any witness: what nobody counts less than in full.
            let bare: i64 = spend
                .coins
                .iter()
                .map(|coin| match coin.script_hex.get(..2) {
                    Some("76") => 36 + 4 + 1 + 107,
                    Some("a9") => 36 + 4 + 1 + 23 + 107,
                    Some("51") => 36 + 4 + 1 + 66,
                    _ => 36 + 4 + 1 + 107,
                })
                .sum();
            let outputs = 20 * 34 + spend.change.map_or(0, |_| 34);
            if witness != Witness::Discounted {
                let whole = 4 + 4 + 2 + bare + outputs + if witnesses > 0 { 2 } else { 0 };
                assert!(
                    spend.fee.base_units() * 1000 >= whole * rate as i64,
                    "{name}: {} for {whole} bytes",
                    spend.fee.base_units()
                );
            }
            let dust =
                dust_limit(KINDS[0], profile.relay.dust_rate_per_kvb, profile.relay.min_output.map(|least| units(least as i64)));
            assert!(spend.change.is_none_or(|change| change >= dust), "{name}: {:?} below {dust:?}", spend.change);
        }
    }
}
