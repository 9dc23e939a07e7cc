//! What the settings of payouts, and of the HTTP API must be. Limits are for slips of the finger.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::coin_rules::{Place, loopback};
use super::credential;
use super::raw::{RawApi, RawPayouts};
use super::{ApiSettings, ConfigError, FeeSettings, FlushSettings, PayoutSettings};
use crate::coin::{Amount, FeeRate, Profile};

/// Outputs of one transaction that every daemon tried can still relay: 3203 to 3222 fit its 100,000 virtual bytes.
const OUTPUTS: RangeInclusive<u16> = 1..=3000;
/// Virtual bytes of one transaction: below the least, one payout with a few inputs does not fit; above the most, it is not relayed.
const TX_VBYTES: RangeInclusive<u64> = 1000..=100_000;
/// Base units per virtual byte. Above the range a fee per thousand bytes was probably meant.
const FEE_RATE_PER_VB: RangeInclusive<u64> = 1..=10_000;
/// Blocks for which daemons estimate.
const TARGET_BLOCKS: RangeInclusive<u32> = 1..=1008;
/// Seconds that a payout may wait; at most thirty days.
const WAIT_S: RangeInclusive<u64> = 1..=2_592_000;
/// Percent.
const PERCENT: RangeInclusive<u8> = 0..=90;
/// Payouts.
const COUNT: RangeInclusive<u64> = 1..=1_000_000;
/// Requests per second of one token.
const REQUESTS_PER_S: RangeInclusive<u32> = 1..=100_000;
/// KiB of a request's body: a page of payouts fits the least.
const BODY_KIB: RangeInclusive<u32> = 16..=65_536;

pub(super) fn payouts(place: &Place<'_>, raw: &RawPayouts, profile: &Profile) -> Result<PayoutSettings, ConfigError> {
    let default = PayoutSettings::default();
    let vbytes = raw.max_tx_vbytes.unwrap_or(default.max_tx_vbytes);
    Ok(PayoutSettings {
        method: raw.method.unwrap_or_default(),
        max_outputs: match raw.max_outputs {
            None => default.max_outputs,
            Some(outputs) => {
                let outputs =
                    place.within(&["payouts", "max_outputs"], outputs, &OUTPUTS, "larger transactions are not relayed")?;
                usize::from(outputs)
            }
        },
        max_tx_vbytes: place.within(&["payouts", "max_tx_vbytes"], vbytes, &TX_VBYTES, "virtual bytes of one transaction")?,
        max_amount: amount(place, "max_amount", raw.max_amount.as_deref(), profile)?,
        fee: fee(place, raw, profile)?,
        flush: flush(place, raw, profile)?,
    })
}

fn fee(place: &Place<'_>, raw: &RawPayouts, profile: &Profile) -> Result<FeeSettings, ConfigError> {
    let default = FeeSettings::default();
    let target_blocks = raw.fee_target_blocks.unwrap_or(default.target_blocks);
    let patience_s = raw.patience_s.unwrap_or(default.patience_s);
    let floor = profile.relay.min_fee_per_kvb.map_or(default.min_rate, FeeRate::from_per_kvb);
    let settings = FeeSettings {
        rate: fee_rate(place, "fee_rate_per_vb", raw.fee_rate_per_vb)?,
        target_blocks: place.within(&["payouts", "fee_target_blocks"], target_blocks, &TARGET_BLOCKS, "blocks")?,
        min_rate: fee_rate(place, "min_fee_rate_per_vb", raw.min_fee_rate_per_vb)?.unwrap_or(floor),
        max_rate: fee_rate(place, "max_fee_rate_per_vb", raw.max_fee_rate_per_vb)?,
        max_per_payout: amount(place, "max_fee_per_payout", raw.max_fee_per_payout.as_deref(), profile)?,
        max_per_tx: amount(place, "max_tx_fee", raw.max_tx_fee.as_deref(), profile)?,
        patience_s: place.within(&["payouts", "patience_s"], patience_s, &WAIT_S, "seconds, at most thirty days")?,
    };
    match settings.max_rate {
        Some(ceiling) if ceiling < settings.min_rate => {
            let problem = format!("{ceiling} is below min_fee_rate_per_vb ({}): nothing could be sent", settings.min_rate);
            Err(place.refuse(&["payouts", "max_fee_rate_per_vb"], problem))
        }
        Some(ceiling) if settings.rate.is_some_and(|rate| rate > ceiling) => {
            let problem = format!("the fixed rate is above max_fee_rate_per_vb ({ceiling}): nothing could be sent");
            Err(place.refuse(&["payouts", "fee_rate_per_vb"], problem))
        }
        _ => Ok(settings),
    }
}

