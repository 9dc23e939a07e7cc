//! Which coins a journaled batch spends: no change where that can be, few inputs, never dust. Pure, in integers.
//!
//! `bdk_coin_select` is not used: it counts fee rates in floats, which are not exact for amounts of 64 bits.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::WaitsFor;
use super::chains::CHAIN_LIMIT;
use super::weight::{InputSize, Shape, USUAL_CHANGE_SCRIPT_BYTES, output_weight};
use crate::coin::{Amount, AmountError, FeeRate, OutPoint};

/// Unconfirmed transactions that a new one may stand on.
pub const MAX_ANCESTORS: u64 = CHAIN_LIMIT - 1;
/// Steps of the search for coins that need no change. It ends in milliseconds and finds what there is among dozens of coins.
const SEARCH_STEPS: u32 = 100_000;
/// With more coins than this, some are spent along while fees are low.
const MANY_COINS: usize = 100;
/// So many at most in one transaction.
const SPENT_ALONG: usize = 20;
/// The least change, in thousand-byte relay fees: the highest threshold of dust that was seen, Dogecoin's.
const LEAST_CHANGE_RELAY_FEES: u64 = 10;
/// The least change that is made where relaying is cheap: twice what Litecoin calls dust.
const LEAST_CHANGE_UNITS: i64 = 10_920;

/// A coin that may be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coin {
    /// Which.
    pub outpoint: OutPoint,
    /// How much.
    pub amount: Amount,
    /// Its locking script in hex.
    pub script_hex: String,
    /// What it takes to spend it.
    pub size: InputSize,
    /// Unconfirmed transactions that it stands on, its own included; 0 when it is confirmed.
    pub ancestors: u64,
}

/// What the coins are for, and what they may cost.
#[derive(Clone, Debug)]
pub struct Need {
    /// Sum of the outputs.
    pub total: Amount,
    /// The transaction with its outputs, without inputs and change.
    pub shape: Shape,
    /// Its fee rate.
    pub rate: FeeRate,
    /// No smaller fee is paid, whatever the rate makes of it.
    pub least_fee: Amount,
    /// What a coin will cost to spend some day: the lowest rate that is ever used.
    pub lasting_rate: FeeRate,
    /// No smaller change is made.
    pub least_change: Amount,
    /// Virtual bytes at most.
    pub max_vbytes: u64,
    /// Fee at most; none: no ceiling.
    pub max_fee: Option<Amount>,
}

/// What is spent, and what comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spend {
    /// The coins, in the order of the inputs.
    pub coins: Vec<Coin>,
    /// The change, if any.
    pub change: Option<Amount>,
    /// The fee.
    pub fee: Amount,
    /// Virtual bytes once signed.
    pub vbytes: u64,
}

/// A spend as it is shown before it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendPlan {
    /// The coins.
    pub inputs: Vec<OutPoint>,
    /// The change, if any.
    pub change: Option<Amount>,
    /// The fee.
    pub fee: Amount,
    /// Virtual bytes once signed.
    pub vsize: u64,
}

impl Spend {
    /// Shown.
    pub fn plan(&self) -> SpendPlan {
        let inputs = self.coins.iter().map(|coin| coin.outpoint).collect();
        SpendPlan { inputs, change: self.change, fee: self.fee, vsize: self.vbytes }
    }
}

/// Why no coins were chosen.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoSpend {
    /// There is too little.
    #[error("{needed:?} are needed with the fee, and the coins that can be spent now hold {available:?}")]
    Funds {
        /// What is needed.
        needed: Amount,
        /// What there is.
        available: Amount,
    },
    /// The transaction would be too large.
    #[error("its transaction would have {vbytes} virtual bytes, and {most} are allowed (payouts.max_tx_vbytes)")]
    TooLarge {
        /// How large.
        vbytes: u64,
        /// What is allowed.
        most: u64,
    },
    /// It would cost too much.
    #[error("its fee would be {fee:?}, above the ceiling of {most:?} (payouts.max_tx_fee, payouts.max_fee_per_payout)")]
    Fee {
        /// The fee.
        fee: Amount,
        /// The ceiling.
        most: Amount,
    },
    /// Amounts beyond 64 bits.
    #[error(transparent)]
    Sum(#[from] AmountError),
}

impl NoSpend {
    /// What the batch waits for.
    pub fn waits_for(&self) -> WaitsFor {
        match self {
            NoSpend::Funds { .. } => WaitsFor::Funds,
            NoSpend::Fee { .. } => WaitsFor::LowerRate,
            NoSpend::TooLarge { .. } | NoSpend::Sum(_) => WaitsFor::Settings,
        }
    }
}

