//! What the wallet can spend now: confirmed coins, and its own change while the chain of unconfirmed transactions leaves room.

use std::collections::{BTreeMap, BTreeSet};

use super::batch::BatchState;
use super::error::PayoutError;
use super::flow::{Sender, damaged};
use super::records;
use super::rules::{Chains, Coins, Facts, Refusal};
use crate::coin::{Amount, Txid};
use crate::daemon::Unspent;
use crate::store::StoreError;

impl Sender<'_> {
    /// Counts what can be spent, never more than the trusted balance, and without coins that are locked.
    pub(super) fn count_funds(&mut self, facts: &mut Facts) -> Result<(), PayoutError> {
        let (coins, balances) = self.wallet.funds()?;
        let coins: Vec<Unspent> = coins.into_iter().filter(|coin| coin.spendable && coin.safe).collect();
        let chains = self.chains(&coins)?;
        if chains.are_crowded() {
            return Err(Refusal::Crowded { count: chains.unconfirmed }.into());
        }
        let (usable, chained): (Vec<&Unspent>, Vec<&Unspent>) =
            coins.iter().partition(|coin| coin.confirmations > 0 || chains.have_room());
        let sum = |coins: &[&Unspent]| Amount::sum(coins.iter().map(|coin| coin.amount)).map_err(|error| damaged(&error));
        facts.available = sum(&usable)?.min(balances.trusted);
        facts.in_chain = sum(&chained)?;
        facts.coins = Coins::new(usable.iter().map(|coin| (coin.amount, coin.script_hex.as_deref())));
        Ok(())
    }

    /// The wallet's unconfirmed transactions, as the mempool knows them. Nothing is asked where all is confirmed.
    fn chains(&mut self, coins: &[Unspent]) -> Result<Chains, PayoutError> {
        let mut unconfirmed: BTreeSet<Txid> =
            coins.iter().filter(|coin| coin.confirmations <= 0).map(|coin| coin.outpoint.txid).collect();
        let of_change = unconfirmed.clone();
        self.store.read(|tx| {
            for batch in records::batches_in(tx, BatchState::Sent)? {
                unconfirmed.extend(records::txids(tx, &batch.id)?.into_iter().map(|member| member.txid));
            }
            Ok::<_, StoreError>(())
        })?;
        let mut chains = Chains { unconfirmed: unconfirmed.len() as u64, ..Chains::default() };
        if of_change.is_empty() || chains.are_crowded() {
            return Ok(chains);
        }
        let mut entries = BTreeMap::new();
        for txid in &unconfirmed {
            if let Some(entry) = self.wallet.mempool_entry(txid)? {
                entries.insert(*txid, entry);
            }
        }
        for (txid, entry) in entries {
            let unknown = chains.unconfirmed;
            chains.descendants = chains.descendants.max(entry.descendants.unwrap_or(unknown));
            if of_change.contains(&txid) {
                chains.ancestors = chains.ancestors.saturating_add(entry.ancestors.unwrap_or(unknown));
            }
        }
        Ok(chains)
    }
}
