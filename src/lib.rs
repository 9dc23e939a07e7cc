//! bursar keeps coin wallet daemons in production: configs, supervision, payouts, a ledger, audits, backups, repair.
//!
//! Read from top to bottom, this file is the program from the person to the ground. A module uses only what stands in a
//! group **below** its own; modules of one group never use each other (`tests/tidy` keeps that true).

/// Verbs: parse, place one order, print (human or JSON), exit code. No decisions.
pub mod cli;

/// The long-running side of one coin: orders, run loop, schedule, control socket and HTTP.
pub mod service;

/// The repair ladder for a damaged wallet, step by step, resumable.
pub mod repair;

/// Ledger against wallet, and the txids that explain a difference.
pub mod audit;
/// Encrypted archives of wallet and ledger, and the drill that proves them.
pub mod backup;
/// Queue, batch, send, settle: every payout exactly once.
pub mod payout;

/// What we know happened, by txid: double-entry postings, claims, sync from the wallet.
pub mod ledger;

/// Why payouts of a coin are frozen, and by whose word they thaw.
pub mod gate;
/// The one holder of the wallet's passphrase: keys are opened for one send, and closed.
pub mod unlock;

/// Parent of a daemon process: start, stop, confirmed exit.
pub mod keeper;

/// One daemon: conf rendering, RPC, the `Wallet` trait and its implementation, probe of abilities.
pub mod daemon;

/// SQLite: open, migrate, one writer, transactions.
pub mod store;

/// bursar.toml to checked settings, errors with line and key.
pub mod config;

/// Amounts, coin profiles, addresses as text, txids: no I/O.
pub mod coin;