/// The least change where the daemon relays for this rate.
pub fn least_change(relay: FeeRate) -> Amount {
    let units = i64::try_from(relay.per_kvb().saturating_mul(LEAST_CHANGE_RELAY_FEES)).unwrap_or(i64::MAX);
    Amount::from_base_units(units.max(LEAST_CHANGE_UNITS))
}

/// Chooses coins: confirmed ones if they suffice, else with our own unconfirmed change. The same facts give the same choice.
///
/// As few coins as can be, the largest first, of which the last is of the cheapest kind and as small as it may be; while fees are low,
/// and there are many coins, the smallest are spent along. Where other coins add up so nearly to what is needed that all of them as
/// they are cost no more than those with their change, they are spent, there is no change, and the rest is fee. Costs are what is paid
/// now, less what the same coins would cost some day, and what the change will.
pub fn choose(coins: &[Coin], need: &Need) -> Result<Spend, NoSpend> {
    let search = Search::new(coins, need)?;
    let confirmed = search.by_value(|coin| coin.ancestors == 0);
    match search.best_of(&confirmed) {
        Err(NoSpend::Funds { .. }) if confirmed.len() < coins.len() => search.best_of(&search.by_value(|_| true)),
        chosen => chosen,
    }
}

/// The fee and size of a transaction of these coins with change to a script of so many bytes, and what the change is; no change where
/// it would be too small.
pub fn price_spend(coins: Vec<Coin>, need: &Need, change_script_bytes: Option<u64>) -> Result<Spend, NoSpend> {
    let held = Amount::sum(coins.iter().map(|coin| coin.amount))?;
    let over = held.checked_sub(need.total)?;
    let shape = coins.iter().fold(need.shape, |shape, coin| shape.with_input(coin.size));
    let fee_of = |vbytes: u64| need.rate.fee_of(vbytes).map(|fee| fee.max(need.least_fee));
    let with_change = change_script_bytes.map(|bytes| shape.with_output(bytes).vbytes());
    let spend = match with_change {
        Some(vbytes) if over.checked_sub(fee_of(vbytes)?)? >= need.least_change => {
            let fee = fee_of(vbytes)?;
            Spend { coins, change: Some(over.checked_sub(fee)?), fee, vbytes }
        }
        _ => Spend { coins, change: None, fee: over, vbytes: shape.vbytes() },
    };
    let least = fee_of(spend.vbytes)?;
    if spend.fee < least {
        return Err(NoSpend::Funds { needed: need.total.checked_add(least)?, available: held });
    }
    if spend.vbytes > need.max_vbytes {
        return Err(NoSpend::TooLarge { vbytes: spend.vbytes, most: need.max_vbytes });
    }
    match need.max_fee {
        Some(most) if spend.fee > most => Err(NoSpend::Fee { fee: spend.fee, most }),
        _ => Ok(spend),
    }
}

/// These coins, all of them, and as few confirmed ones more, the largest first, as the fee takes.
pub fn with_more(coins: &[Coin], more: &[Coin], need: &Need, change_script_bytes: u64) -> Result<Vec<Coin>, NoSpend> {
    let mut further: Vec<&Coin> = more.iter().filter(|coin| coin.ancestors == 0).collect();
    further.sort_by_key(|coin| (std::cmp::Reverse(coin.amount), coin.outpoint));
    let (mut chosen, mut further) = (coins.to_vec(), further.into_iter());
    loop {
        match price_spend(chosen.clone(), need, Some(change_script_bytes)) {
            Ok(_) => return Ok(chosen),
            Err(NoSpend::Funds { needed, available }) => match further.next() {
                Some(coin) => chosen.push(coin.clone()),
                None => return Err(NoSpend::Funds { needed, available }),
            },
            Err(error) => return Err(error),
        }
    }
}

/// Amounts and fees in parts of a base unit that make every fee whole: one of 4000.
const PARTS: i128 = 4000;

/// A coin with what it is worth after the fee for spending it, in parts.
#[derive(Clone, Copy)]
struct Worth<'a> {
    coin: &'a Coin,
    parts: i128,
    /// What spending it now costs more than spending it some day.
    surcharge: i128,
}

struct Search<'a> {
    coins: &'a [Coin],
    need: &'a Need,
    /// What the coins have to be worth where there is no change, in parts: rounding included.
    target: i128,
    /// What a change output costs now, and its spending some day.
    change_now: i128,
    change_later: i128,
    /// With so much more than the target there is change.
    least_over: i128,
}

/// What so much weight costs, in parts.
fn of_weight(rate: FeeRate, weight: u64) -> i128 {
    i128::from(rate.per_kvb()) * i128::from(weight)
}

