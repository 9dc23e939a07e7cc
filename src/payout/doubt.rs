//! What is known about each batch that may or may not have been sent, what it waits for, and what a person can do. Changes nothing.

use serde::{Deserialize, Serialize};

use super::batch::{Batch, BatchId, BatchState, Member};
use super::decide::could_spend;
use super::error::PayoutError;
use super::host::Host;
use super::request::PayoutId;
use super::rules::{self, Fate, Finding, NOT_SENT_LIMIT};
use super::{continuity, look, records, sweep};
use crate::coin::{Amount, OutPoint, Timestamp};
use crate::config::{CoinSettings, DaemonMode, Method};
use crate::daemon::{RpcError, Tip, Wallet};
use crate::store::{Store, StoreError};

/// Coins or payouts that a text names before it counts the rest.
const NAMED: usize = 5;

/// A coin that a payment in doubt may have spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoinInDoubt {
    /// Which.
    pub outpoint: OutPoint,
    /// How much, where nobody has spent it.
    pub amount: Option<Amount>,
    /// What became of it.
    pub fate: Fate,
}

/// Everything that is known about one batch in doubt or disputed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Which.
    pub id: BatchId,
    /// Its number in this store.
    pub seq: u64,
    /// Where it stands.
    pub state: BatchState,
    /// How it was to be sent.
    pub method: Method,
    /// When it was made.
    pub created: Timestamp,
    /// How many payouts it may have paid.
    pub payouts: usize,
    /// Their sum.
    pub total: Amount,
    /// Since when its outcome is unknown.
    pub doubt_since: Option<Timestamp>,
    /// What came back from the call, or why nothing did.
    pub answer: Option<String>,
    /// Why it is disputed.
    pub disputed_because: Option<String>,
    /// The daemon's tip when it was made.
    pub tip_then: Tip,
    /// And now; none while the daemon does not answer.
    pub tip_now: Option<Tip>,
    /// When the exit of the daemon that was called was confirmed; none: a copy of the call may run yet.
    pub fenced: Option<Timestamp>,
    /// What the wallet shows now.
    pub look: String,
    /// Why the wallet may have forgotten a payment; empty: it cannot.
    pub breaks: Vec<String>,
    /// Its transactions.
    pub transactions: Vec<Member>,
    /// The coins that it may have spent, and what became of them; only of a disputed batch.
    pub coins: Vec<CoinInDoubt>,
    /// What it waits for.
    pub waits_for: String,
    /// What a person can do.
    pub can_do: Vec<String>,
}

/// All doubt there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoubtReport {
    /// Batches in doubt and disputed ones, oldest first.
    pub batches: Vec<Explanation>,
    /// Payouts that were proven unsent three times, and are held: something is wrong that another try will not mend.
    pub held: Vec<PayoutId>,
}

/// Explains every batch in doubt, and every disputed one. A daemon that does not answer is part of the explanation.
pub fn explain(
    store: &mut Store,
    wallet: Result<&dyn Wallet, RpcError>,
    coin: &CoinSettings,
    host: &dyn Host,
) -> Result<DoubtReport, PayoutError> {
    let (batches, held) = store.read(|tx| {
        let mut open = Vec::new();
        for state in [BatchState::Sending, BatchState::InDoubt, BatchState::Disputed] {
            open.extend(records::batches_in(tx, state)?);
        }
        Ok::<_, StoreError>((open, records::held_after(tx, NOT_SENT_LIMIT)?))
    })?;
    let mut explainer = Explainer { store, wallet, coin, host };
    let batches = batches.iter().map(|batch| explainer.explain(batch)).collect::<Result<_, _>>()?;
    Ok(DoubtReport { batches, held })
}

struct Explainer<'a> {
    store: &'a mut Store,
    wallet: Result<&'a dyn Wallet, RpcError>,
    coin: &'a CoinSettings,
    host: &'a dyn Host,
}

/// What the daemon says about a batch now.
#[derive(Default)]
struct Seen {
    tip: Option<Tip>,
    look: String,
    breaks: Vec<String>,
    coins: Vec<CoinInDoubt>,
}

impl Explainer<'_> {
    fn explain(&mut self, batch: &Batch) -> Result<Explanation, PayoutError> {
        let (payouts, transactions, outputs) = self.store.read(|tx| {
            let payouts = records::members(tx, &batch.id)?.len();
            Ok::<_, StoreError>((payouts, records::txids(tx, &batch.id)?, records::outputs(tx, &batch.id)?))
        })?;
        let seen = match self.see(batch) {
            Err(PayoutError::Rpc(error)) => Seen { look: format!("the daemon cannot be asked now: {error}"), ..Seen::default() },
            seen => seen?,
        };
        let (waits_for, can_do) = advice(self.coin, batch, &transactions, &seen.coins);
        let disputed = batch.state == BatchState::Disputed;
        Ok(Explanation {
            id: batch.id.clone(),
            seq: batch.seq,
            state: batch.state,
            method: batch.method,
            created: batch.created,
            payouts,
            total: Amount::sum(outputs.iter().map(|output| output.amount)).unwrap_or_default(),
            doubt_since: batch.doubt_since,
            answer: batch.doubt_reason.clone(),
            disputed_because: batch.outcome.clone().filter(|_| disputed),
            tip_then: batch.tip,
            tip_now: seen.tip,
            fenced: batch.fenced,
            look: seen.look,
            breaks: seen.breaks,
            transactions,
            coins: seen.coins,
            waits_for,
            can_do,
        })
    }

    fn see(&mut self, batch: &Batch) -> Result<Seen, PayoutError> {
        let wallet = self.wallet.clone()?;
        let look = look::look(self.store, wallet, self.coin, batch)?;
        let breaks = rules::breaks(&continuity::observe(self.store, wallet, self.host, batch)?);
        let coins = match batch.state {
            BatchState::Disputed => {
                let could_spend = could_spend(self.store, wallet, batch)?;
                let spenders = sweep::spenders(self.store, wallet, self.coin, batch)?;
                coins(wallet, rules::fates(&could_spend, &spenders, self.coin.final_depth))?
            }
            _ => vec![],
        };
        Ok(Seen { tip: Some(wallet.tip()?), look: words_of(&look), breaks, coins })
    }
}

