//! What the ladder will do, when it refuses, and what is worth noting and broadcasting. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::coin::Txid;
use crate::daemon::{Category, Entry};

/// Left free beside the copy: a daemon that runs out of space dies and may damage what it writes.
const SPARE_BYTES: u64 = 256 * 1024 * 1024;

/// One rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Freeze payouts and note the pending transactions.
    Note,
    /// Stop the daemon.
    Stop,
    /// Copy the whole wallet folder and verify the copy.
    Copy,
    /// Search the chain again.
    Rescan,
    /// Broadcast what the wallet lost.
    Rebroadcast,
    /// Ledger against wallet.
    Audit,
}

impl Step {
    /// All rungs, lowest first.
    pub const ALL: [Step; 6] = [Step::Note, Step::Stop, Step::Copy, Step::Rescan, Step::Rebroadcast, Step::Audit];

    /// Its name, as in the records.
    pub const fn name(self) -> &'static str {
        match self {
            Step::Note => "note",
            Step::Stop => "stop",
            Step::Copy => "copy",
            Step::Rescan => "rescan",
            Step::Rebroadcast => "rebroadcast",
            Step::Audit => "audit",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a repair is not begun.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Somebody else runs the daemon.
    #[error(
        "this daemon is attached, bursar neither stops nor starts it. By hand: stop it, copy its whole wallet folder elsewhere, start it \
         with `-rescan` (or call `rescanblockchain`), then run `bursar audit run`"
    )]
    Attached,
    /// There is nothing to copy.
    #[error("there is no wallet in {}: restore the last good backup (`bursar backup list`)", .0.display())]
    NoWallet(PathBuf),
    /// The copy does not fit.
    #[error("the copy of the wallet needs {needed_bytes} bytes in {}, {free_bytes} are free: free some", folder.display())]
    NoSpace {
        /// Where the copy would go.
        folder: PathBuf,
        /// Copy and spare.
        needed_bytes: u64,
        /// What is free.
        free_bytes: u64,
    },
    /// Blocks are gone.
    #[error(
        "this node is pruned below height {0}: a rescan would not see older transactions of the wallet, and the daemon refuses it. \
         Use a node with all blocks"
    )]
    Pruned(u64),
    /// The daemon can rescan in no way that we know.
    #[error("this daemon has neither `rescanblockchain` nor `-rescan`")]
    NoRescan,
}

/// How the chain is searched again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rescan {
    /// By RPC.
    Call,
    /// By a start with `-rescan`.
    Option,
}

/// What a plan is made from.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) kept: bool,
    pub(super) runs: bool,
    pub(super) wallet_dir: PathBuf,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) repair_dir: PathBuf,
    pub(super) free_bytes: u64,
    /// `rescanblockchain` is there; none: the daemon did not answer.
    pub(super) rescan_call: Option<bool>,
    /// The program knows `-rescan`.
    pub(super) rescan_option: bool,
    /// Blocks below are gone; none: nothing is, or the daemon did not answer.
    pub(super) prune_height: Option<u64>,
    /// The unfinished repair and its next step.
    pub(super) unfinished: Option<(i64, Step)>,
}

/// What a repair will do. Printing it is the dry run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The unfinished repair that is gone on with; none: a new one.
    pub resumes: Option<i64>,
    /// The steps that are still to be done.
    pub steps: Vec<PlannedStep>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Which.
    pub step: Step,
    /// What it will do, for a person.
    pub text: String,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = self.resumes {
            writeln!(f, "goes on with repair {id}")?;
        }
        for (number, planned) in (1..).zip(&self.steps) {
            writeln!(f, "{number}. {:<12} {}", planned.step.name(), planned.text)?;
        }
        Ok(())
    }
}

/// What will be done, or why nothing is begun.
pub(super) fn plan(facts: &Facts) -> Result<Plan, Refusal> {
    if !facts.kept {
        return Err(Refusal::Attached);
    }
    let next = facts.unfinished.map_or(Step::Note, |(_, step)| step);
    if next <= Step::Copy {
        can_copy(facts)?;
    }
    if next <= Step::Rescan {
        can_rescan(facts)?;
    }
    let steps = Step::ALL.into_iter().filter(|step| *step >= next);
    Ok(Plan {
        resumes: facts.unfinished.map(|(id, _)| id),
        steps: steps.map(|step| PlannedStep { step, text: describe(step, facts) }).collect(),
    })
}

