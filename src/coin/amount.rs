//! Amounts: integers of base units, checked arithmetic, decimal text in and out. Never a float.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Errors quote this much of a text at most.
const QUOTED_CHARS: usize = 40;

/// A signed amount in the coin's base units (satoshi, 10⁻⁸ or, for Peercoin, 10⁻⁶ of a coin).
///
/// In JSON it is an integer of base units; how many decimals make a coin belongs to the coin's profile.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(i64);

/// Why a text is not an amount, or a sum is not representable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Not plain digits with at most one point.
    #[error("'{text}' is not an amount: {problem}; write plain digits with at most one point, such as 1.25")]
    NotDecimal {
        /// What was given.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// More decimals than the coin has; daemons differ in what they do then, one pays a truncated amount.
    #[error("'{text}' has more than {decimals} decimals, which is all this coin has")]
    TooPrecise {
        /// What was given.
        text: String,
        /// What the coin has.
        decimals: u8,
    },
    /// Zero or negative where a payment is meant.
    #[error("'{0}' is not a payment: an amount must be above zero")]
    NotPositive(String),
    /// Beyond 64 bits, or beyond the coin's money range.
    #[error("'{0}' is above the coin's money range")]
    OutOfRange(String),
    /// A sum or difference beyond 64 bits.
    #[error("the sum does not fit 64 bits")]
    Overflow,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Amount = Amount(0);

    /// From base units.
    pub const fn from_base_units(units: i64) -> Amount {
        Amount(units)
    }

    /// As base units.
    pub const fn base_units(self) -> i64 {
        self.0
    }

    /// The sum, or [`AmountError::Overflow`].
    pub fn checked_add(self, other: Amount) -> Result<Amount, AmountError> {
        self.0.checked_add(other.0).map(Amount).ok_or(AmountError::Overflow)
    }

    /// The difference, or [`AmountError::Overflow`].
    pub fn checked_sub(self, other: Amount) -> Result<Amount, AmountError> {
        self.0.checked_sub(other.0).map(Amount).ok_or(AmountError::Overflow)
    }

    /// The opposite, or [`AmountError::Overflow`].
    pub fn checked_neg(self) -> Result<Amount, AmountError> {
        self.0.checked_neg().map(Amount).ok_or(AmountError::Overflow)
    }

    /// The sum of many, or [`AmountError::Overflow`].
    pub fn sum(amounts: impl IntoIterator<Item = Amount>) -> Result<Amount, AmountError> {
        amounts.into_iter().try_fold(Amount::ZERO, Amount::checked_add)
    }

    /// Parses what a person or script asks to pay: digits with at most one point, no sign, no exponent, no more decimals than
    /// the coin has, above zero. The money range is the profile's to check.
    pub fn parse_payment(text: &str, decimals: u8) -> Result<Amount, AmountError> {
        if let Some(rest) = text.strip_prefix('-')
            && parse_digits(rest, text, decimals).is_ok()
        {
            return Err(AmountError::NotPositive(text.to_owned()));
        }
        let amount = parse_digits(text, text, decimals)?;
        if amount == Amount::ZERO {
            return Err(AmountError::NotPositive(text.to_owned()));
        }
        Ok(amount)
    }

    /// Parses a number that a daemon reported: a sign is allowed, and decimals beyond the coin's if they are zero.
    pub fn parse_reported(text: &str, decimals: u8) -> Result<Amount, AmountError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let kept = match digits.split_once('.') {
            Some((whole, fraction)) if fraction.len() > usize::from(decimals) => {
                let (kept, surplus) = fraction.split_at_checked(usize::from(decimals)).unwrap_or((fraction, ""));
                if surplus.bytes().any(|byte| byte != b'0') {
                    return Err(AmountError::TooPrecise { text: text.to_owned(), decimals });
                }
                format!("{whole}.{kept}")
            }
            _ => digits.to_owned(),
        };
        let amount = parse_digits(kept.trim_end_matches('.'), text, decimals)?;
        if negative { amount.checked_neg() } else { Ok(amount) }
    }

    /// Decimal text in whole coins with all the coin's decimals, such as `1.25000000`.
    pub fn to_decimal(self, decimals: u8) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.0.unsigned_abs(), width = usize::from(decimals) + 1);
        let (whole, fraction) = digits.split_at(digits.len() - usize::from(decimals));
        if decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }
}

