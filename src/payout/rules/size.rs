//! How large a transaction will be for which the daemon chooses the coins: an estimate, in virtual bytes; and which outputs are too
//! small to be relayed.

use super::weight::{WEIGHT_OF_A_BYTE, Witness, count_bytes, input_size, output_weight};
use crate::coin::Amount;

/// Version and lock time; a segwit transaction's marker and flag weigh half a virtual byte.
const FRAME_VBYTES: u64 = 9;
/// The largest of the usual change outputs, to a public key hash.
const CHANGE_VBYTES: u64 = 34;
/// An input of an unknown kind counts as one that spends a public key hash.
const UNKNOWN_INPUT_VBYTES: u64 = 148;
/// An input that two of three keys sign, with a witness.
const TWO_OF_THREE_VBYTES: u64 = 105;
/// What a later input costs that spends an output, as relay policy counts it: with a witness, and without.
const SPENDING_VBYTES: (u64, u64) = (67, 148);

fn script_vbytes(script_hex: &str) -> u64 {
    script_hex.len() as u64 / 2
}

/// The exact size of an output with this locking script.
pub fn output_vbytes(script_hex: &str) -> u64 {
    output_weight(script_vbytes(script_hex)) / WEIGHT_OF_A_BYTE
}

/// The size of an input that spends a coin with this locking script, signed as wallets sign (one compressed key).
pub fn input_vbytes(script_hex: Option<&str>) -> u64 {
    let Some(script) = script_hex else { return UNKNOWN_INPUT_VBYTES };
    match input_size(script, Witness::Discounted) {
        Some(size) => size.weight.div_ceil(WEIGHT_OF_A_BYTE),
        None if script_vbytes(script) == 34 && script.starts_with("0020") => TWO_OF_THREE_VBYTES,
        None => UNKNOWN_INPUT_VBYTES,
    }
}

/// The size of a transaction with such inputs and outputs, one change output added.
pub fn transaction_vbytes(inputs: u64, input_vbytes: u64, outputs: u64, output_vbytes: u64) -> u64 {
    let counts = count_bytes(inputs) + count_bytes(outputs.saturating_add(1));
    (FRAME_VBYTES + counts + CHANGE_VBYTES).saturating_add(input_vbytes).saturating_add(output_vbytes)
}

/// The least amount of an output with this locking script that daemons relay: below, it costs a third of its value, or more, to spend.
/// `rate_per_kvb` is the rate that the coin's daemons measure dust by, `least` what they ask of every output.
pub fn dust_limit(script_hex: &str, rate_per_kvb: Option<u64>, least: Option<Amount>) -> Amount {
    let is_witness = matches!(script_vbytes(script_hex), 4..=42) && is_witness_program(script_hex);
    let spending = if is_witness { SPENDING_VBYTES.0 } else { SPENDING_VBYTES.1 };
    let units = rate_per_kvb.unwrap_or(0).saturating_mul(output_vbytes(script_hex) + spending) / 1000;
    let by_rate = i64::try_from(units).map_or(Amount::ZERO, Amount::from_base_units);
    by_rate.max(least.unwrap_or(Amount::ZERO))
}

/// A version and one push of the rest.
fn is_witness_program(script_hex: &str) -> bool {
    let version = script_hex.get(..2).unwrap_or_default();
    let pushed = script_hex.get(2..4).and_then(|byte| u64::from_str_radix(byte, 16).ok());
    let known = version == "00" || matches!(u8::from_str_radix(version, 16), Ok(0x51..=0x60));
    known && pushed == Some(script_vbytes(script_hex).saturating_sub(2))
}

/// Coins that may be spent, for estimating how many of them a payment takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coins {
    /// Sums of the smallest one, two, … coins.
    rising: Vec<i128>,
    /// Sums of the largest one, two, … coins.
    falling: Vec<i128>,
    /// Sums of the largest one, two, … inputs, in virtual bytes.
    inputs: Vec<u64>,
}