fn flush(place: &Place<'_>, raw: &RawPayouts, profile: &Profile) -> Result<FlushSettings, ConfigError> {
    let percent = raw.min_saving_percent.unwrap_or_default();
    let at = |key| ["payouts", key];
    if percent > 0 && raw.flush_at_age_s.is_none() {
        let problem = "it needs flush_at_age_s: without it a lone payout would wait for company forever";
        return Err(place.refuse(&at("min_saving_percent"), problem));
    }
    Ok(FlushSettings {
        at_count: raw.flush_at_count.map(|count| place.within(&at("flush_at_count"), count, &COUNT, "payouts")).transpose()?,
        at_age_s: raw.flush_at_age_s.map(|age| place.within(&at("flush_at_age_s"), age, &WAIT_S, "seconds")).transpose()?,
        at_amount: amount(place, "flush_at_amount", raw.flush_at_amount.as_deref(), profile)?,
        min_saving_percent: place.within(&at("min_saving_percent"), percent, &PERCENT, "batching saves less than that")?,
    })
}

fn fee_rate(place: &Place<'_>, key: &str, rate: Option<u64>) -> Result<Option<FeeRate>, ConfigError> {
    let why = "it counts base units per virtual byte, not per thousand bytes";
    let rate = rate.map(|rate| place.within(&["payouts", key], rate, &FEE_RATE_PER_VB, why)).transpose()?;
    Ok(rate.map(FeeRate::from_per_vb))
}

/// A limit in coins, below `payouts`.
fn amount(place: &Place<'_>, key: &str, text: Option<&str>, profile: &Profile) -> Result<Option<Amount>, ConfigError> {
    let Some(text) = text else { return Ok(None) };
    let path = ["payouts", key];
    let amount = Amount::parse_payment(text, profile.decimals).map_err(|error| place.refuse(&path, error.to_string()))?;
    if amount > profile.max_money() {
        return Err(place.refuse(&path, format!("'{text}' is above all the money that {} can have", profile.name)));
    }
    Ok(Some(amount))
}

pub(super) fn api(place: &Place<'_>, base: &Path, raw: RawApi) -> Result<ApiSettings, ConfigError> {
    let tokens_file = secret(place, base, ["api", "tokens_file"], raw.tokens_file)?;
    let listen = loopback(place, "api", raw.listen)?;
    if listen.is_some() && tokens_file.is_none() {
        return Err(place.refuse(&["api", "listen"], "the API needs api.tokens_file: nobody may ask for payouts without a token"));
    }
    let (requests, body) = (raw.requests_per_s.unwrap_or(1000), raw.max_body_kib.unwrap_or(1024));
    Ok(ApiSettings {
        listen,
        tokens_file,
        requests_per_s: place.within(
            &["api", "requests_per_s"],
            requests,
            &REQUESTS_PER_S,
            "requests per second of one token",
        )?,
        max_body_kib: place.within(&["api", "max_body_kib"], body, &BODY_KIB, "KiB of one request")?,
    })
}

fn secret(place: &Place<'_>, base: &Path, path: [&str; 2], file: Option<PathBuf>) -> Result<Option<PathBuf>, ConfigError> {
    file.map(|file| credential::file(place, &path, base, file)).transpose()
}
