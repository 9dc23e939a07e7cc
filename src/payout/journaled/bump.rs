//! A higher fee for a journaled batch that is not confirmed: a replacement by the same coins with the same payees, so that only one of
//! the two can ever confirm, and either pays.

use serde::{Deserialize, Serialize};

use super::compose::{self, Draft, Refused, Signing};
use super::{Change, records, usable_coins, witness_of};
use crate::coin::{Amount, FeeRate, Timestamp, Txid};
use crate::config::{CoinSettings, Method};
use crate::daemon::Wallet;
use crate::payout::batch::{Batch, BatchId, BatchState, Member};
use crate::payout::error::PayoutError;
use crate::payout::flow::{Sender, damaged};
use crate::payout::gather::synced;
use crate::payout::host::LocalHost;
use crate::payout::observe::{Observer, Step};
use crate::payout::records as batches;
use crate::payout::rules::{self, Coin, Need, Occasion, PlannedOutput, Refusal, SpendPlan};
use crate::payout::verify::{self, Presence};
use crate::store::{Store, StoreError};
use crate::unlock;

/// A higher fee, as a person orders it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BumpOrder {
    /// Of which batch.
    pub batch: BatchId,
    /// The rate; none: what the settings make of the daemon's estimate.
    pub rate: Option<FeeRate>,
    /// Nothing is to be signed or sent.
    pub dry_run: bool,
}

/// What a bump did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BumpReport {
    /// The batch.
    pub batch: BatchId,
    /// Its transactions before; any of them may confirm all the same.
    pub before: Vec<Txid>,
    /// The highest fee that they pay.
    pub fee_before: Amount,
    /// The replacement; none: nothing was done.
    pub txid: Option<Txid>,
    /// What it spends.
    pub spend: SpendPlan,
    /// Its fee rate.
    pub rate: FeeRate,
    /// What a person should know.
    pub note: Option<String>,
}

/// What is to be replaced.
struct Old {
    batch: Batch,
    members: Vec<Member>,
    outputs: Vec<PlannedOutput>,
    payouts: usize,
    coins: Vec<Coin>,
    change: Option<Change>,
    fee: Amount,
}

/// Replaces the transaction of a journaled batch by one with a higher fee. Nothing is given to the network before its signed bytes are
/// stored.
pub fn bump(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    order: &BumpOrder,
    observer: &mut dyn Observer,
    now: Timestamp,
) -> Result<BumpReport, PayoutError> {
    synced(store, wallet, coin, now)?;
    observer.step(Step::Synced);
    let host = &LocalHost { coin };
    let mut sender = Sender { store, wallet, coin, host, observer, occasion: Occasion::Person, now };
    let old = sender.replaceable(&order.batch)?;
    let (coins, need) = sender.higher(&old, order.rate)?;
    let spend = rules::price_spend(coins.clone(), &need, Some(change_bytes(&old))).map_err(Refusal::from)?;
    let mut report = BumpReport {
        batch: order.batch.clone(),
        before: old.members.iter().map(|member| member.txid).collect(),
        fee_before: old.fee,
        txid: None,
        spend: spend.plan(),
        rate: need.rate,
        note: None,
    };
    if !order.dry_run {
        sender.replace(&old, coins, &need, &mut report)?;
    }
    Ok(report)
}

fn change_bytes(old: &Old) -> u64 {
    old.change.as_ref().map_or(rules::USUAL_CHANGE_SCRIPT_BYTES, |change| change.script_hex.len() as u64 / 2)
}

/// The coins that a replacement spends besides those of the batch.
fn fresh<'a>(draft: &'a Draft, old: &Old) -> &'a [Coin] {
    draft.coins.get(old.coins.len()..).unwrap_or_default()
}

fn refused(id: &BatchId, why: impl Into<String>) -> PayoutError {
    PayoutError::NotBumped { batch: id.to_string(), why: why.into() }
}