/// `digits[.digits]` to base units; `shown` is what an error quotes.
fn parse_digits(digits: &str, shown: &str, decimals: u8) -> Result<Amount, AmountError> {
    let not_decimal = || AmountError::NotDecimal { text: quote(shown), problem: why_not_decimal(shown) };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) {
        return Err(not_decimal());
    }
    if fraction.len() > usize::from(decimals).max(1) || (decimals == 0 && digits.contains('.')) {
        return Err(AmountError::TooPrecise { text: quote(shown), decimals });
    }
    let fraction = if decimals == 0 { "" } else { fraction };
    let padded = format!("{whole}{fraction:0<width$}", width = usize::from(decimals));
    let out_of_range = || AmountError::OutOfRange(quote(shown));
    padded.parse::<i64>().map(Amount).map_err(|_| out_of_range())
}

/// The start of a text without control characters, so that no log line is forged and none floods.
fn quote(text: &str) -> String {
    let start: String = text.chars().take(QUOTED_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(QUOTED_CHARS).is_some() { format!("{start}…") } else { start }
}

/// What keeps a text from being plain digits with at most one point.
fn why_not_decimal(text: &str) -> &'static str {
    let has = |what: fn(char) -> bool| text.chars().any(what);
    match text {
        "" => "it is empty",
        _ if has(|c| c.is_control()) => "it has a control character",
        _ if has(char::is_whitespace) => "it has a space",
        _ if has(|c| c.is_numeric() && !c.is_ascii_digit()) => "it has digits other than 0 to 9",
        _ if !text.is_ascii() => "it has a letter or a sign that is not ASCII",
        _ if text.contains(',') => "it has a comma",
        _ if text.contains('_') || text.contains('\'') => "it has a separator",
        _ if text.starts_with("0x") || text.starts_with("0X") => "it is hexadecimal",
        _ if text.starts_with(['+', '-']) => "it has a sign",
        _ if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(['e', 'E']) => "it has an exponent",
        _ if text.matches('.').count() > 1 => "it has more than one point",
        _ if text.starts_with('.') || text.ends_with('.') => "it begins or ends with a point",
        _ => "it is not a number",
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} base units", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn payments_are_plain_positive_decimals() {
        assert_eq!(Amount::parse_payment("1.25", 8), Ok(Amount(125_000_000)));
        assert_eq!(Amount::parse_payment("7", 6), Ok(Amount(7_000_000)));
        assert_eq!(Amount::parse_payment("0.000001", 6), Ok(Amount(1)));
        for bad in ["", ".", "1.", ".5", "+1", "1e3", "NaN", "inf", "1,5", " 1", "0x10", "1.2.3", "١"] {
            assert!(matches!(Amount::parse_payment(bad, 8), Err(AmountError::NotDecimal { .. })), "{bad}");
        }
        for bad in ["0", "0.0", "-1", "-0.5"] {
            assert!(matches!(Amount::parse_payment(bad, 8), Err(AmountError::NotPositive(_))), "{bad}");
        }
        assert!(matches!(Amount::parse_payment("0.0000001", 6), Err(AmountError::TooPrecise { .. })));
        assert!(matches!(Amount::parse_payment("99999999999999999999", 8), Err(AmountError::OutOfRange(_))));
    }

    #[test]
    fn a_daemon_may_report_signs_and_surplus_zeros() {
        assert_eq!(Amount::parse_reported("-0.00001000", 6), Ok(Amount(-10)));
        assert_eq!(Amount::parse_reported("5", 8), Ok(Amount(500_000_000)));
        assert!(Amount::parse_reported("0.00000001", 6).is_err());
        assert!(Amount::parse_reported("1e-8", 8).is_err());
    }

    proptest! {
        #[test]
        fn text_and_units_round_trip(units in any::<i64>(), decimals in 0u8..=8) {
            prop_assume!(units != i64::MIN);
            let text = Amount(units).to_decimal(decimals);
            prop_assert_eq!(Amount::parse_reported(&text, decimals), Ok(Amount(units)));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}", decimals in 0u8..=8) {
            let _ = Amount::parse_payment(&text, decimals);
            let _ = Amount::parse_reported(&text, decimals);
        }
    }
}
