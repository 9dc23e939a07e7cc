//! What was seen of a batch in doubt, and what it proves.

use std::collections::{BTreeMap, BTreeSet};

use crate::coin::{Amount, OutPoint, Txid};
use crate::daemon::DecodedTx;

/// A transaction of the wallet that carries the batch's mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Which.
    pub txid: Txid,
    /// Whether somebody abandoned it: it may confirm all the same.
    pub abandoned: bool,
}

/// A transaction without a mark, of no other batch, that pays exactly what the batch was to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookalike {
    /// Which.
    pub txid: Txid,
    /// Whether it came after the batch.
    pub newer: bool,
    /// Whether somebody abandoned it.
    pub abandoned: bool,
    /// For what else it stands in the ledger, in words: a person explained it so, or another order made it.
    pub otherwise: Option<String>,
}

/// What one look at the wallet showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sightings {
    /// By mark.
    pub marked: Vec<Marked>,
    /// Whether those by mark exclude each other: at most one of them can ever confirm.
    pub exclusive: bool,
    /// By outputs.
    pub lookalikes: Vec<Lookalike>,
    /// Height of the daemon's tip.
    pub tip_height: u64,
    /// Height of its tip when the batch was made.
    pub batch_height: u64,
    /// Why the wallet that was asked is not the batch's.
    pub other_wallet: Option<String>,
    /// It has the name of the batch's wallet, and other keys: encrypted or given other descriptors since, or replaced.
    pub other_keys: bool,
}

/// What a look proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// These transactions carry the batch's mark.
    Found(Vec<Txid>),
    /// This one, without a mark, pays the same, is newer and the only one. Before the fence it proves nothing: a person may have paid
    /// by hand what the call still pays.
    FoundByOutputs(Txid),
    /// Something was found, and it is not clear what it is.
    Unclear {
        /// Those that carry its mark. None: nothing is settled before the fence.
        txids: Vec<Txid>,
        /// What is not clear.
        why: String,
    },
    /// The wallet does not know it. Proves nothing before the fence.
    NotThere,
    /// The look was not a look at the whole.
    CannotTell(String),
}

/// Judges a look: by mark wins; by outputs only if newer, the only one and nobody else's; and an absence counts only in the right wallet, with the
/// keys that it had, at a tip that has regained the batch's height.
pub fn judge_look(seen: &Sightings) -> Finding {
    let unclear = |txids: Vec<Txid>, why: &str| Finding::Unclear { txids, why: why.to_owned() };
    if !seen.marked.is_empty() {
        let txids: Vec<Txid> = seen.marked.iter().map(|marked| marked.txid).collect();
        if !seen.exclusive {
            return unclear(txids, "several transactions carry its mark and more than one of them can confirm");
        }
        if seen.marked.iter().all(|marked| marked.abandoned) {
            return unclear(txids, "its transaction was abandoned in the wallet, and may confirm all the same");
        }
        return Finding::Found(txids);
    }
    if let Some(why) = &seen.other_wallet {
        return Finding::CannotTell(why.clone());
    }
    if seen.tip_height < seen.batch_height && (seen.lookalikes.is_empty() || seen.other_keys) {
        return Finding::CannotTell(format!(
            "the daemon's chain ends at height {}, below {} where it was when the batch was made",
            seen.tip_height, seen.batch_height
        ));
    }
    if seen.other_keys {
        return unclear(vec![], "no transaction carries its mark, in a wallet that has other keys than when the batch was made");
    }
    match seen.lookalikes.as_slice() {
        [] => Finding::NotThere,
        [Lookalike { txid, newer: true, abandoned: false, otherwise }] => match otherwise {
            None => Finding::FoundByOutputs(*txid),
            // What it pays does not outweigh a person who says that it was something else: that person takes the word back, or nobody is paid by it.
            Some(words) => unclear(vec![], &format!("no transaction carries its mark, and {words}")),
        },
        // Not the batch's: as its own they would pay it when they confirm, though somebody made them for another reason.
        several => unclear(
            vec![],
            &format!(
                "no transaction carries its mark, and those that pay the same are abandoned, older than it, or several: {}",
                several.iter().map(|lookalike| lookalike.txid.to_string()).collect::<Vec<_>>().join(", ")
            ),
        ),
    }
}

/// What is known about whether the wallet could have forgotten a payment since the batch was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Continuity {
    /// The wallet's fingerprint when the batch was made, and now.
    pub fingerprints: (Option<String>, Option<String>),
    /// Boot of the host when the batch was made, and now.
    pub boots: (String, String),
    /// How many transactions the ledger follows that the wallet has to know.
    pub followed: usize,
    /// Those of them that it does not list.
    pub missing: Vec<Txid>,
    /// Transactions of our batches that it lists without their mark.
    pub unmarked: Vec<Txid>,
    /// Signs of a repair, salvage, zap or full disk since then, each in words.
    pub signs: Vec<String>,
}

