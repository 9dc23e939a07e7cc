//! What a transaction has to cost, as the daemon sees it now.

use serde::Deserialize;
use serde_json::{Number, json};

use super::super::rpc::unreadable;
use super::super::{FeeWay, RpcError};
use super::RpcWallet;
use super::replies::{amount, amount_if_any};
use crate::coin::{Amount, FeeRate};

/// `estimatesmartfee`.
#[derive(Deserialize)]
struct EstimateReply {
    feerate: Option<Number>,
}

/// The rates in `getmempoolinfo`, `getnetworkinfo` and `getinfo`; in coins per 1000 bytes.
#[derive(Deserialize)]
struct RelayReply {
    mempoolminfee: Option<Number>,
    minrelaytxfee: Option<Number>,
    relayfee: Option<Number>,
}

/// The rate of the conf, in `getwalletinfo` and `getinfo`; 0 where there is none.
#[derive(Deserialize)]
struct ConfRateReply {
    paytxfee: Option<Number>,
}

impl RpcWallet {
    /// What `sendmany` takes, and the rate that takes its place where the conf holds one.
    pub(super) fn way_of_fees(&self) -> Result<FeeWay, RpcError> {
        let form = self.abilities.sendmany;
        if form.fee_rate && self.abilities.named_arguments {
            return Ok(FeeWay::Rate);
        }
        let mut conf_rate = None;
        for method in ["getwalletinfo", "getinfo"] {
            if conf_rate.is_none() && self.abilities.has(method) {
                let reply: ConfRateReply = self.wallet.call(method, &[])?;
                let rate = amount_if_any(method, reply.paytxfee.as_ref(), self.decimals)?.filter(|rate| *rate > Amount::ZERO);
                conf_rate = rate.map(|rate| per_kvb(method, rate)).transpose()?;
            }
        }
        let takes_target = form.conf_target && self.abilities.named_arguments;
        Ok(if takes_target { FeeWay::Target { conf_rate } } else { FeeWay::Conf { conf_rate } })
    }

    /// Daemons without an estimate say so by an error text, by -1, or by leaving the rate out.
    pub(super) fn estimate(&self, target_blocks: u32) -> Result<Option<FeeRate>, RpcError> {
        let (method, feerate) = if self.abilities.has("estimatesmartfee") {
            let method = "estimatesmartfee";
            (method, self.node.call::<EstimateReply>(method, &[json!(target_blocks)])?.feerate)
        } else if self.abilities.has("estimatefee") {
            let method = "estimatefee";
            (method, Some(self.node.call::<Number>(method, &[json!(target_blocks)])?))
        } else {
            return Ok(None);
        };
        let feerate = amount_if_any(method, feerate.as_ref(), self.decimals)?;
        feerate.filter(|rate| *rate > Amount::ZERO).map(|rate| per_kvb(method, rate)).transpose()
    }

    /// The highest of what the daemon says: its mempool asks for more when it is full.
    pub(super) fn relay_rate(&self) -> Result<FeeRate, RpcError> {
        let mut highest = FeeRate::from_per_kvb(0);
        for method in ["getmempoolinfo", "getnetworkinfo", "getinfo"] {
            if !self.abilities.has(method) {
                continue;
            }
            let reply: RelayReply = self.node.call(method, &[])?;
            for rate in [reply.mempoolminfee, reply.minrelaytxfee, reply.relayfee].iter().flatten() {
                highest = highest.max(per_kvb(method, amount(method, rate, self.decimals)?)?);
            }
        }
        Ok(highest)
    }
}

fn per_kvb(method: &str, rate: Amount) -> Result<FeeRate, RpcError> {
    let units = u64::try_from(rate.base_units()).map_err(|_| unreadable(method, "a fee rate below zero"))?;
    Ok(FeeRate::from_per_kvb(units))
}
