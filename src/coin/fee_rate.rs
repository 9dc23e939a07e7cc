//! Fee rates: base units per thousand virtual bytes, which is finer than per byte and is what daemons count in.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Amount, AmountError};

/// A fee rate in base units per 1000 virtual bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeeRate(u64);

impl FeeRate {
    /// From base units per 1000 virtual bytes.
    pub const fn from_per_kvb(units: u64) -> FeeRate {
        FeeRate(units)
    }

    /// From base units per virtual byte; the largest rate there is where that does not fit.
    pub const fn from_per_vb(units: u64) -> FeeRate {
        FeeRate(units.saturating_mul(1000))
    }

    /// Base units per 1000 virtual bytes.
    pub const fn per_kvb(self) -> u64 {
        self.0
    }

    /// The fee of so many virtual bytes, rounded up: a fee that is rounded down may fall below what is relayed.
    pub fn fee_of(self, vbytes: u64) -> Result<Amount, AmountError> {
        let fee = (u128::from(self.0) * u128::from(vbytes)).div_ceil(1000);
        i64::try_from(fee).map(Amount::from_base_units).map_err(|_| AmountError::Overflow)
    }
}

/// Base units per virtual byte, with up to three decimals and no more than it has: as `sendmany` takes it.
impl fmt::Display for FeeRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, thousandths) = (self.0 / 1000, self.0 % 1000);
        match thousandths {
            0 => write!(f, "{whole}"),
            _ => f.write_str(format!("{whole}.{thousandths:03}").trim_end_matches('0')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_are_rounded_up_and_rates_are_written_without_surplus_digits() {
        assert_eq!(FeeRate::from_per_kvb(1500).fee_of(141), Ok(Amount::from_base_units(212)));
        assert_eq!(FeeRate::from_per_vb(20).fee_of(141), Ok(Amount::from_base_units(2820)));
        assert_eq!(FeeRate::from_per_vb(u64::MAX).fee_of(u64::MAX), Err(AmountError::Overflow));
        let written = [20_000, 1500, 1001, 10, 0].map(|rate| FeeRate::from_per_kvb(rate).to_string());
        assert_eq!(written, ["20", "1.5", "1.001", "0.01", "0"]);
    }
}
