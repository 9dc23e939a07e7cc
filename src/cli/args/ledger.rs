//! The verbs of the ledger.

use clap::{Args, Subcommand, ValueEnum};

use crate::coin::Txid;

/// The ledger.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LedgerVerb {
    /// Adopt a wallet that is older than bursar.
    Open {
        /// Sum up everything to this height; the tip when left out.
        #[arg(long, value_name = "HEIGHT")]
        at: Option<u64>,
    },
    /// Bring the ledger in step with the wallet, and settle payouts.
    Sync,
    /// Balances of all accounts.
    Balance,
    /// Entries, oldest first.
    Entries {
        /// After this sequence number.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Move an unexplained amount to an account, under your name.
    Explain {
        /// The transaction.
        txid: Txid,
        /// To which account: payout, fee, internal, opening, deposit.
        #[arg(long = "as", value_name = "ACCOUNT")]
        account: String,
        /// Why; kept for the auditor.
        #[arg(long)]
        reason: String,
    },
    /// Say that the wallet's keys changed (encrypted, new descriptors) and that it is still the one that the ledger follows.
    Rekeyed {
        /// Why; kept for the auditor.
        #[arg(long)]
        reason: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Print the public key of what bursar signs, as `minisign -V -P` takes it.
    Key,
    /// Check every sum, hash and reference.
    Verify,
    /// Write all entries to standard output for another program, as they stand now; the service may run on.
    Export(ExportArgs),
}

/// What to export, and how.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    /// How it is written.
    #[arg(long)]
    pub(in crate::cli) format: LedgerFormat,
    /// Events from this number on: an event has the number (seq) of its first entry, and is exported whole.
    #[arg(long, value_name = "SEQ")]
    pub(in crate::cli) from: Option<u64>,
    /// Events up to this number.
    #[arg(long, value_name = "SEQ")]
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