impl Coins {
    /// Of coins with their locking scripts in hex, where those are known.
    pub fn new<'a>(coins: impl Iterator<Item = (Amount, Option<&'a str>)>) -> Coins {
        let (mut amounts, mut inputs): (Vec<i64>, Vec<u64>) =
            coins.map(|(amount, script)| (amount.base_units(), input_vbytes(script))).unzip();
        amounts.sort_unstable();
        inputs.sort_unstable_by(|one, other| other.cmp(one));
        let sums = |amounts: &mut dyn Iterator<Item = &i64>| {
            let add = |sum: &mut i128, amount: &i64| {
                *sum += i128::from(*amount);
                Some(*sum)
            };
            amounts.scan(0, add).collect()
        };
        let add = |sum: &mut u64, vbytes: &u64| {
            *sum = sum.saturating_add(*vbytes);
            Some(*sum)
        };
        Coins {
            rising: sums(&mut amounts.iter()),
            falling: sums(&mut amounts.iter().rev()),
            inputs: inputs.iter().scan(0, add).collect(),
        }
    }

    /// The fewest inputs that can pay this; all coins when they cannot.
    pub fn fewest(&self, needed: Amount) -> u64 {
        count_reaching(&self.falling, needed)
    }

    /// How many inputs a daemon may take that chooses by itself: as if its coins were half as large as they are on average, because it
    /// chooses for an exact fit and not for few inputs; never more than the smallest coins first would need.
    pub fn likely(&self, needed: Amount) -> u64 {
        let (Some(all), count) = (self.rising.last(), self.rising.len() as i128) else { return 1 };
        let by_mean = if *all <= 0 { count } else { (i128::from(needed.base_units()) * 2 * count).div_euclid(*all) + 1 };
        let by_mean = u64::try_from(by_mean).unwrap_or(u64::MAX);
        let (fewest, most) = (self.fewest(needed), count_reaching(&self.rising, needed));
        by_mean.clamp(fewest, most.max(fewest))
    }

    /// The size of so many inputs, whichever coins they are: that of the largest.
    pub fn input_vbytes(&self, inputs: u64) -> u64 {
        let known = usize::try_from(inputs).unwrap_or(usize::MAX).min(self.inputs.len());
        let of_known = known.checked_sub(1).and_then(|last| self.inputs.get(last)).copied().unwrap_or(0);
        of_known.saturating_add(inputs.saturating_sub(known as u64).saturating_mul(UNKNOWN_INPUT_VBYTES))
    }
}

/// How many of the sums it takes to reach the amount; at least one.
fn count_reaching(sums: &[i128], needed: Amount) -> u64 {
    let below = sums.partition_point(|sum| *sum < i128::from(needed.base_units()));
    (below + 1).min(sums.len().max(1)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(amount: i64) -> Amount {
        Amount::from_base_units(amount)
    }

    fn script(prefix: &str, bytes: usize, suffix: &str) -> String {
        format!("{prefix}{}{suffix}", "07".repeat(bytes))
    }

    #[test]
    fn dust_is_what_daemons_were_seen_to_refuse() {
        let (p2wpkh, p2pkh) = (script("0014", 20, ""), script("76a914", 20, "88ac"));
        assert_eq!(dust_limit(&p2wpkh, Some(30_000), None), units(2940), "litecoin 0.18 and 0.21");
        assert_eq!(dust_limit(&p2wpkh, Some(3000), None), units(294), "bitcoin knots 29");
        assert_eq!(dust_limit(&p2pkh, Some(3000), None), units(546));
        assert_eq!(dust_limit(&script("a914", 20, "87"), Some(3000), None), units(540));
        assert_eq!(dust_limit(&script("5120", 32, ""), Some(3000), None), units(330));
        assert_eq!(dust_limit(&p2wpkh, None, Some(units(10_000))), units(10_000), "peercoin 0.15");
        assert_eq!(dust_limit(&p2wpkh, None, None), Amount::ZERO);
    }

    #[test]
    fn sizes_are_those_of_real_transactions() {
        // 3222 outputs to p2wpkh and one such input and change were seen to make 99,994 virtual bytes; 3 of ours are for larger change.
        let outputs = 3222 * output_vbytes(&script("0014", 20, ""));
        assert_eq!(transaction_vbytes(1, 68, 3222, outputs), 99_997);
        assert_eq!(output_vbytes(&script("76a914", 20, "88ac")), 34);
    }

    #[test]
    fn a_daemon_is_expected_to_take_more_coins_than_the_fewest_and_never_more_than_all() {
        let equal = Coins::new([units(10); 50].into_iter().map(|amount| (amount, None)));
        assert_eq!((equal.fewest(units(95)), equal.likely(units(95))), (10, 10));
        let mixed = Coins::new([1000, 1, 1, 1, 1].map(|amount| (units(amount), Some("00140707"))).into_iter());
        assert_eq!((mixed.fewest(units(500)), mixed.likely(units(500))), (1, 5));
        assert_eq!((mixed.fewest(units(1)), mixed.likely(units(1))), (1, 1));
        assert_eq!((Coins::default().fewest(units(5)), Coins::default().likely(units(5))), (1, 1));
        assert_eq!(Coins::default().input_vbytes(2), 296);
    }
}