impl Sender<'_> {
    /// The batch as it stands, if it can be replaced.
    fn replaceable(&mut self, id: &BatchId) -> Result<Old, PayoutError> {
        let witness = witness_of(self.coin);
        let (old, spender) = self.store.read(|tx| {
            let frozen: Vec<String> = crate::gate::frozen(tx)?.into_iter().map(|frozen| frozen.freeze.detail).collect();
            if !frozen.is_empty() {
                return Err(Refusal::Frozen(frozen).into());
            }
            let batch = batches::find_batch(tx, id)?.ok_or_else(|| refused(id, "no batch has this id"))?;
            if batch.method != Method::Journaled {
                return Err(refused(id, "it was sent by `sendmany`; only a batch sent by `journaled` can be replaced"));
            }
            if batch.state != BatchState::Sent {
                return Err(refused(
                    id,
                    format!("it is {}; only one that is sent and not confirmed can be replaced", batch.state.name()),
                ));
            }
            let members = batches::txids(tx, id)?;
            let old = Old {
                outputs: batches::outputs(tx, id)?,
                payouts: batches::members(tx, id)?.len(),
                coins: records::sized_coins(tx, id, witness)?,
                change: records::change(tx, id)?,
                fee: Amount::ZERO,
                members,
                batch,
            };
            Ok::<_, PayoutError>((old, records::spender_of(tx, id)?))
        })?;
        if let Some(spender) = spender {
            return Err(refused(
                id,
                format!("batch {spender} spends its change, and would never confirm without it: bump that one"),
            ));
        }
        let fee = self.highest_fee(&old)?;
        Ok(Old { fee, ..old })
    }

    fn highest_fee(&self, old: &Old) -> Result<Amount, PayoutError> {
        let mut highest = Amount::ZERO;
        for raw_hex in old.members.iter().filter_map(|member| member.raw_hex.as_ref()) {
            let decoded = self.wallet.decode(raw_hex)?;
            let spent = old.coins.iter().filter(|coin| decoded.inputs.contains(&coin.outpoint)).map(|coin| coin.amount);
            let paid = decoded.outputs.iter().map(|output| output.amount);
            let spent = Amount::sum(spent).map_err(|error| damaged(&error))?;
            let fee = Amount::sum(paid).and_then(|paid| spent.checked_sub(paid)).map_err(|error| damaged(&error))?;
            highest = highest.max(fee);
        }
        Ok(highest)
    }

    /// The coins of the replacement: all that the batch has, and confirmed ones more where its change does not cover the higher fee.
    fn higher(&mut self, old: &Old, rate: Option<FeeRate>) -> Result<(Vec<Coin>, Need), PayoutError> {
        let id = &old.batch.id;
        let rate = match rate {
            Some(rate) => rate,
            None => self.price()?.rate,
        };
        if let Some(ceiling) = self.coin.payouts.fee.max_rate.filter(|ceiling| rate > *ceiling) {
            return Err(Refusal::RateTooHigh { rate, ceiling }.into());
        }
        if old.batch.fee_rate.is_some_and(|old| rate <= old) {
            let before = old.batch.fee_rate.map_or_else(String::new, |rate| rate.to_string());
            return Err(refused(
                id,
                format!("{rate} per virtual byte is not above the {before} that it pays; give a higher --fee-rate"),
            ));
        }
        let mut need = compose::need(self, &old.outputs, old.payouts, rate)?;
        let relay = self.wallet.min_relay_rate()?;
        let least = |vbytes: u64| relay.fee_of(vbytes).and_then(|fee| old.fee.checked_add(fee)).map_err(|error| damaged(&error));
        let more = usable_coins(self)?;
        let change_bytes = change_bytes(old);
        let mut coins = old.coins.clone();
        // The network asks for the old fee, and that of its own size at the lowest rate (BIP 125). More coins, more size: once more.
        for _ in 0..2 {
            let size =
                coins.iter().fold(need.shape, |shape, coin| shape.with_input(coin.size)).with_output(change_bytes).vbytes();
            need.least_fee = least(size)?;
            coins = rules::with_more(&old.coins, &more, &need, change_bytes).map_err(Refusal::from)?;
        }
        Ok((coins, need))
    }

    fn replace(&mut self, old: &Old, coins: Vec<Coin>, need: &Need, report: &mut BumpReport) -> Result<(), PayoutError> {
        let change_to = match (&old.change, report.spend.change) {
            (Some(change), _) => Some((change.address.clone(), change.script_hex.clone())),
            (None, Some(_)) => Some(compose::change_place(self.wallet)?),
            (None, None) => None,
        };
        let lock_height = compose::lock_height(self.wallet)?;
        let draft = compose::priced(coins, need, change_to, lock_height, old.outputs.len())?;
        let signed = match self.sign_replacement(old, &draft, report) {
            Ok(signed) => signed,
            Err(error) => {
                self.let_go(&draft, old);
                return Err(error);
            }
        };
        self.store_replacement(old, &draft, &signed, need.rate)?;
        let presence = verify::keep_alive(self.wallet, &signed.txid, &signed.raw_hex);
        self.observer.step(Step::InMempool(old.batch.id.clone()));
        if let (Presence::Missing(why), None) = (presence, &report.note) {
            report.note = Some(format!("not in the mempool ({why}); both are given to the network until one is final"));
        }
        (report.txid, report.spend.fee, report.spend.change) =
            (Some(signed.txid), draft.fee, draft.change.map(|change| change.amount));
        report.spend.vsize = signed.vsize;
        Ok(())
    }

    /// Signed and checked; nothing is stored or given to the network.
    fn sign_replacement(&mut self, old: &Old, draft: &Draft, report: &mut BumpReport) -> Result<Signing, PayoutError> {
        let id = &old.batch.id;
        let keys = unlock::open(self.store, self.wallet, self.coin)?;
        let signed = compose::sign(self.wallet, self.coin, self.observer, id, draft, &old.outputs, fresh(draft, old));
        keys.close(self.store);
        let signed = signed.map_err(|error| refused(id, error.to_string()))?;
        match compose::wanted(self.wallet, &signed) {
            Ok(()) => {}
            Err(Refused::Unwanted(why)) if why.contains("txn-mempool-conflict") => {
                let note = "this daemon's mempool replaces nothing: it keeps the transaction that it has, and gives the new one to the network \
                            when it has lost the old";
                report.note = Some(note.to_owned());
            }
            Err(error) => return Err(refused(id, error.to_string())),
        }
        Ok(signed)
    }

    /// Its further coins are nobody's: no reservation stands for them, by which the daemon's locks would be lifted later.
    fn let_go(&self, draft: &Draft, old: &Old) {
        for coin in fresh(draft, old) {
            // What was not locked is refused, and a restart lifts what is left.
            if let Err(error) = self.wallet.unlock_coins(&[coin.outpoint]) {
                tracing::info!(coin = %coin.outpoint, %error, "a coin of a replacement that came to nothing was not unlocked");
            }
        }
    }

    /// Signed bytes, txid, claim and the further coins, in one synced commit.
    fn store_replacement(&mut self, old: &Old, draft: &Draft, signed: &Signing, rate: FeeRate) -> Result<(), PayoutError> {
        let (id, now) = (&old.batch.id, self.now);
        self.store.write(|tx| {
            let batch = batches::batch(tx, id)?;
            if batch.state != BatchState::Sent {
                return Err(StoreError::Damaged(format!("batch {id} is {} by now", batch.state.name())));
            }
            records::reserve(tx, id, old.coins.len(), fresh(draft, old))?;
            verify::adopt(tx, &batch, &signed.txid, now)?;
            batches::set_raw(tx, &signed.txid, &signed.raw_hex, true)?;
            records::set_fee_rate(tx, id, rate)
        })?;
        tracing::info!(batch = %id, txid = %signed.txid, fee = ?draft.fee, "a replacement with a higher fee is stored");
        self.observer.step(Step::TxidStored(id.clone()));
        Ok(())
    }
}