impl<'a> Search<'a> {
    fn new(coins: &'a [Coin], need: &'a Need) -> Result<Search<'a>, NoSpend> {
        // As if there were a thousand inputs, one of them with a witness: never too small.
        let fixed = need.shape.vbytes() * 4 + need.shape.witness_weights().0 + 8;
        let target = i128::from(need.total.base_units()) * PARTS + of_weight(need.rate, fixed + 3) + PARTS;
        let change = output_weight(USUAL_CHANGE_SCRIPT_BYTES);
        // Of the confirmed ones: the others change nothing where these suffice.
        let later = coins.iter().filter(|coin| coin.ancestors == 0).map(|coin| coin.size.weight).min().unwrap_or_default();
        let change_now = of_weight(need.rate, change);
        Ok(Search {
            coins,
            need,
            target,
            change_now,
            least_over: change_now + i128::from(need.least_change.base_units()) * PARTS,
            change_later: of_weight(need.lasting_rate.min(need.rate), later),
        })
    }

    fn worth(&self, coin: &'a Coin) -> Worth<'a> {
        // Beside inputs with a witness, the others take one more.
        let weight = coin.size.weight + if coin.size.witness { 0 } else { self.need.shape.witness_weights().1 };
        let (now, later) = (of_weight(self.need.rate, weight), of_weight(self.need.lasting_rate.min(self.need.rate), weight));
        Worth { coin, parts: i128::from(coin.amount.base_units()) * PARTS - now, surcharge: now - later }
    }

    /// The coins that are worth more than it costs to spend them, the most valuable first.
    fn by_value(&self, fits: impl Fn(&Coin) -> bool) -> Vec<Worth<'a>> {
        let usable = self.coins.iter().filter(|coin| coin.ancestors <= MAX_ANCESTORS && fits(coin));
        let mut found: Vec<Worth<'a>> = usable.map(|coin| self.worth(coin)).filter(|worth| worth.parts > 0).collect();
        found.sort_by_key(|worth| (std::cmp::Reverse(worth.parts), worth.coin.outpoint));
        found
    }

    fn best_of(&self, coins: &[Worth<'a>]) -> Result<Spend, NoSpend> {
        let usual = self.with_change(coins);
        let dearest = usual.as_ref().map_or(i128::MAX, |chosen| self.cost_of(chosen));
        let exact = self.without_change(coins, dearest).map(|chosen| self.priced(&chosen));
        let usual = usual.map(|chosen| self.priced(&chosen));
        match (exact, usual) {
            (Some(Ok(exact)), _) => Ok(exact),
            (_, Some(Ok(usual))) => Ok(self.spent_along(usual, coins)),
            (_, Some(Err(error))) | (Some(Err(error)), None) => Err(error),
            (None, None) => Err(self.too_little(coins)?),
        }
    }

    /// What these coins cost beyond the bare transaction, now and some day: with their change, where it is large enough to be made.
    fn cost_of(&self, chosen: &[Worth<'a>]) -> i128 {
        let over = chosen.iter().map(|worth| worth.parts).sum::<i128>() - self.target;
        let rest = if over < self.least_over { over } else { self.change_now + self.change_later };
        chosen.iter().map(|worth| worth.surcharge).sum::<i128>() + rest
    }

    /// With change where it is large enough: the search rounds up, and may be a few bytes off.
    fn priced(&self, chosen: &[Worth<'a>]) -> Result<Spend, NoSpend> {
        price_spend(chosen.iter().map(|worth| worth.coin.clone()).collect(), self.need, Some(USUAL_CHANGE_SCRIPT_BYTES))
    }

    fn too_little(&self, coins: &[Worth<'a>]) -> Result<NoSpend, NoSpend> {
        let needed = i64::try_from((self.target + PARTS - 1) / PARTS).map_err(|_| AmountError::Overflow)?;
        let worth = coins.iter().map(|worth| worth.parts).sum::<i128>() / PARTS;
        let available = i64::try_from(worth).map_err(|_| AmountError::Overflow)?;
        Ok(NoSpend::Funds { needed: Amount::from_base_units(needed), available: Amount::from_base_units(available) })
    }

    /// The largest coins until they suffice with change, the last of the cheapest kind and as small as it may be; all of them, without
    /// change, where they suffice only so.
    fn with_change(&self, coins: &[Worth<'a>]) -> Option<Vec<Worth<'a>>> {
        let target = self.target + self.least_over;
        let mut chosen: Vec<Worth<'a>> = Vec::new();
        let (mut sum, mut ancestors) = (0, 0);
        for worth in coins {
            if ancestors + worth.coin.ancestors > MAX_ANCESTORS {
                continue;
            }
            chosen.push(*worth);
            (sum, ancestors) = (sum + worth.parts, ancestors + worth.coin.ancestors);
            if sum >= target {
                break;
            }
        }
        if sum < target {
            return (sum >= self.target).then_some(chosen);
        }
        let last = chosen.pop()?;
        let missing = target - (sum - last.parts);
        let left = ancestors - last.coin.ancestors;
        let fits = |worth: &&Worth<'a>| {
            let taken = chosen.iter().any(|taken| taken.coin.outpoint == worth.coin.outpoint);
            worth.parts >= missing && left + worth.coin.ancestors <= MAX_ANCESTORS && !taken
        };
        let cheapest = coins.iter().rev().filter(fits).min_by_key(|worth| worth.surcharge).copied().unwrap_or(last);
        chosen.push(cheapest);
        Some(chosen)
    }

    /// While fees are as low as they ever are, small coins are cheaper to spend now than later.
    fn spent_along(&self, spend: Spend, coins: &[Worth<'a>]) -> Spend {
        let low = self.need.rate <= self.need.lasting_rate;
        if !low || spend.change.is_none() || coins.len() < MANY_COINS {
            return spend;
        }
        let taken: BTreeSet<OutPoint> = spend.coins.iter().map(|coin| coin.outpoint).collect();
        let mut with_more = spend.coins.clone();
        let small = coins.iter().rev().filter(|worth| worth.coin.ancestors == 0 && !taken.contains(&worth.coin.outpoint));
        with_more.extend(small.take(SPENT_ALONG).map(|worth| worth.coin.clone()));
        price_spend(with_more, self.need, Some(USUAL_CHANGE_SCRIPT_BYTES)).unwrap_or(spend)
    }

    /// Branch and bound: the cheapest coins that are worth what is needed, and too little more for change; none where all of them cost
    /// more than `dearest`.
    fn without_change(&self, coins: &[Worth<'a>], dearest: i128) -> Option<Vec<Worth<'a>>> {
        let mut rest: Vec<i128> = coins.iter().map(|worth| worth.parts).collect();
        for at in (1..rest.len()).rev() {
            rest[at - 1] += rest[at];
        }
        let high = self.target + self.least_over;
        let mut branch = Branch { coins, rest: &rest, low: self.target, high, dearest, steps: SEARCH_STEPS, best: None };
        branch.search();
        Some(branch.best?.iter().filter_map(|at| coins.get(*at).copied()).collect())
    }
}

/// The search through the coins, each taken or left, the most valuable first.
struct Branch<'a, 'b> {
    coins: &'b [Worth<'a>],
    /// What all coins from here on are worth.
    rest: &'b [i128],
    low: i128,
    high: i128,
    /// What the coins may cost, and once some are found what those do.
    dearest: i128,
    steps: u32,
    best: Option<Vec<usize>>,
}

impl Branch<'_, '_> {
    fn search(&mut self) {
        let mut taken: Vec<usize> = Vec::new();
        let (mut sum, mut surcharge, mut ancestors, mut at) = (0_i128, 0_i128, 0_u64, 0_usize);
        while self.steps > 0 {
            self.steps -= 1;
            let cost = surcharge + (sum - self.low).max(0);
            let (enough, worse) = (sum >= self.low, sum >= self.high || cost > self.dearest);
            if enough && !worse && (self.best.is_none() || cost < self.dearest) {
                (self.dearest, self.best) = (cost, Some(taken.clone()));
            }
            if !enough && !worse && self.rest.get(at).is_some_and(|rest| sum + rest >= self.low) {
                let worth = self.coins[at];
                if ancestors + worth.coin.ancestors <= MAX_ANCESTORS {
                    taken.push(at);
                    (sum, surcharge) = (sum + worth.parts, surcharge + worth.surcharge);
                    ancestors += worth.coin.ancestors;
                }
                at += 1;
                continue;
            }
            // Back to the last coin that was taken, which is left this time; equals of it would give the same sums.
            let Some(last) = taken.pop() else { return };
            let left = self.coins[last];
            (sum, surcharge) = (sum - left.parts, surcharge - left.surcharge);
            ancestors -= left.coin.ancestors;
            let same = |next: &Worth<'_>| {
                (next.parts, next.surcharge, next.coin.ancestors) == (left.parts, left.surcharge, left.coin.ancestors)
            };
            at = last + 1;
            while self.coins.get(at).is_some_and(same) {
                at += 1;
            }
        }
    }
}

/// Where the change stands among so many other outputs: not always last, and always in the same place for the same coins.
pub fn change_position(first: Option<&Coin>, outputs: usize) -> usize {
    let text = first.map_or_else(String::new, |coin| coin.outpoint.to_string());
    text.bytes().map(usize::from).sum::<usize>() % (outputs + 1)
}
