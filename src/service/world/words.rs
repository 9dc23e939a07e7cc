//! A person's word about a transaction.

use tracing::warn;

use super::World;
use crate::coin::{Timestamp, Txid};
use crate::gate::{self, Cause, Freeze};
use crate::ledger::{self, Account, Explained};
use crate::payout::{self, PayoutError};
use crate::service::Failure;

impl World {
    /// Explains a transaction, unless it may be what a batch in doubt paid.
    pub(super) fn explain_spend(
        &mut self,
        (txid, wallet, account): (&Txid, Option<&str>, Account),
        (reason, who): (&str, &str),
    ) -> Result<Explained, Failure> {
        if wallet.is_none_or(|name| name == self.coin.wallet.name) {
            self.refuse_what_is_in_doubt(txid, account)?;
        }
        let explained = ledger::explain(&mut self.store, wallet, txid, account, reason, who, Timestamp::now())?;
        self.lift_what_was_explained(txid)?;
        Ok(explained)
    }

    /// A daemon that does not answer hinders nobody: a word that stands against a batch is met when that is resolved, too.
    fn refuse_what_is_in_doubt(&mut self, txid: &Txid, account: Account) -> Result<(), Failure> {
        if !self.in_doubt()? {
            return Ok(());
        }
        self.connect_if_possible();
        let Some(wallet) = &self.wallet else { return Ok(()) };
        match payout::may_explain(&mut self.store, wallet, txid, account) {
            Err(PayoutError::Rpc(error)) => warn!(%error, %txid, "whether a batch in doubt paid it could not be asked"),
            answer => answer?,
        }
        Ok(())
    }

    /// A spend that froze until somebody explained it is looked at now; where the daemon is away, by the next sync.
    fn lift_what_was_explained(&mut self, txid: &Txid) -> Result<(), Failure> {
        let frozen = self.read(gate::frozen)?;
        let awaits = |freeze: &Freeze| freeze.cause == Cause::UnknownSpend && freeze.txids.contains(txid);
        if frozen.iter().any(|frozen| awaits(&frozen.freeze))
            && let Err(failure) = self.sync()
        {
            warn!(code = failure.code, "what was explained stays frozen until the next sync: {}", failure.message);
        }
        Ok(())
    }
}