/// The coins with the amounts of those that are left.
pub(super) fn coins(wallet: &dyn Wallet, fates: Vec<(OutPoint, Fate)>) -> Result<Vec<CoinInDoubt>, RpcError> {
    let left = |fate| fate == Fate::Unspent;
    let with_amount = |(outpoint, fate)| {
        let found = if left(fate) { wallet.chain_coin(&outpoint)? } else { None };
        Ok(CoinInDoubt { outpoint, amount: found.map(|coin| coin.amount), fate })
    };
    fates.into_iter().map(with_amount).collect()
}

fn words_of(finding: &Finding) -> String {
    match finding {
        Finding::Found(txids) => format!("its mark is on {}", listed(txids)),
        Finding::FoundByOutputs(txid) => format!("{txid} pays the same, without its mark"),
        Finding::Unclear { why, .. } => why.clone(),
        Finding::NotThere => "the wallet does not know the payment".to_owned(),
        Finding::CannotTell(why) => why.clone(),
    }
}

fn listed(items: &[impl ToString]) -> String {
    let named: Vec<String> = items.iter().take(NAMED).map(ToString::to_string).collect();
    let more = items.len().saturating_sub(NAMED);
    if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") }
}

fn advice(coin: &CoinSettings, batch: &Batch, transactions: &[Member], coins: &[CoinInDoubt]) -> (String, Vec<String>) {
    if batch.state != BatchState::Disputed {
        return advice_in_doubt(coin, batch);
    }
    let id = &batch.id;
    let paid_by =
        format!("`bursar pay resolve --batch {id} --paid-by TXID --reason TEXT`, if a transaction without its mark is its own");
    let unpaid = format!("`bursar pay resolve --batch {id} --unpaid --reason TEXT`, once it is proven that nothing pays it");
    let confirms = "that one of its transactions confirms, or proof that none ever can: ";
    let waits_for = match transactions.is_empty() {
        true => format!("its transaction to show up, or proof that there is none: {}", missing_proof(coin, coins)),
        false => format!(
            "{confirms}a coin of each of them spent by a transaction that pays none of its payees, {} deep",
            coin.final_depth
        ),
    };
    (waits_for, vec![paid_by, unpaid])
}

fn advice_in_doubt(coin: &CoinSettings, batch: &Batch) -> (String, Vec<String>) {
    let resolve = "`bursar pay resolve` looks at once; the service does so at each sync".to_owned();
    match (batch.fenced, coin.daemon.mode) {
        (Some(_), _) => ("a look at the right wallet, at a tip that has regained the batch's height".to_owned(), vec![resolve]),
        (None, DaemonMode::Keep) => {
            ("the exit of the daemon that was called: it is restarted once, and looked at again".to_owned(), vec![resolve])
        }
        (None, DaemonMode::Attach) => {
            let restart = "restart the daemon, then `bursar pay resolve --restarted`".to_owned();
            ("a restart of the daemon, which is not bursar's to order".to_owned(), vec![restart])
        }
    }
}

/// Which coins are left, and how moving them would prove that nothing was paid.
pub(super) fn missing_proof(coin: &CoinSettings, coins: &[CoinInDoubt]) -> String {
    let depth = coin.final_depth;
    let paying = coins.iter().filter_map(|coin| if let Fate::PaysAPayee(txid) = coin.fate { Some(txid) } else { None });
    if let Some(txid) = paying.into_iter().next() {
        return format!(
            "{txid} spent a coin of it and pays one of its payees; whether that is this payment, only a person can see"
        );
    }
    let left: Vec<&CoinInDoubt> = coins.iter().filter(|coin| coin.fate == Fate::Unspent).collect();
    let not_final = coins.iter().filter(|coin| matches!(coin.fate, Fate::NotFinal(_))).count();
    match (left.is_empty(), not_final) {
        _ if coins.is_empty() => "which coins it could have spent is not known".to_owned(),
        (true, 0) => "every coin that it could have spent is spent otherwise, for good: the next sync ends it".to_owned(),
        (true, waiting) => {
            format!("{waiting} coins that it could have spent are spent otherwise, but not {depth} blocks deep yet")
        }
        (false, _) => {
            let names: Vec<OutPoint> = left.iter().map(|coin| coin.outpoint).collect();
            let sum = Amount::sum(left.iter().filter_map(|coin| coin.amount)).unwrap_or_default();
            format!(
                "{} of {} coins that it could have spent are unspent ({}), {} together. Moving all of them to an address of your own (with the daemon's \
                 client: `sendtoaddress OWN_ADDRESS AMOUNT \"\" \"\" true` with the whole balance) proves it when that is {depth} blocks deep",
                left.len(),
                coins.len(),
                listed(&names),
                sum.to_decimal(coin.profile.decimals),
            )
        }
    }
}
