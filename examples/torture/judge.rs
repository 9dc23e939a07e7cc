//! The judge: reads the chain alone, past bursar, and counts what each payee was paid.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use crate::support::World;

/// A payout that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) trial: usize,
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) script: String,
    /// In base units.
    pub(crate) amount: i64,
}

/// One output of the chain.
#[derive(Clone, Debug)]
struct Paid {
    txid: String,
    amount: i64,
}

/// What the chain says of the payees of some payouts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Payouts of payees who got less than was asked for them.
    pub(crate) short: Vec<String>,
    /// Payouts of payees who got more.
    pub(crate) over: Vec<String>,
    /// Transactions that pay any of them.
    pub(crate) txids: BTreeSet<String>,
}

/// The chain, read block by block; blocks that were read are remembered by their hash.
#[derive(Default)]
pub(crate) struct Judge {
    blocks: HashMap<String, HashMap<String, Vec<Paid>>>,
}

impl Judge {
    /// Counts the payees of these payouts, over the whole active chain. Those that are `open`, as bursar itself says, may be paid or not.
    pub(crate) fn count(&mut self, world: &World, asked: &[&Asked], open: &BTreeSet<String>) -> Verdict {
        let mut owed: BTreeMap<&str, Vec<&Asked>> = BTreeMap::new();
        for payout in asked {
            owed.entry(&payout.script).or_default().push(payout);
        }
        let paid = self.paid(world, &owed.keys().copied().collect());
        let mut verdict = Verdict::default();
        for (script, payouts) in &owed {
            let outputs = paid.get(*script).map(Vec::as_slice).unwrap_or_default();
            verdict.txids.extend(outputs.iter().map(|output| output.txid.clone()));
            let sum = |payouts: &[&&Asked]| payouts.iter().map(|payout| payout.amount).sum::<i64>();
            let (all, reported): (Vec<&&Asked>, Vec<&&Asked>) =
                (payouts.iter().collect(), payouts.iter().filter(|payout| !open.contains(&payout.id)).collect());
            let got: i64 = outputs.iter().map(|output| output.amount).sum();
            let ids = |payouts: &[&&Asked]| payouts.iter().map(|payout| payout.id.clone()).collect::<Vec<_>>();
            if got < sum(&reported) {
                verdict.short.extend(ids(&reported));
            }
            // Several payouts may share an output, and never has one two.
            if got > sum(&all) || outputs.len() > all.len() {
                verdict.over.extend(ids(&all));
            }
        }
        verdict
    }

    fn paid(&mut self, world: &World, scripts: &BTreeSet<&str>) -> HashMap<String, Vec<Paid>> {
        let tip = world.node_rpc("getblockcount", json!([])).as_u64().unwrap();
        let mut paid: HashMap<String, Vec<Paid>> = HashMap::new();
        for height in 1..=tip {
            let hash = world.node_rpc("getblockhash", json!([height])).as_str().unwrap().to_owned();
            let block = self.blocks.entry(hash).or_insert_with_key(|hash| outputs_of(world, hash));
            for script in scripts {
                if let Some(outputs) = block.get(*script) {
                    paid.entry((*script).to_owned()).or_default().extend(outputs.iter().cloned());
                }
            }
        }
        paid
    }
}

fn outputs_of(world: &World, hash: &str) -> HashMap<String, Vec<Paid>> {
    let block = world.node_rpc("getblock", json!([hash, 2]));
    let mut outputs: HashMap<String, Vec<Paid>> = HashMap::new();
    for tx in block["tx"].as_array().unwrap() {
        let txid = tx["txid"].as_str().unwrap();
        for output in tx["vout"].as_array().unwrap() {
            let script = output["scriptPubKey"]["hex"].as_str().unwrap().to_owned();
            outputs.entry(script).or_default().push(Paid { txid: txid.to_owned(), amount: units(&output["value"]) });
        }
    }
    outputs
}

/// Whole coins as the daemon prints them to base units, without our own parser.
fn units(value: &Value) -> i64 {
    let text = value.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}{fraction:0<8}").parse().unwrap()
}
