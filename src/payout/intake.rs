//! Taking submissions: many at once, in one synced commit, each answered alone.
//!
//! A caller is told that its payout was taken only after the commit that holds it. The daemon is asked about the addresses before the
//! transaction begins: others wait for the store's one writer, and must not wait for a daemon.

use std::collections::HashMap;

use super::error::{BadAddress, PayoutError};
use super::records;
use super::request::{Checked, Request, Submitted, judge_script, known, must_be_of_this_time};
use super::rules::State;
use crate::coin::{Timestamp, check_address};
use crate::config::CoinSettings;
use crate::daemon::Wallet;
use crate::store::{Store, StoreError, Tx};

/// What became of each request, in their order.
pub type Taken = Vec<Result<Submitted, PayoutError>>;

/// Queues payouts, each answered alone: a refused one leaves no trace and does not touch the others, and one that was submitted before is
/// answered with the existing payout. A failure of the store fails all of them, and nothing was queued.
pub fn submit_many(
    store: &mut Store,
    wallet: Option<&dyn Wallet>,
    coin: &CoinSettings,
    requests: &[Request],
    now: Timestamp,
) -> Result<Taken, StoreError> {
    let mut checked: Vec<Result<Checked, PayoutError>> = requests.iter().map(|request| request.check(coin)).collect();
    let unknown = store.read(|tx| refuse_bad_texts(tx, coin, &mut checked))?;
    let words = ask(wallet, &unknown);
    store.write(|tx| {
        let closed = closed(tx)?;
        let take = |request: Result<Checked, PayoutError>| match (request, &closed) {
            (Ok(_), Some(why)) => Ok(Err(PayoutError::StoreWentBack(why.clone()))),
            (Ok(request), None) => apart(queue(tx, coin, &request, words.get(&request.address), now)),
            (Err(error), _) => Ok(Err(error)),
        };
        checked.into_iter().map(take).collect()
    })
}

/// Queues a payout, or answers with the existing one when the same was submitted before. A refused request leaves no trace.
pub fn submit(
    store: &mut Store,
    wallet: Option<&dyn Wallet>,
    coin: &CoinSettings,
    request: &Request,
    now: Timestamp,
) -> Result<Submitted, PayoutError> {
    let mut taken = submit_many(store, wallet, coin, std::slice::from_ref(request), now)?;
    taken.pop().unwrap_or_else(|| Err(StoreError::Damaged("a request without an answer".to_owned()).into()))
}

/// Why nothing is taken now, if so.
fn closed(tx: &Tx<'_>) -> Result<Option<String>, StoreError> {
    match apart(must_be_of_this_time(tx))? {
        Err(PayoutError::StoreWentBack(why)) => Ok(Some(why)),
        Err(other) => Ok(Some(other.to_string())),
        Ok(()) => Ok(None),
    }
}

/// Refuses what can be refused without the daemon; returns the addresses that it has to be asked about, each once.
fn refuse_bad_texts(
    tx: &Tx<'_>,
    coin: &CoinSettings,
    checked: &mut [Result<Checked, PayoutError>],
) -> Result<Vec<String>, StoreError> {
    let mut unknown = Vec::new();
    for slot in checked {
        let Ok(request) = &*slot else { continue };
        match apart(known(tx, request, coin))? {
            Ok(Some(_)) => {}
            Err(error) => *slot = Err(error),
            Ok(None) => match check_address(&request.address, &coin.params) {
                Ok(_) => unknown.push(request.address.clone()),
                Err(problem) => *slot = Err(PayoutError::BadAddress { id: request.id.clone(), problem: problem.into() }),
            },
        }
    }
    unknown.sort_unstable();
    unknown.dedup();
    Ok(unknown)
}

/// The failures of the store apart from the refusals of one request.
fn apart<T>(outcome: Result<T, PayoutError>) -> Result<Result<T, PayoutError>, StoreError> {
    match outcome {
        Err(PayoutError::Store(error)) => Err(error),
        told => Ok(told),
    }
}

/// What the daemon says about an address: that it can be paid to, or why not.
type Word = Result<(), BadAddress>;

/// What the daemon says about each address; nothing where it gives no answer, and then it is asked again before sending.
fn ask(wallet: Option<&dyn Wallet>, addresses: &[String]) -> HashMap<String, Word> {
    let Some(wallet) = wallet.filter(|_| !addresses.is_empty()) else { return HashMap::new() };
    let texts: Vec<&str> = addresses.iter().map(String::as_str).collect();
    match wallet.scripts(&texts) {
        Ok(scripts) => {
            let word = |(address, script): (&String, _)| (address.clone(), judge_script(script, address).map(|_| ()));
            addresses.iter().zip(scripts).map(word).collect()
        }
        Err(error) => {
            tracing::info!(%error, "the daemon did not check addresses; it is asked again before sending");
            HashMap::new()
        }
    }
}

fn queue(
    tx: &Tx<'_>,
    coin: &CoinSettings,
    request: &Checked,
    word: Option<&Word>,
    now: Timestamp,
) -> Result<Submitted, PayoutError> {
    // Once more: the same id may stand twice in this group, or have come by another way meanwhile.
    if let Some(payout) = known(tx, request, coin)? {
        let address_checked = records::address_checked(tx, payout.seq)?;
        return Ok(Submitted { payout, new: false, address_checked });
    }
    let bad = |problem: BadAddress| PayoutError::BadAddress { id: request.id.clone(), problem };
    let address_checked = match word {
        Some(Err(problem)) => return Err(bad(problem.clone())),
        Some(Ok(())) => true,
        None => false,
    };
    let payout = records::add_payout(tx, request, State::Queued, address_checked, now)?;
    Ok(Submitted { payout, new: true, address_checked })
}
