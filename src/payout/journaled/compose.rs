//! From outputs to signed bytes: choose coins, write down a draft, compose it, check it, have it signed, check it again.

use thiserror::Error;

use super::{Change, lay_reservations, usable_coins};
use crate::coin::{Amount, FeeRate, Txid};
use crate::config::CoinSettings;
use crate::daemon::{DecodedTx, RpcError, Wallet};
use crate::payout::batch::BatchId;
use crate::payout::error::PayoutError;
use crate::payout::flow::{Sender, damaged};
use crate::payout::observe::{Observer, Step};
use crate::payout::rules::{self, Coin, Need, PlannedOutput, Price, Refusal, Shape, Spend, Verdict};
use crate::unlock::UnlockError;

/// The input may be replaced by one with a higher fee, where the network does that, and has no relative lock (BIP 125, BIP 68).
pub(super) const SEQUENCE: u32 = 0xffff_fffd;
/// The daemon's code of a wallet that has no keys left, and is locked: an open one makes more.
const OUT_OF_KEYS: i64 = -12;

/// What a transaction is made of, all that it takes to make the same one again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::payout) struct Draft {
    /// The inputs, in order.
    pub(in crate::payout) coins: Vec<Coin>,
    /// The change, if any.
    pub(in crate::payout) change: Option<Change>,
    /// It may stand in a block above this.
    pub(in crate::payout) lock_height: u32,
    /// Its fee.
    pub(in crate::payout) fee: Amount,
    /// Its size, as expected once signed.
    pub(in crate::payout) vbytes: u64,
}

/// Signed bytes, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::payout) struct Signing {
    /// The transaction.
    pub(in crate::payout) txid: Txid,
    /// Its bytes in hex.
    pub(in crate::payout) raw_hex: String,
    /// Its virtual size.
    pub(in crate::payout) vsize: u64,
}

/// Why a draft became no signed transaction. Nothing was given to the network, whatever it says.
#[derive(Debug, Error)]
pub(in crate::payout) enum Refused {
    /// The daemon.
    #[error("{0}")]
    Rpc(#[from] RpcError),
    /// The wallet remembers no mark of the batch.
    #[error(
        "the wallet could not be told the batch's mark, without which a restored store would not know of the payment ({0}); nothing was given to the network"
    )]
    Unmarked(RpcError),
    /// What came back is not what was asked for.
    #[error("{0}; nothing was given to the network")]
    Wrong(String),
    /// The daemon's mempool would not take it.
    #[error("the daemon would not take the transaction ({0}); nothing was given to the network")]
    Unwanted(String),
}

impl Refused {
    /// What it means for the batch. There is no doubt in it.
    pub(in crate::payout) fn verdict(&self) -> Verdict {
        match self {
            Refused::Rpc(error) => match rules::classify(error) {
                Verdict::Doubt => Verdict::NotRun,
                verdict => verdict,
            },
            Refused::Unmarked(_) | Refused::Wrong(_) => Verdict::NotRun,
            Refused::Unwanted(why) => rules::unwanted(why),
        }
    }
}

/// The coins for these outputs, and the need that they were chosen for.
pub(super) fn spend(sender: &mut Sender<'_>, outputs: &[PlannedOutput], price: Price) -> Result<(Spend, Need), PayoutError> {
    let payouts = outputs.iter().map(|output| output.payouts.len()).sum();
    let need = need(sender, outputs, payouts, price.rate)?;
    let coins = usable_coins(sender)?;
    Ok((rules::choose(&coins, &need).map_err(Refusal::from)?, need))
}

/// A draft for these outputs. Uses up a key when there is change.
pub(super) fn draft(sender: &mut Sender<'_>, outputs: &[PlannedOutput], price: Price) -> Result<Draft, PayoutError> {
    lay_reservations(sender)?;
    let (spend, need) = spend(sender, outputs, price)?;
    let change_to = match spend.change {
        Some(_) => Some(change_place(sender.wallet)?),
        None => None,
    };
    let lock_height = lock_height(sender.wallet)?;
    priced(spend.coins, &need, change_to, lock_height, outputs.len())
}

/// In a block above the present one: nobody gains by taking it into a block in its place.
pub(super) fn lock_height(wallet: &dyn Wallet) -> Result<u32, PayoutError> {
    u32::try_from(wallet.tip()?.height).map_err(|error| damaged(&error))
}

/// A draft of these coins, with its exact fee.
pub(super) fn priced(
    coins: Vec<Coin>,
    need: &Need,
    change_to: Option<(String, String)>,
    lock_height: u32,
    outputs: usize,
) -> Result<Draft, PayoutError> {
    let script_bytes = change_to.as_ref().map(|(_, script_hex)| script_hex.len() as u64 / 2);
    let spend = rules::price_spend(coins, need, script_bytes).map_err(Refusal::from)?;
    let change = spend.change.zip(change_to).map(|(amount, (address, script_hex))| {
        let position = rules::change_position(spend.coins.first(), outputs);
        Change { position, address, script_hex, amount }
    });
    Ok(Draft { coins: spend.coins, change, lock_height, fee: spend.fee, vbytes: spend.vbytes })
}

/// A new address of ours with its script.
pub(super) fn change_place(wallet: &dyn Wallet) -> Result<(String, String), PayoutError> {
    let address = wallet.change_address().map_err(|error| match error {
        RpcError::Daemon { code: OUT_OF_KEYS, .. } => UnlockError::OutOfKeys.into(),
        error => PayoutError::from(error),
    })?;
    let facts = wallet.address(&address)?;
    match facts.script_hex.filter(|_| facts.is_mine) {
        Some(script_hex) => Ok((address, script_hex)),
        None => Err(RpcError::Unreadable {
            method: "getrawchangeaddress".to_owned(),
            reason: format!("the wallet does not know its own address {address}; nothing was sent"),
        }
        .into()),
    }
}

