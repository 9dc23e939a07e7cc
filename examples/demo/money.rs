//! What the demo checks with the daemon's own words, never with our ledger.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use bursar::coin::Amount;
use serde_json::Value;

use crate::stage::Stage;

/// Fee rate of the demo's settings, in LTC per kB.
const FEE_RATE: &str = "0.00020000";
/// Payouts that share each address that is shared.
const SHARED: usize = 3;

pub(crate) struct Payee {
    pub(crate) address: String,
    pub(crate) amount: String,
    pub(crate) good: bool,
}

/// Base units of a number or text that the daemon printed.
fn units(value: &Value) -> Result<i64> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok(Amount::parse_reported(&text, 8)?.base_units())
}

/// Base units as coins.
pub(crate) fn coins(units: i64) -> String {
    Amount::from_base_units(units).to_decimal(8)
}

/// The payouts: ten addresses are shared by three payouts each, and the last address has a wrong checksum.
pub(crate) fn payees(stage: &Stage, count: usize) -> Result<Vec<Payee>> {
    let mut payees: Vec<Payee> = Vec::new();
    for index in 0..count {
        let shared = index < 10 * SHARED && !index.is_multiple_of(SHARED);
        let address = match payees.last() {
            Some(last) if shared => last.address.clone(),
            _ => stage.text("payees", &["getnewaddress", "", "bech32"])?,
        };
        payees.push(Payee { address, amount: format!("0.{:03}", 100 + index), good: true });
    }
    let bad = payees.last_mut().context("no payees")?;
    bad.good = false;
    let flipped = if bad.address.ends_with('q') { 'p' } else { 'q' };
    bad.address.pop();
    bad.address.push(flipped);
    Ok(payees)
}

pub(crate) fn csv(payees: &[Payee]) -> String {
    let rows = payees.iter().enumerate().map(|(index, payee)| format!("order-{index},{},{}\n", payee.address, payee.amount));
    format!("id,address,amount\n{}", rows.collect::<String>())
}

/// What single sends would cost: the daemon composes each of them at the same fee rate; none is sent.
pub(crate) fn singles_fee(stage: &Stage, payees: &[&Payee]) -> Result<i64> {
    let options = format!("{{\"feeRate\":{FEE_RATE}}}");
    let fees = payees.iter().map(|payee| {
        let outputs = format!("[{{\"{}\":{}}}]", payee.address, payee.amount);
        let composed = stage.cli("bursar", &["walletcreatefundedpsbt", "[]", &outputs, "0", &options])?;
        units(&composed["fee"])
    });
    fees.sum()
}

/// Transactions that the wallet sent.
pub(crate) fn own_sends(stage: &Stage) -> Result<BTreeSet<String>> {
    listed(stage, |entry| entry["category"] == "send")
}

/// Every transaction of the wallet.
pub(crate) fn wallet_txids(stage: &Stage) -> Result<Vec<String>> {
    Ok(listed(stage, |_| true)?.into_iter().collect())
}

fn listed(stage: &Stage, wanted: impl Fn(&Value) -> bool) -> Result<BTreeSet<String>> {
    let listing = stage.cli("bursar", &["listsinceblock"])?;
    let entries = listing["transactions"].as_array().context("listsinceblock")?;
    Ok(entries.iter().filter(|entry| wanted(entry)).filter_map(|entry| entry["txid"].as_str().map(str::to_owned)).collect())
}

/// The fee of one of the wallet's transactions, above zero.
pub(crate) fn fee(stage: &Stage, txid: &str) -> Result<i64> {
    Ok(-units(&stage.cli("bursar", &["gettransaction", txid])?["fee"])?)
}

/// Every payee's address received the sum of its payouts, by the payees' own wallet.
pub(crate) fn check_received(stage: &Stage, payees: &[&Payee]) -> Result<()> {
    let mut expected: BTreeMap<&str, i64> = BTreeMap::new();
    for payee in payees {
        *expected.entry(&payee.address).or_default() += units(&Value::String(payee.amount.clone()))?;
    }
    for (address, amount) in expected {
        let received = units(&stage.cli("payees", &["getreceivedbyaddress", address])?)?;
        ensure!(received == amount, "{address} received {received}, expected {amount}");
    }
    Ok(())
}

/// What the wallet can spend, by its own list of coins.
pub(crate) fn unspent_total(stage: &Stage) -> Result<i64> {
    let coins = stage.cli("bursar", &["listunspent", "0"])?;
    coins.as_array().context("listunspent")?.iter().map(|coin| units(&coin["amount"])).sum()
}

/// The txids that an audit named.
pub(crate) fn suspects(report: &Value) -> Vec<String> {
    let suspects = report["suspects"].as_array().map(Vec::as_slice).unwrap_or_default();
    suspects.iter().filter_map(|suspect| suspect["txid"].as_str().map(str::to_owned)).collect()
}
