//! What a person does with payouts that were not sent: holds, releases and cancels them, several at once, all or none.

use serde::{Deserialize, Serialize};

use super::error::PayoutError;
use super::request::{Payout, PayoutId, PersonsWord};
use super::rules::{Event, next};
use super::{life, records};
use crate::coin::Timestamp;
use crate::store::{Store, Tx};

/// A person's wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The callers' ids.
    pub ids: Vec<String>,
    /// What is to be done with them.
    pub word: PersonsWord,
    /// Who says so.
    pub who: String,
    /// Why.
    pub reason: Option<String>,
}

impl PersonsWord {
    /// The name of the order, for logs and metrics.
    pub fn order_name(self) -> &'static str {
        match self {
            PersonsWord::Hold => "pay_hold",
            PersonsWord::Release => "pay_release",
            PersonsWord::Cancel => "pay_cancel",
        }
    }
}

impl Wish {
    /// As the history keeps it.
    fn said(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{}: {reason}", self.who),
            None => format!("by {}", self.who),
        }
    }
}

/// Holds, releases or cancels payouts: all of them or, where one does not allow it, none. Only what is queued or held, that is, certainly not sent, can be.
pub fn fulfil(store: &mut Store, wish: &Wish, now: Timestamp) -> Result<Vec<Payout>, PayoutError> {
    let ids = parsed(wish)?;
    store.write(|tx| ids.iter().map(|id| step(tx, id, wish.word, &wish.said(), now)).collect())
}

/// The payouts that [`fulfil`] would change, as they are now; a refusal where it would refuse.
pub fn would_fulfil(store: &mut Store, wish: &Wish) -> Result<Vec<Payout>, PayoutError> {
    let ids = parsed(wish)?;
    store.read(|tx| ids.iter().map(|id| allowed(tx, id, wish.word)).collect())
}

/// The same for one payout.
pub fn decide(store: &mut Store, id: &PayoutId, word: PersonsWord, reason: &str, now: Timestamp) -> Result<Payout, PayoutError> {
    store.write(|tx| step(tx, id, word, reason, now))
}

/// The ids, each once.
fn parsed(wish: &Wish) -> Result<Vec<PayoutId>, PayoutError> {
    let mut ids = Vec::with_capacity(wish.ids.len());
    for id in &wish.ids {
        let id: PayoutId = id.parse()?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn event(word: PersonsWord) -> Event {
    match word {
        PersonsWord::Hold => Event::Hold,
        PersonsWord::Release => Event::Release,
        PersonsWord::Cancel => Event::Cancel,
    }
}

fn allowed(tx: &Tx<'_>, id: &PayoutId, word: PersonsWord) -> Result<Payout, PayoutError> {
    let payout = records::payout(tx, id)?.ok_or_else(|| PayoutError::Unknown(id.clone()))?;
    next(payout.state, event(word)).map_err(|illegal| PayoutError::NotNow { id: id.clone(), illegal })?;
    Ok(payout)
}

fn step(tx: &Tx<'_>, id: &PayoutId, word: PersonsWord, said: &str, now: Timestamp) -> Result<Payout, PayoutError> {
    let payout = allowed(tx, id, word)?;
    life::advance(tx, &payout, event(word), Some(said), now)?;
    records::payout(tx, id)?.ok_or_else(|| PayoutError::Unknown(id.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::Amount;
    use crate::payout::request::{Checked, Priority};
    use crate::payout::rules::State;
    use crate::payout::show;

    #[test]
    fn a_wish_is_fulfilled_for_all_or_none_and_its_words_stay() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        for id in ["a", "b"] {
            let (id, address) = (id.parse().unwrap(), "x".to_owned());
            let request = Checked { id, address, amount: Amount::from_base_units(1), priority: Priority::Normal };
            store.write(|tx| records::add_payout(tx, &request, State::Queued, false, Timestamp(1))).unwrap();
        }
        let wish = |ids: &[&str], reason: Option<&str>| Wish {
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            word: PersonsWord::Hold,
            who: "ada".to_owned(),
            reason: reason.map(str::to_owned),
        };
        assert!(matches!(fulfil(&mut store, &wish(&["a", "none"], None), Timestamp(2)), Err(PayoutError::Unknown(_))));
        let state = |store: &mut Store, id: &str| show(store, &id.parse().unwrap()).unwrap().payout.state;
        assert_eq!(state(&mut store, "a"), State::Queued);
        assert_eq!(would_fulfil(&mut store, &wish(&["a"], None)).unwrap().len(), 1);
        assert_eq!(state(&mut store, "a"), State::Queued);
        assert_eq!(fulfil(&mut store, &wish(&["a", "b", "a"], Some("ask first")), Timestamp(2)).unwrap().len(), 2);
        assert!(matches!(would_fulfil(&mut store, &wish(&["b"], None)), Err(PayoutError::NotNow { .. })));
        let last = |store: &mut Store, id: &str| show(store, &id.parse().unwrap()).unwrap().history.pop().unwrap();
        assert_eq!(last(&mut store, "b").reason.as_deref(), Some("ada: ask first"));
        let release = Wish { word: PersonsWord::Release, ..wish(&["a"], None) };
        fulfil(&mut store, &release, Timestamp(3)).unwrap();
        assert_eq!(last(&mut store, "a").reason.as_deref(), Some("by ada"));
    }
}