/// What these outputs, of so many payouts, take at this rate.
pub(super) fn need(
    sender: &mut Sender<'_>,
    outputs: &[PlannedOutput],
    payouts: usize,
    rate: FeeRate,
) -> Result<Need, PayoutError> {
    let (coin, fee) = (sender.coin, &sender.coin.payouts.fee);
    let relay = sender.wallet.min_relay_rate()?;
    let own_bytes = if coin.profile.staking.is_some() { rules::TIME_BYTES } else { 0 };
    let sizes = outputs.iter().map(|output| output.script_hex.len() as u64 / 2);
    Ok(Need {
        total: Amount::sum(outputs.iter().map(|output| output.amount)).map_err(|error| damaged(&error))?,
        shape: sizes.fold(Shape::new(own_bytes, super::witness_of(coin)), Shape::with_output),
        rate,
        least_fee: Amount::ZERO,
        lasting_rate: fee.min_rate.max(relay),
        least_change: rules::least_change(relay),
        max_vbytes: coin.payouts.max_tx_vbytes,
        max_fee: rules::fee_ceiling(Some(coin.most_tx_fee()), fee.max_per_payout, payouts),
    })
}

/// The outputs of a transaction by address, the change in its place.
fn by_address(draft: &Draft, outputs: &[PlannedOutput]) -> Vec<(String, Amount)> {
    let mut listed: Vec<(String, Amount)> = outputs.iter().map(|output| (output.address.clone(), output.amount)).collect();
    if let Some(change) = &draft.change {
        listed.insert(change.position.min(listed.len()), (change.address.clone(), change.amount));
    }
    listed
}

/// Composes a draft, checks it, has it signed, and checks what came back. Sends nothing. `fresh` are those of its coins that no
/// transaction spends yet: the others were checked when they were.
pub(super) fn sign(
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    observer: &mut dyn Observer,
    id: &BatchId,
    draft: &Draft,
    outputs: &[PlannedOutput],
    fresh: &[Coin],
) -> Result<Signing, Refused> {
    let inputs: Vec<_> = draft.coins.iter().map(|coin| coin.outpoint).collect();
    wallet.lock_coins(&fresh.iter().map(|coin| coin.outpoint).collect::<Vec<_>>())?;
    let sequenced: Vec<_> = inputs.iter().map(|coin| (*coin, SEQUENCE)).collect();
    let unsigned = wallet.compose(&sequenced, &by_address(draft, outputs), draft.lock_height)?;
    check(&wallet.decode(&unsigned)?, draft, outputs)?;
    check_coins(wallet, fresh)?;
    observer.step(Step::Composed(id.clone()));
    let raw_hex = with_keys(wallet, &unsigned)?;
    observer.step(Step::Signed(id.clone()));
    let decoded = wallet.decode(&raw_hex)?;
    check(&decoded, draft, outputs)?;
    check_size(wallet, coin, draft, &decoded)?;
    Ok(Signing { txid: decoded.txid, raw_hex, vsize: decoded.vsize })
}

/// Whether the daemon's mempool would take it, where it can be asked. Gives nothing to the network.
pub(super) fn wanted(wallet: &dyn Wallet, signed: &Signing) -> Result<(), Refused> {
    wallet.why_unwanted(&signed.raw_hex)?.map_or(Ok(()), |why| Err(Refused::Unwanted(why)))
}

/// The one place that needs the wallet's keys.
fn with_keys(wallet: &dyn Wallet, unsigned_hex: &str) -> Result<String, Refused> {
    let signed = wallet.sign(unsigned_hex)?;
    match signed.complete {
        true => Ok(signed.raw_hex),
        false => Err(Refused::Wrong("the wallet did not sign every input".to_owned())),
    }
}

fn check(found: &DecodedTx, draft: &Draft, outputs: &[PlannedOutput]) -> Result<(), Refused> {
    let coins: Vec<_> = draft.coins.iter().map(|coin| coin.outpoint).collect();
    let mut asked: Vec<(String, Amount)> = outputs.iter().map(|output| (output.script_hex.clone(), output.amount)).collect();
    asked.extend(draft.change.iter().map(|change| (change.script_hex.clone(), change.amount)));
    rules::compare_exactly(&coins, &asked, found)
        .map_err(|what| Refused::Wrong(format!("the daemon composed something else: {what}")))
}

/// Each coin by the chain's own word: what is not in the outputs is the fee.
fn check_coins(wallet: &dyn Wallet, coins: &[Coin]) -> Result<(), Refused> {
    for coin in coins {
        let found = wallet.chain_coin(&coin.outpoint)?;
        let same = found.is_some_and(|found| found.amount == coin.amount && found.script_hex == coin.script_hex);
        if !same {
            return Err(Refused::Wrong(format!("coin {} is not what the wallet said that it is", coin.outpoint)));
        }
    }
    Ok(())
}

/// A coin of an unusual kind can be larger than its script tells.
fn check_size(wallet: &dyn Wallet, coin: &CoinSettings, draft: &Draft, found: &DecodedTx) -> Result<(), Refused> {
    let (vsize, most) = (found.vsize, coin.payouts.max_tx_vbytes);
    if vsize > most {
        return Err(Refused::Wrong(format!("signed it has {vsize} virtual bytes, and {most} are allowed")));
    }
    let least = wallet.min_relay_rate()?.fee_of(vsize).map_err(|error| Refused::Wrong(error.to_string()))?;
    if draft.fee < least {
        return Err(Refused::Wrong(format!("signed it has {vsize} virtual bytes, too many to be relayed for its fee")));
    }
    Ok(())
}
