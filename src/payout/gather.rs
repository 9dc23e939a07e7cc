//! Before sending: the ledger in step, the gate asked, the queue checked with the daemon, the funds counted.

use std::collections::{BTreeSet, HashSet};

use super::batch::{self, Batch, BatchState};
use super::error::PayoutError;
use super::flow::Sender;
use super::observe::Step;
use super::report::FlushReport;
use super::request::{Payout, Priority, judge_script};
use super::rules::{self, Candidate, Facts, Limits, Plan, Price};
use super::{journaled, records};
use crate::coin::{Timestamp, check_address};
use crate::config::{CoinSettings, Method};
use crate::daemon::{self, RpcError, Wallet};
use crate::gate::{self, Cause, Freeze};
use crate::ledger::{self, LedgerError};
use crate::store::{Store, Tx};

/// Payouts of one batch at most, however few payees they have: a bound on memory and on the size of one store transaction.
pub(super) const PAYOUTS_PER_BATCH: usize = 20_000;
/// Payouts read from the queue at once.
const QUEUE_PAGE: usize = 500;

/// Syncs the ledger; a mark in the wallet that the store does not know means that the store went back in time, and freezes.
pub(super) fn synced(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    now: Timestamp,
) -> Result<Vec<String>, PayoutError> {
    let (marks, refusal) = match ledger::sync(store, wallet, coin, now) {
        Ok(report) => (report.unknown_marks, None),
        // A store from before its first sync refuses a wallet with payments in it, and those may be its own.
        Err(error @ LedgerError::NotOpened { .. }) => (marks_of(store.id(), wallet)?, Some(error)),
        Err(error) => return Err(error.into()),
    };
    let remembered = journaled::remembered(wallet, store.id())?;
    // A comment or a label that only begins like a mark is a person's.
    let is_mark = |text: &&String| batch::read_mark(text, store.id()).is_some();
    let marks: BTreeSet<String> = marks.iter().chain(&remembered).filter(is_mark).cloned().collect();
    let unknown = store.write(|tx| freeze_unknown(tx, &marks, now))?;
    match refusal {
        Some(error) if unknown.is_empty() => Err(error.into()),
        Some(_) => Ok(unknown),
        None => journaled::follow_wallet(store, wallet, coin, !remembered.is_empty(), now).map(|()| unknown),
    }
}

/// Freezes for marks that this store does not know, and returns them.
fn freeze_unknown(tx: &Tx<'_>, marks: &BTreeSet<String>, now: Timestamp) -> Result<Vec<String>, PayoutError> {
    let mut unknown = Vec::new();
    for mark in marks {
        if !records::knows_mark(tx, mark)? {
            unknown.push(mark.clone());
        }
    }
    if !unknown.is_empty() {
        let detail = format!("the wallet holds payments of this store that it does not know: {}", unknown.join(", "));
        let freeze = Freeze { cause: Cause::StoreWentBack, detail, txids: vec![], amount: None, wallet: None };
        gate::freeze(tx, &freeze, now)?;
    }
    Ok(unknown)
}

fn marks_of(store_id: &str, wallet: &dyn Wallet) -> Result<Vec<String>, RpcError> {
    let ours = batch::mark_prefix(store_id);
    let mut marks = BTreeSet::new();
    daemon::each_watched_entry(wallet, None, |entry| {
        marks.extend(entry.comment.filter(|comment| comment.starts_with(&ours)));
        Ok::<_, RpcError>(())
    })?;
    Ok(marks.into_iter().collect())
}

/// What is done with payees that the daemon does not take.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Bad {
    Reject,
    LeaveOut,
}

/// What of the queue may go into the next batch.
struct Head {
    queue: Vec<Candidate>,
    /// How many of priority low wait for a cheaper moment.
    patient: u64,
    /// More than was read is queued.
    has_more: bool,
}

