//! The broker of the wallet's passphrase: it alone reads it, opens the wallet's keys for one send, and closes them at once.
//!
//! - The passphrase is read from its file at the moment of use and wiped after it. It is in no argument, log, error or `Debug`.
//! - Before the keys are opened the store says so, synced: what a crash left open, the next start closes. Should that fail too, the
//!   daemon closes them by itself within a minute.
//! - One coin has one process with its store, and that one thread: nobody else of bursar's opens or closes meanwhile. A wallet that a
//!   person has open is used and left as it is; one that is open for staking alone is left to its operator.
//! - A locked wallet that is low on keys made ahead is opened to make more, and closed: else it gives out no more addresses for deposits.
//! - A passphrase that the wallet did not take is not tried again until its file changes or a person orders.

mod error;
mod flow;
mod keypool;
mod passphrase;
mod records;
mod rules;

pub use error::UnlockError;
pub use flow::{Open, close_what_is_left, open, try_again};
pub use keypool::{Refilled, refill_keypool};
