//! From the states of a batch's transactions to what happens to it.

use super::Event;
use crate::ledger::TxState;
use crate::payout::batch::BatchState;

/// Where the transactions of a batch stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// One is in a block.
    Confirmed {
        /// Blocks on it, its own included.
        depth: u64,
    },
    /// One is in the mempool.
    Mempool,
    /// None is in either, or there is none.
    Lost,
}

/// Blocks on a block at `height`, its own included.
pub fn depth(height: u64, tip_height: u64) -> u64 {
    (tip_height + 1).saturating_sub(height)
}

/// The standing of a batch whose transactions have these states in the ledger (none: the ledger has not seen it).
pub fn standing(states: &[Option<TxState>], tip_height: u64) -> Standing {
    let depths = states.iter().filter_map(|state| match state {
        Some(TxState::Confirmed { height, .. }) => Some(depth(*height, tip_height)),
        _ => None,
    });
    match depths.max() {
        Some(depth) => Standing::Confirmed { depth },
        None if states.contains(&Some(TxState::Mempool)) => Standing::Mempool,
        None => Standing::Lost,
    }
}

/// What happens to a batch with transactions of this standing. `Lost` means that giving the bytes again did not help either.
pub fn settle_events(state: BatchState, standing: Standing, final_depth: u64) -> Vec<Event> {
    let was_in_a_block = matches!(state, BatchState::Confirmed | BatchState::Final);
    match standing {
        Standing::Confirmed { depth } => {
            let mut events = Vec::new();
            if state == BatchState::Final && depth < final_depth {
                events.push(Event::Reorged);
            }
            if state != BatchState::Confirmed && !(state == BatchState::Final && depth >= final_depth) {
                events.push(Event::Confirmed);
            }
            if state != BatchState::Final && depth >= final_depth {
                events.push(Event::Finalized);
            }
            events
        }
        Standing::Mempool if was_in_a_block => vec![Event::Reorged],
        Standing::Mempool => vec![],
        Standing::Lost if was_in_a_block => vec![Event::Reorged, Event::Unprovable],
        Standing::Lost if state == BatchState::Sent => vec![Event::Unprovable],
        Standing::Lost => vec![],
    }
}