impl Sender<'_> {
    pub(super) fn plan(&mut self, report: &mut FlushReport, bad: Bad) -> Result<Plan, PayoutError> {
        // The gate is asked before the daemon is troubled, and again after the sync, which may freeze.
        let mut facts = Facts::default();
        self.store.read(|tx| look_at_gate(tx, &mut facts))?;
        if facts.is_open() {
            facts.unknown_marks = synced(self.store, self.wallet, self.coin, self.now)?;
            self.observer.step(Step::Synced);
            self.store.read(|tx| look_at_gate(tx, &mut facts))?;
        }
        let price = match facts.is_open() && !self.store.read(records::queue_is_empty)? {
            true => self.price()?,
            // Nothing is priced where nothing can be sent: the plan says why.
            false => Price::default(),
        };
        if facts.is_open() {
            let head = self.head(&price, report, bad)?;
            (facts.queue, facts.patient, facts.has_more) = (head.queue, head.patient, head.has_more);
            self.count_funds(&mut facts)?;
        }
        let (settings, decimals, occasion) = (&self.coin.payouts, self.coin.profile.decimals, self.occasion);
        Ok(rules::plan(&facts, &Limits { settings, price, occasion, decimals }, self.now)?)
    }

    /// The head of the queue, without payees that would certainly be refused.
    fn head(&mut self, price: &Price, report: &mut FlushReport, bad: Bad) -> Result<Head, PayoutError> {
        loop {
            let mut head = self.candidates(price, report, bad)?;
            head.queue = self.without_dust(head.queue, report, bad)?;
            // What is rejected leaves room for those that stand behind it.
            if !(head.queue.is_empty() && head.has_more && bad == Bad::Reject) {
                return Ok(head);
            }
        }
    }

    /// The head of the queue, long enough to fill a batch; each address is checked again, and a bad one is rejected alone.
    fn candidates(&mut self, price: &Price, report: &mut FlushReport, bad: Bad) -> Result<Head, PayoutError> {
        let mut found: Vec<Candidate> = Vec::new();
        let mut scripts: HashSet<String> = HashSet::new();
        let mut after = (Priority::High, 0);
        loop {
            // One more than fits, so that the plan knows that there is a rest.
            let wanted = self.coin.payouts.max_outputs.saturating_sub(scripts.len()).saturating_add(1).min(QUEUE_PAGE);
            let page = self.store.read(|tx| records::queued_after(tx, after, wanted))?;
            for (payout, script) in page.iter().zip(self.scripts_of(&page)?) {
                if self.is_patient(payout, price) {
                    // Those after it are as patient, and younger.
                    let patient = self.store.read(|tx| records::queued_from(tx, (Priority::Low, payout.seq)))?;
                    return Ok(Head { queue: found, patient, has_more: false });
                }
                after = (payout.priority, payout.seq);
                let script_hex = match script {
                    Ok(script) => script,
                    Err(reason) => {
                        self.reject(&payout.id, reason, report, bad)?;
                        continue;
                    }
                };
                scripts.insert(script_hex.clone());
                let Payout { id, address, amount, priority, submitted, .. } = payout.clone();
                found.push(Candidate { id, address, script_hex, amount, priority, submitted });
                if scripts.len() > self.coin.payouts.max_outputs || found.len() >= PAYOUTS_PER_BATCH {
                    return Ok(Head { queue: found, patient: 0, has_more: true });
                }
            }
            if page.len() < wanted {
                return Ok(Head { queue: found, patient: 0, has_more: false });
            }
        }
    }

    fn is_patient(&self, payout: &Payout, price: &Price) -> bool {
        let may_wait = || !rules::is_out_of_patience(payout.submitted, &self.coin.payouts.fee, self.now);
        payout.priority == Priority::Low && !price.is_low && may_wait()
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
        // One that was to be journaled and is still being sent was certainly not sent: its bytes are not stored.
        let open = |batch: &Batch| state == BatchState::InDoubt || batch.method == Method::Sendmany;
        facts.unresolved.extend(records::batches_in(tx, state)?.into_iter().filter(open).map(|batch| batch.id));
    }
    Ok(())
}
