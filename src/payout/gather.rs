//! Before sending: the ledger in step, the gate asked, the queue checked with the daemon, the funds counted.

use std::collections::{BTreeSet, HashSet};

use super::batch::BatchState;
use super::error::PayoutError;
use super::flow::{FlushReport, RejectedPayout, Sender, damaged};
use super::observe::Step;
use super::request::{Payout, judge_script};
use super::rules::{self, Candidate, Facts, Limits, Plan};
use super::{life, records};
use crate::coin::{Amount, Timestamp, check_address};
use crate::config::CoinSettings;
use crate::daemon::{Entry, RpcError, Wallet};
use crate::gate::{self, Cause, Freeze};
use crate::ledger::{self, LedgerError};
use crate::store::{Store, Tx};

/// Payouts of one batch at most, however few payees they have: a bound on memory and on the size of one store transaction.
const PAYOUTS_PER_BATCH: usize = 20_000;
/// Payouts read from the queue at once.
const QUEUE_PAGE: usize = 500;

/// Syncs the ledger; a mark in the wallet that the store does not know means that the store went back in time, and freezes.
pub(super) fn synced(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    now: Timestamp,
) -> Result<Vec<String>, PayoutError> {
    // A store from before its first sync refuses a wallet with payments in it, and those may be its own.
    let synced = ledger::sync(store, wallet, coin, now);
    let marks = match &synced {
        Ok(report) => report.unknown_marks.clone(),
        Err(LedgerError::NotOpened { .. }) => marks_of(store.id(), &wallet.list_since(None)?.entries),
        Err(_) => vec![],
    };
    let unknown = store.write(|tx| {
        let mut unknown = Vec::new();
        for mark in marks {
            if !records::knows_mark(tx, &mark)? {
                unknown.push(mark);
            }
        }
        if !unknown.is_empty() {
            let detail = format!("the wallet holds payments of this store that it does not know: {}", unknown.join(", "));
            let freeze = Freeze { cause: Cause::StoreWentBack, detail, txids: vec![], amount: None };
            gate::freeze(tx, &freeze, now)?;
        }
        Ok::<_, PayoutError>(unknown)
    })?;
    match synced {
        Err(error) if unknown.is_empty() => Err(error.into()),
        _ => Ok(unknown),
    }
}

fn marks_of(store_id: &str, entries: &[Entry]) -> Vec<String> {
    let ours = format!("bursar:{store_id}:");
    let marks: BTreeSet<&String> = entries.iter().filter_map(|entry| entry.comment.as_ref()).collect();
    marks.into_iter().filter(|mark| mark.starts_with(&ours)).cloned().collect()
}

/// What is done with payees that the daemon does not take.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Bad {
    Reject,
    LeaveOut,
}

impl Sender<'_> {
    pub(super) fn plan(&mut self, report: &mut FlushReport, bad: Bad) -> Result<Plan, PayoutError> {
        let limits = Limits { max_outputs: self.coin.payouts.max_outputs, decimals: self.coin.profile.decimals };
        // The gate is asked before the daemon is troubled, and again after the sync, which may freeze.
        let mut facts = Facts::default();
        self.store.read(|tx| look_at_gate(tx, &mut facts))?;
        if facts.is_open() {
            facts.unknown_marks = synced(self.store, self.wallet, self.coin, self.now)?;
            self.observer.step(Step::Synced);
            self.store.read(|tx| look_at_gate(tx, &mut facts))?;
        }
        if facts.is_open() {
            facts.queue = self.candidates(report, bad)?;
            facts.available = spendable(self.wallet)?;
        }
        Ok(rules::plan(&facts, &limits, self.now)?)
    }

    /// The head of the queue, long enough to fill a batch; each address is checked again, and a bad one is rejected alone.
    fn candidates(&mut self, report: &mut FlushReport, bad: Bad) -> Result<Vec<Candidate>, PayoutError> {
        let mut found: Vec<Candidate> = Vec::new();
        let mut scripts: HashSet<String> = HashSet::new();
        let mut after = 0;
        loop {
            // One more than fits, so that the plan knows that there is a rest.
            let wanted = self.coin.payouts.max_outputs.saturating_sub(scripts.len()).saturating_add(1).min(QUEUE_PAGE);
            let page = self.store.read(|tx| records::queued_after(tx, after, wanted))?;
            for (payout, script) in page.iter().zip(self.scripts_of(&page)?) {
                after = payout.seq;
                let script_hex = match script {
                    Ok(script) => script,
                    Err(_) if bad == Bad::LeaveOut => continue,
                    Err(reason) => {
                        self.store.write(|tx| life::reject_if_queued(tx, payout, &reason, self.now))?;
                        report.rejected.push(RejectedPayout { id: payout.id.clone(), reason });
                        continue;
                    }
                };
                scripts.insert(script_hex.clone());
                let (id, address) = (payout.id.clone(), payout.address.clone());
                found.push(Candidate { id, address, script_hex, amount: payout.amount });
                if scripts.len() > self.coin.payouts.max_outputs || found.len() >= PAYOUTS_PER_BATCH {
                    return Ok(found);
                }
            }
            if page.len() < wanted {
                return Ok(found);
            }
        }
    }

    /// Each payout's locking script, or why it cannot be paid, by the daemon's word of this moment.
    fn scripts_of(&self, page: &[Payout]) -> Result<Vec<Result<String, String>>, PayoutError> {
        let plausible =
            |payout: &Payout| check_address(&payout.address, &self.coin.params).map_err(|problem| problem.to_string());
        let checked: Vec<Result<(), String>> = page.iter().map(plausible).collect();
        let asked = page.iter().zip(&checked).filter(|(_, checked)| checked.is_ok()).map(|(payout, _)| payout.address.as_str());
        let asked: Vec<&str> = asked.collect();
        let mut scripts = self.wallet.scripts(&asked)?.into_iter();
        let mut found = Vec::with_capacity(page.len());
        for (payout, checked) in page.iter().zip(checked) {
            found.push(match checked {
                Err(problem) => Err(problem),
                Ok(()) => {
                    let script = scripts.next().ok_or_else(no_answer)?;
                    judge_script(script, &payout.address).map_err(|problem| problem.to_string())
                }
            });
        }
        Ok(found)
    }
}

fn no_answer() -> RpcError {
    RpcError::Unreadable { method: "validateaddress".to_owned(), reason: "one of several addresses has no answer".to_owned() }
}

pub(super) fn look_at_gate(tx: &Tx<'_>, facts: &mut Facts) -> Result<(), PayoutError> {
    facts.frozen = gate::frozen(tx)?.into_iter().map(|frozen| frozen.freeze.detail).collect();
    facts.unresolved.clear();
    for state in [BatchState::Sending, BatchState::InDoubt] {
        facts.unresolved.extend(records::batches_in(tx, state)?.into_iter().map(|batch| batch.id));
    }
    Ok(())
}

/// What `sendmany` can use: never more than the trusted balance, and without coins that are locked.
fn spendable(wallet: &dyn Wallet) -> Result<Amount, PayoutError> {
    let coins = wallet.unspent()?.into_iter().filter(|coin| coin.spendable && coin.safe).map(|coin| coin.amount);
    let unlocked = Amount::sum(coins).map_err(|error| damaged(&error))?;
    Ok(unlocked.min(wallet.balances()?.trusted))
}
