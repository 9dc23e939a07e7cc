//! What the daemon says about fees now, and the price that the settings make of it.

use super::error::PayoutError;
use super::flow::Sender;
use super::records;
use super::request::Priority;
use super::rules::{self, FeeFacts, PATIENT_TARGET_BLOCKS, Price};
use crate::coin::FeeRate;
use crate::config::DaemonMode;

impl Sender<'_> {
    /// What a virtual byte of the next batch costs. A refusal is a reason to wait, not a failure.
    pub(super) fn price(&mut self) -> Result<Price, PayoutError> {
        let settings = &self.coin.payouts;
        let is_estimated = settings.fee.rate.is_none() && self.coin.profile.relay.fixed_fee_per_kvb.is_none();
        let has_patient = is_estimated && self.store.read(|tx| records::queued_from(tx, (Priority::Low, 0)))? > 0;
        let estimate = |target: u32| self.wallet.fee_estimate(target);
        let facts = FeeFacts {
            estimate: if is_estimated { estimate(settings.fee.target_blocks)? } else { None },
            patient: if has_patient { estimate(PATIENT_TARGET_BLOCKS.max(settings.fee.target_blocks))? } else { None },
            relay: self.wallet.min_relay_rate()?,
            way: self.wallet.fee_way()?,
            holds_floor: self.coin.daemon.mode == DaemonMode::Keep,
            fixed_by_coin: self.coin.profile.relay.fixed_fee_per_kvb.map(FeeRate::from_per_kvb),
        };
        Ok(rules::price(&settings.fee, settings.method, &facts)?)
    }
}
