//! The verbs of the ledger.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::numbers::{count, number};
use crate::coin::{Day, Txid};
use crate::ledger::Account;

/// The ledger.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LedgerVerb {
    /// Adopt a wallet that is older than bursar.
    Open {
        /// Sum up everything to this height; the tip when left out.
        #[arg(long, value_name = "HEIGHT", value_parser = number, allow_negative_numbers = true)]
        at: Option<u64>,
        /// Which wallet, where it is not the one that pays: a name of wallet.follow.
        #[arg(long, value_name = "NAME")]
        wallet: Option<String>,
    },
    /// Bring the ledger in step with the wallet, and settle payouts.
    Sync,
    /// Balances of all accounts.
    Balance,
    /// Entries, oldest first.
    Entries {
        /// After this sequence number.
        #[arg(long, default_value = "0", value_parser = number, allow_negative_numbers = true)]
        after: u64,
        /// At most so many.
        #[arg(long, default_value = "100", value_parser = count, allow_negative_numbers = true)]
        limit: usize,
    },
    /// Credits of deposits and their reversals, oldest first.
    Events {
        /// After this number.
        #[arg(long, default_value = "0", value_parser = number, allow_negative_numbers = true)]
        after: u64,
        /// At most so many.
        #[arg(long, default_value = "100", value_parser = count, allow_negative_numbers = true)]
        limit: usize,
    },
    /// Move an unexplained amount to an account, under your name; once more, with another account, to correct what was said.
    Explain {
        /// The transaction.
        txid: Txid,
        /// In which wallet; needed where something of it is to be explained in several.
        #[arg(long, value_name = "NAME")]
        wallet: Option<String>,
        /// To which account. A payment: payout, fee, internal, opening. What others paid: deposit, mined, staked, internal, opening.
        #[arg(long = "as", value_name = "ACCOUNT", value_parser = explaining)]
        account: Account,
        /// Why; kept for the auditor.
        #[arg(long)]
        reason: String,
    },
    /// Say that the wallet's keys changed (encrypted, new descriptors) and that it is still the one that the ledger follows.
    Rekeyed {
        /// Which wallet, where it is not the one that pays: a name of wallet.follow.
        #[arg(long, value_name = "NAME")]
        wallet: Option<String>,
        /// Why; kept for the auditor.
        #[arg(long)]
        reason: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Print the public key of what bursar signs, as `minisign -V -P` takes it.
    Key,
    /// Sign what the ledger is worth now, so that a cut off or rewritten one shows later; into ledger.checkpoints_dir.
    Checkpoint,
    /// Check every sum, hash and reference.
    Verify {
        /// Exported checkpoints that the ledger has to fit, each with its .minisig beside it.
        #[arg(long = "checkpoint", value_name = "FILE", num_args = 1..)]
        checkpoints: Vec<PathBuf>,
        /// The public key that signed them, if it is not the one that this coin has now.
        #[arg(long, value_name = "KEY", requires = "checkpoints")]
        key: Option<String>,
    },
    /// The statement of a day: opening, movements, closing, audits; signed.
    Statement(StatementArgs),
    /// Write all entries to standard output for another program, as they stand now; the service may run on.
    Export(ExportArgs),
}

/// An account that says what money was for. Whether it can be that of this transaction, the ledger knows.
fn explaining(text: &str) -> Result<Account, String> {
    let known = Account::from_name(text).filter(|account| account.explains());
    known.ok_or_else(|| {
        let names: Vec<_> = Account::all().filter(|account| account.explains()).map(Account::name).collect();
        format!("'{text}' is not an account that says what money was for: these do: {}", names.join(", "))
    })
}

/// Which statement, and where it goes.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct StatementArgs {
    /// The day, of UTC, such as 2026-11-20.
    #[arg(long)]
    pub(in crate::cli) day: Day,
    /// How it is written.
    #[arg(long, default_value = "text")]
    pub(in crate::cli) format: DocumentFormat,
    /// Write it and its signature into this folder, as COIN-DAY.txt (.json, .csv) and the same with .minisig; nothing is overwritten.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) to: Option<PathBuf>,
}

/// How a statement is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum DocumentFormat {
    /// For people.
    Text,
    /// One JSON object; amounts in base units.
    Json,
    /// One table; amounts in coins.
    Csv,
}

/// What to export, and how.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    /// How it is written.
    #[arg(long)]
    pub(in crate::cli) format: LedgerFormat,
    /// Events from this number on: an event has the number (seq) of its first entry, and is exported whole.
    #[arg(long, value_name = "SEQ", value_parser = number, allow_negative_numbers = true)]
    pub(in crate::cli) from: Option<u64>,
    /// Events up to this number.
    #[arg(long, value_name = "SEQ", value_parser = number, allow_negative_numbers = true)]
    pub(in crate::cli) to: Option<u64>,
}

/// How the ledger is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum LedgerFormat {
    /// A header and one row per entry; amounts in coins.
    Csv,
    /// One JSON object per entry; amounts in base units.
    Jsonl,
    /// A journal for hledger.
    Hledger,
    /// A journal for ledger.
    Ledger,
}
