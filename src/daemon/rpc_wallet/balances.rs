//! What the wallet holds, by the best call that the daemon has.

use serde_json::{Number, Value, json};

use super::super::rpc::unreadable;
use super::super::{BalanceSource, Balances, RpcError};
use super::RpcWallet;
use super::replies::{BalancesReply, WalletBalanceReply, amount, amount_if_any};
use crate::coin::{Amount, AmountError};

/// How often two answers are asked for that must be of one moment.
const READINGS: usize = 3;

impl RpcWallet {
    pub(super) fn balances_told(&self) -> Result<Balances, RpcError> {
        let source = self.abilities.balance;
        let (method, decimals) = (source.method(), self.decimals);
        match source {
            BalanceSource::Getbalances => self.bucketed(),
            BalanceSource::Getwalletinfo | BalanceSource::Getinfo => {
                let reply: WalletBalanceReply = self.ask(method, &[])?;
                let pending = amount_if_any(method, reply.unconfirmed_balance.as_ref(), decimals)?;
                let immature = amount_if_any(method, reply.immature_balance.as_ref(), decimals)?;
                Ok(Balances { trusted: amount(method, &reply.balance, decimals)?, pending, immature, source })
            }
            BalanceSource::Getbalance => {
                let trusted: Number = self.ask(method, &[])?;
                Ok(Balances { trusted: amount(method, &trusted, decimals)?, pending: None, immature: None, source })
            }
        }
    }

    /// By `getbalances`.
    fn bucketed(&self) -> Result<Balances, RpcError> {
        let (source, decimals) = (BalanceSource::Getbalances, self.decimals);
        let method = source.method();
        for _ in 0..READINGS {
            let BalancesReply { mine } = self.ask(method, &[])?;
            let immature = Some(amount(method, &mine.immature, decimals)?);
            let fresh = amount(method, &mine.trusted, decimals)?;
            let fresh_pending = amount(method, &mine.untrusted_pending, decimals)?;
            let (trusted, pending) = match amount_if_any(method, mine.used.as_ref(), decimals)? {
                None => (fresh, fresh_pending),
                Some(used) => self.with_used(fresh, fresh_pending, used)?,
            };
            // Less than nothing is pending where a block came between the two answers.
            if pending >= Amount::ZERO {
                return Ok(Balances { trusted, pending: Some(pending), immature, source });
            }
        }
        Err(unreadable(method, "it and getbalance do not fit together: less than nothing would be pending"))
    }

    /// Trusted and pending of a wallet that avoids reuse (`avoid_reuse`), coins on addresses that were spent from before included.
    ///
    /// `used` holds these coins, trusted and pending ones in one sum, and they are in no other bucket (seen on Litecoin 0.21 and Knots 29, confirmed or
    /// not). The money is the wallet's: `listunspent` lists it (`reused`), and `sendmany` and what we compose spend it (seen on both). Trusted with it
    /// is `getbalance` with `avoid_reuse` false and all else left out: with `"*"`, Knots counts what is pending too.
    fn with_used(&self, fresh: Amount, fresh_pending: Amount, used: Amount) -> Result<(Amount, Amount), RpcError> {
        let method = BalanceSource::Getbalance.method();
        let left_out = Value::Null;
        let reply: Number = self.ask(method, &[left_out.clone(), left_out.clone(), left_out, json!(false)])?;
        let trusted = amount(method, &reply, self.decimals)?;
        let pending = all_but(trusted, [fresh, fresh_pending, used]).map_err(|error| unreadable(method, &error.to_string()))?;
        Ok((trusted, pending))
    }
}

/// What the sums hold beyond a part of them.
fn all_but(part: Amount, sums: [Amount; 3]) -> Result<Amount, AmountError> {
    Amount::sum(sums)?.checked_sub(part)
}