fn can_copy(facts: &Facts) -> Result<(), Refusal> {
    if facts.files == 0 {
        return Err(Refusal::NoWallet(facts.wallet_dir.clone()));
    }
    let needed_bytes = facts.bytes.saturating_add(SPARE_BYTES);
    if needed_bytes > facts.free_bytes {
        return Err(Refusal::NoSpace { folder: facts.repair_dir.clone(), needed_bytes, free_bytes: facts.free_bytes });
    }
    Ok(())
}

fn can_rescan(facts: &Facts) -> Result<(), Refusal> {
    prunes_nothing(facts.prune_height)?;
    match facts.rescan_call {
        Some(call) => how_to_rescan(call, facts.rescan_option).map(|_| ()),
        // It shows when the daemon is up.
        None => Ok(()),
    }
}

/// A rescan must see every block: which transactions are missing, and how old they are, is not known.
pub(super) fn prunes_nothing(prune_height: Option<u64>) -> Result<(), Refusal> {
    match prune_height {
        Some(height) if height > 0 => Err(Refusal::Pruned(height)),
        _ => Ok(()),
    }
}

/// By RPC where there is it: the daemon answers meanwhile, and says when it is done. A start with `-rescan` answers nothing until then.
pub(super) fn how_to_rescan(call: bool, option: bool) -> Result<Rescan, Refusal> {
    match (call, option) {
        (true, _) => Ok(Rescan::Call),
        (false, true) => Ok(Rescan::Option),
        (false, false) => Err(Refusal::NoRescan),
    }
}

fn describe(step: Step, facts: &Facts) -> String {
    match step {
        Step::Note if facts.runs => "freeze payouts; write down all pending transactions with their bytes".to_owned(),
        Step::Note => "freeze payouts; nothing can be noted from the wallet, because the daemon does not run".to_owned(),
        Step::Stop if facts.runs => "stop the daemon and wait until it has ended".to_owned(),
        Step::Stop => "make sure that the daemon does not run".to_owned(),
        Step::Copy => {
            let (files, bytes) = (facts.files, facts.bytes);
            let (from, to) = (facts.wallet_dir.display(), facts.repair_dir.display());
            format!(
                "copy {files} files, {bytes} bytes, from {from} to {to} ({} bytes free) and compare every byte",
                facts.free_bytes
            )
        }
        Step::Rescan => match facts.rescan_call {
            Some(false) => "start the daemon with -rescan: it searches the whole chain for the wallet's transactions".to_owned(),
            _ => "start the daemon and have it search the whole chain for the wallet's transactions".to_owned(),
        },
        Step::Rebroadcast => "broadcast the noted transactions that are in no block and no mempool, the same bytes".to_owned(),
        Step::Audit => "audit; payouts thaw if ledger and wallet agree, else they stay frozen".to_owned(),
    }
}

/// The transactions worth noting, and whether each is ours: all that are unconfirmed (a rescan does not find those), and what we sent
/// lately (a reorg may make it unconfirmed again). Abandoned and conflicted ones are not brought back.
pub(super) fn pending(entries: &[Entry]) -> BTreeMap<Txid, bool> {
    let mut found = BTreeMap::new();
    let abandoned: Vec<&Txid> = entries.iter().filter(|entry| entry.abandoned).map(|entry| &entry.txid).collect();
    for entry in entries.iter().filter(|entry| entry.confirmations >= 0 && !abandoned.contains(&&entry.txid)) {
        let own = entry.category == Category::Send;
        let transfer = own || entry.category == Category::Receive;
        if transfer && (own || entry.confirmations == 0) {
            *found.entry(entry.txid).or_insert(false) |= own;
        }
    }
    found
}

/// Where a noted transaction is after the rescan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// In a block of the active chain.
    Block,
    /// In the mempool.
    Mempool,
    /// Nowhere.
    Nowhere,
}

/// Ours, and the network lost it: the same bytes are given again. Strangers' transactions are theirs to broadcast.
pub(super) fn should_broadcast(own: bool, whereabouts: Whereabouts) -> bool {
    own && whereabouts == Whereabouts::Nowhere
}

/// What a person does next when every difference is explained: such an audit thaws nothing.
pub(super) const AUDIT_AGAIN: &str = "every difference is explained, and payouts stay frozen until ledger and wallet agree: \
    `bursar audit run` again when the transactions that the audit names have confirmed";