/// Why it cannot be ruled out that the wallet forgot a payment; empty when it is continuous.
pub fn breaks(facts: &Continuity) -> Vec<String> {
    let mut found = facts.signs.clone();
    let (then, now) = &facts.fingerprints;
    if then != now {
        found.push("the wallet is not the same (its fingerprint changed)".to_owned());
    } else if now.is_none() && facts.followed == 0 {
        found.push("nothing tells this wallet from another: no fingerprint, and no transaction that the ledger knows".to_owned());
    }
    let (then, now) = &facts.boots;
    if then.is_empty() || then != now {
        found.push("the host was restarted since: writes of the wallet may have been lost".to_owned());
    }
    if let Some(first) = facts.missing.first() {
        found.push(format!("the wallet lost {} transactions that the ledger knows, such as {first}", facts.missing.len()));
    }
    if let Some(first) = facts.unmarked.first() {
        found.push(format!("the wallet lost the comments of {} of our transactions, such as {first}", facts.unmarked.len()));
    }
    found
}

/// What it proves, behind the fence, that no transaction has the batch's mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmarked {
    /// This one is the batch's: it pays the same, and nothing else of the wallet can have.
    Paid(Txid),
    /// It was not sent.
    NotSent,
    /// Nothing, for these reasons.
    Unprovable(Vec<String>),
}

/// Judges a wallet without the batch's mark, by the transaction that pays the same, if any, and by why the wallet may have forgotten one.
///
/// In a wallet that forgot something, what pays the same need not be the batch's: a person may have made it when the batch's own was lost, which
/// the network still has.
pub fn judge_unmarked(alike: Option<Txid>, breaks: Vec<String>) -> Unmarked {
    if breaks.is_empty() {
        return alike.map_or(Unmarked::NotSent, Unmarked::Paid);
    }
    let stray = alike.map(|txid| format!("{txid} pays the same without its mark, and may be somebody else's payment"));
    Unmarked::Unprovable(stray.into_iter().chain(breaks).collect())
}

/// Whether a transaction pays none of the scripts: only then does it prove, by what it spends, that nobody of them was paid.
pub fn pays_nobody_of(asked: &[(String, Amount)], sent: &DecodedTx) -> bool {
    let scripts: BTreeSet<&str> = asked.iter().map(|(script, _)| script.as_str()).collect();
    !sent.paid().any(|(script, _)| scripts.contains(script))
}

/// Whether a transaction pays exactly what was asked, to the unit: each script once, and besides at most one output, the change.
///
/// The error says what differs.
pub fn compare_outputs(asked: &[(String, Amount)], sent: &DecodedTx) -> Result<(), String> {
    let mut left: BTreeMap<&str, Amount> = asked.iter().map(|(script, amount)| (script.as_str(), *amount)).collect();
    let mut others = 0;
    for (script, paid) in sent.paid() {
        match left.remove(script) {
            Some(amount) if amount == paid => {}
            Some(amount) => return Err(format!("it pays {paid:?} to script {script} where {amount:?} were asked for")),
            None => others += 1,
        }
    }
    match left.len() {
        0 if others <= 1 => Ok(()),
        0 => Err(format!("it has {others} outputs that nobody asked for; change would be one")),
        missing => Err(format!("{missing} of {} outputs that were asked for are not in it", asked.len())),
    }
}

/// Whether a transaction spends exactly these coins and makes exactly these outputs, to the unit. The error says what differs.
pub fn compare_exactly(coins: &[OutPoint], outputs: &[(String, Amount)], found: &DecodedTx) -> Result<(), String> {
    let (asked, spent): (BTreeSet<&OutPoint>, BTreeSet<&OutPoint>) = (coins.iter().collect(), found.inputs.iter().collect());
    if asked != spent || found.inputs.len() != coins.len() || found.extension.is_some() {
        return Err(format!("it spends {} coins, and not exactly the {} that were chosen", found.spent().count(), coins.len()));
    }
    let mut asked: Vec<(&str, Amount)> = outputs.iter().map(|(script, amount)| (script.as_str(), *amount)).collect();
    let mut made: Vec<(&str, Amount)> = found.outputs.iter().map(|output| (output.script_hex.as_str(), output.amount)).collect();
    asked.sort_unstable();
    made.sort_unstable();
    if asked == made { Ok(()) } else { Err("its outputs are not exactly those that were asked for and the change".to_owned()) }
}