/// What a person does next when the audit still differs.
pub(super) fn next_rung(copy: &std::path::Path) -> String {
    format!(
        "ledger and wallet still differ after a full rescan; payouts stay frozen. Next rungs, by hand: (1) salvage a COPY of {} with the \
         daemon's own tool and compare keys and balance, never trusting its exit code; (2) restore the last good backup and rescan; \
         (3) import the private keys into a new wallet. `bursar audit run` thaws payouts when it agrees",
        copy.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::{Amount, Timestamp};

    fn facts() -> Facts {
        Facts {
            kept: true,
            runs: true,
            wallet_dir: "/c/wallets".into(),
            files: 2,
            bytes: 1000,
            repair_dir: "/s/repair".into(),
            free_bytes: SPARE_BYTES + 1000,
            rescan_call: Some(true),
            rescan_option: false,
            prune_height: None,
            unfinished: None,
        }
    }

    #[test]
    fn a_plan_names_every_step_and_what_it_needs() {
        let plan = plan(&facts()).unwrap();
        assert_eq!(plan.steps.iter().map(|planned| planned.step).collect::<Vec<_>>(), Step::ALL);
        let text = plan.to_string();
        assert!(text.contains("2 files, 1000 bytes, from /c/wallets to /s/repair"), "{text}");
        assert!(!text.contains("goes on"));
    }

    #[test]
    fn a_plan_goes_on_where_an_unfinished_repair_stopped() {
        let plan = plan(&Facts { unfinished: Some((7, Step::Rescan)), files: 0, free_bytes: 0, ..facts() }).unwrap();
        assert_eq!(plan.resumes, Some(7));
        assert_eq!(plan.steps[0].step, Step::Rescan);
        assert_eq!(plan.steps.len(), 3);
    }

    #[test]
    fn what_cannot_be_done_safely_is_refused_before_anything_is_begun() {
        let refusal = |facts: Facts| plan(&facts).unwrap_err();
        assert_eq!(refusal(Facts { kept: false, ..facts() }), Refusal::Attached);
        assert_eq!(refusal(Facts { files: 0, ..facts() }), Refusal::NoWallet("/c/wallets".into()));
        assert!(matches!(refusal(Facts { free_bytes: SPARE_BYTES + 999, ..facts() }), Refusal::NoSpace { .. }));
        assert!(matches!(refusal(Facts { bytes: u64::MAX, ..facts() }), Refusal::NoSpace { .. }));
        assert_eq!(refusal(Facts { prune_height: Some(1), ..facts() }), Refusal::Pruned(1));
        assert_eq!(refusal(Facts { rescan_call: Some(false), ..facts() }), Refusal::NoRescan);
        assert!(plan(&Facts { rescan_call: Some(false), rescan_option: true, prune_height: Some(0), ..facts() }).is_ok());
        assert!(plan(&Facts { rescan_call: None, ..facts() }).is_ok());
    }

    fn entry(txid: u8, category: Category, confirmations: i64) -> Entry {
        Entry {
            txid: Txid::from_bytes([txid; 32]),
            vout: None,
            category,
            address: None,
            amount: Amount::ZERO,
            fee: None,
            confirmations,
            block: None,
            abandoned: false,
            comment: None,
            time: Timestamp(0),
        }
    }

    #[test]
    fn unconfirmed_and_lately_sent_are_noted_and_dead_ones_are_not() {
        let mut abandoned = entry(5, Category::Send, 0);
        abandoned.abandoned = true;
        let entries = [
            entry(1, Category::Send, 0),
            entry(1, Category::Receive, 0),
            entry(2, Category::Receive, 0),
            entry(3, Category::Send, 2),
            entry(4, Category::Receive, 2),
            abandoned,
            // Paid to ourselves: the receipt of an abandoned payment does not say that it is abandoned.
            entry(5, Category::Receive, 0),
            entry(6, Category::Send, -1),
            entry(7, Category::Immature, 0),
        ];
        let id = |txid: u8| Txid::from_bytes([txid; 32]);
        assert_eq!(pending(&entries), BTreeMap::from([(id(1), true), (id(2), false), (id(3), true)]));
    }

    #[test]
    fn only_our_own_lost_transactions_are_broadcast() {
        assert!(should_broadcast(true, Whereabouts::Nowhere));
        assert!(!should_broadcast(true, Whereabouts::Mempool));
        assert!(!should_broadcast(true, Whereabouts::Block));
        assert!(!should_broadcast(false, Whereabouts::Nowhere));
    }
}
