//! Everything that can be asked of one coin: plain data, the same on the control socket and in the process.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Answer, CheckReport, Failure, exit};
use crate::audit;
use crate::coin::{Day, Txid, check_words};
use crate::ledger;
use crate::payout;

/// What is done where a coin has no store, and never had one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutStore {
    /// It begins.
    Begin,
    /// It does not, and what is looked at besides is shown.
    LookOn,
    /// The same, also where one was lost: it comes back from what is looked at.
    Archives,
    /// It does not: there is nothing to show.
    Refuse,
}

/// An order to one coin's service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// One screen about everything.
    Status,
    /// What the daemon process does.
    DaemonStatus,
    /// Whether all is well: settings, permissions, daemon, staking, wallet, backups.
    Check,
    /// Starts the daemon.
    DaemonStart {
        /// Further arguments for this start, such as `-rescan`.
        extra: Vec<String>,
    },
    /// Stops the daemon and waits for its exit.
    DaemonStop {
        /// Kill it when its patience is over.
        kill: bool,
    },
    /// Stops and starts the daemon.
    DaemonRestart {
        /// Further arguments for this start, such as `-rescan`.
        extra: Vec<String>,
    },
    /// Queues one payout.
    PaySubmit(payout::Request),
    /// Queues the payouts of a file. One that comes over the control socket is posted to `/v1/imports` as it is, and waits on disk.
    PayImport {
        /// How.
        how: payout::ImportOrder,
        /// The file.
        file: PathBuf,
    },
    /// Lists payouts.
    PayList {
        /// Which.
        filter: payout::Filter,
        /// In any of these states; in all when there is none.
        states: Vec<payout::State>,
    },
    /// One payout with its history.
    PayShow {
        /// The caller's id.
        id: String,
    },
    /// Holds, releases or cancels payouts that were never given to a daemon: all of them or none.
    PayDecide {
        /// Which, and what.
        wish: payout::Wish,
        /// Say what would be done, and do nothing.
        dry_run: bool,
    },
    /// Sends what is queued.
    PayFlush {
        /// Print the plan, and do nothing.
        dry_run: bool,
        /// The schedule orders it, not a person: what a person has to mend first is not tried again.
        #[serde(default)]
        scheduled: bool,
    },
    /// Finds out what became of batches in doubt.
    PayResolve {
        /// A person restarted an attached daemon since the batch was sent.
        restarted: bool,
    },
    /// Replaces the transaction of a journaled batch by one with a higher fee.
    PayBump {
        /// Which batch.
        batch: payout::BatchId,
        /// Base units per virtual byte; none: what the settings and the daemon's estimate say.
        fee_rate_per_vb: Option<u64>,
        /// Say what would be done, and do nothing.
        dry_run: bool,
    },
    /// What is known about batches in doubt, what they wait for, and what a person can do.
    PayDoubt,
    /// A person's ruling about a disputed batch.
    PayRule {
        /// Which batch, what about it, who says so and why.
        decision: payout::Decision,
        /// Say whether it would be carried out, and do nothing.
        dry_run: bool,
    },
    /// Adopts a wallet that is older than bursar.
    LedgerOpen {
        /// At which height; the tip when none.
        at: Option<u64>,
        /// Which wallet; the paying one when none.
        #[serde(default)]
        wallet: Option<String>,
    },
    /// Brings the ledger in step with the wallet and settles payouts.
    LedgerSync,
    /// Balances of all accounts.
    LedgerBalance,
    /// Entries, oldest first.
    LedgerEntries {
        /// After this sequence number.
        after: u64,
        /// At most so many.
        limit: usize,
    },
    /// Credits of deposits and their reversals, oldest first.
    LedgerEvents {
        /// After this number.
        after: u64,
        /// At most so many.
        limit: usize,
    },
    /// Moves an unexplained amount to an account, under a person's name.
    LedgerExplain {
        /// The transaction.
        txid: Txid,
        /// In which wallet; needed where something of it is to be explained in several.
        #[serde(default)]
        wallet: Option<String>,
        /// To which account.
        account: ledger::Account,
        /// Why.
        reason: String,
        /// Who says so.
        who: String,
    },
    /// Declares that a wallet's keys changed and that it is still the same wallet.
    LedgerRekeyed {
        /// Which wallet; the paying one when none.
        #[serde(default)]
        wallet: Option<String>,
        /// Why.
        reason: String,
        /// Who says so.
        who: String,
    },
    /// The public key by which what this service signs is checked; the key is made if there is none.
    LedgerKey,
    /// Makes a signed checkpoint of the ledger, and exports it where the settings say.
    LedgerCheckpoint,
    /// Checks every sum, hash and reference of the ledger, and that it is the one of which these checkpoints were made.
    LedgerVerify {
        /// As they were exported.
        checkpoints: Vec<ledger::checkpoint::CheckpointFile>,
        /// The public key that signed them; the coin's own when none.
        key: Option<String>,
    },
    /// The signed statement of a day.
    LedgerStatement {
        /// Which day, of UTC.
        day: Day,
        /// How it is written.
        format: audit::StatementFormat,
    },
    /// Compares ledger and wallet.
    AuditRun {
        /// Read the wallet's whole listing, though it may not be due.
        #[serde(default)]
        deep: bool,
    },
    /// What each side knows of a transaction, or of those that the last audit named.
    AuditExplain {
        /// The transaction; none: those of the last audit.
        txid: Option<Txid>,
        /// Of which wallet; needed where it could be several.
        #[serde(default)]
        wallet: Option<String>,
    },
    /// The audits so far, newest first.
    AuditHistory {
        /// At most so many.
        limit: usize,
    },
    /// Lifts one freeze by a person's word.
    AuditThaw {
        /// The number of the freeze.
        id: i64,
        /// Why.
        reason: String,
        /// Who says so.
        who: String,
    },
    /// Makes a backup.
    BackupCreate,
    /// Lists archives.
    BackupList,
    /// Reads an archive to its end and checks everything in it.
    BackupVerify {
        /// The archive; the newest when none.
        archive: Option<PathBuf>,
        /// The file with the secret key; the configured one when none.
        identity: Option<PathBuf>,
    },
    /// Restores an archive into a throwaway daemon and compares.
    BackupDrill {
        /// The archive; the newest when none.
        archive: Option<PathBuf>,
        /// The file with the secret key; the configured one when none.
        identity: Option<PathBuf>,
    },
    /// What a repair would do.
    RepairPlan,
    /// Walks the repair ladder.
    RepairRun,
    /// The repairs so far, newest first.
    RepairHistory {
        /// At most so many.
        limit: usize,
    },
}

impl Order {
    /// The order's name, for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Order::Status => "status",
            Order::DaemonStatus => "daemon_status",
            Order::Check => "check",
            Order::DaemonStart { .. } => "daemon_start",
            Order::DaemonStop { .. } => "daemon_stop",
            Order::DaemonRestart { .. } => "daemon_restart",
            Order::PaySubmit(_) => "pay_submit",
            Order::PayImport { .. } => "pay_import",
            Order::PayList { .. } => "pay_list",
            Order::PayShow { .. } => "pay_show",
            Order::PayDecide { wish, .. } => wish.word.order_name(),
            Order::PayFlush { .. } => "pay_flush",
            Order::PayResolve { .. } => "pay_resolve",
            Order::PayDoubt => "pay_doubt",
            Order::PayBump { .. } => "pay_bump",
            Order::PayRule { .. } => "pay_rule",
            Order::LedgerOpen { .. } => "ledger_open",
            Order::LedgerSync => "ledger_sync",
            Order::LedgerBalance => "ledger_balance",
            Order::LedgerEntries { .. } => "ledger_entries",
            Order::LedgerEvents { .. } => "ledger_events",
            Order::LedgerExplain { .. } => "ledger_explain",
            Order::LedgerRekeyed { .. } => "ledger_rekeyed",
            Order::LedgerKey => "ledger_key",
            Order::LedgerCheckpoint => "ledger_checkpoint",
            Order::LedgerVerify { .. } => "ledger_verify",
            Order::LedgerStatement { .. } => "ledger_statement",
            Order::AuditRun { .. } => "audit_run",
            Order::AuditExplain { .. } => "audit_explain",
            Order::AuditHistory { .. } => "audit_history",
            Order::AuditThaw { .. } => "audit_thaw",
            Order::BackupCreate => "backup_create",
            Order::BackupList => "backup_list",
            Order::BackupVerify { .. } => "backup_verify",
            Order::BackupDrill { .. } => "backup_drill",
            Order::RepairPlan => "repair_plan",
            Order::RepairRun => "repair_run",
            Order::RepairHistory { .. } => "repair_history",
        }
    }

    /// Refuses what a person wrote for records that others read, where it says nothing, or could pass for further lines or other words of them.
    pub fn check_words(&self) -> Result<(), Failure> {
        let (reason, who) = match self {
            Order::PayDecide { wish, .. } => (wish.reason.as_deref(), &wish.who),
            Order::PayRule { decision, .. } => (Some(decision.reason.as_str()), &decision.who),
            Order::LedgerExplain { reason, who, .. }
            | Order::LedgerRekeyed { reason, who, .. }
            | Order::AuditThaw { reason, who, .. } => (Some(reason.as_str()), who),
            _ => return Ok(()),
        };
        let refused = |what: &str, why| {
            let message = format!("{what} {why}; nothing was changed");
            Failure::new("bad_words", message, exit::USAGE).next("write it in one line of plain text")
        };
        reason.map_or(Ok(()), check_words).map_err(|why| refused("the reason", why))?;
        check_words(who).map_err(|why| refused("the name of who gives the order", why))
    }

    /// The process exit code of its failure. Monitoring reads those of an audit and a check: what failed to come to a verdict is unknown, not a
    /// warning.
    pub fn exit_code_of(&self, failure: &Failure) -> u8 {
        if matches!(self, Order::AuditRun { .. } | Order::Check) { exit::PARTLY } else { failure.exit }
    }

    /// To monitoring, a store that is missing or cannot be read is a finding, and the worst; to all else it is why the order failed.
    pub fn finding(&self, failure: Failure) -> Result<Answer, Failure> {
        match self {
            Order::Check if failure.is_of_store() => Ok(Answer::Check(CheckReport::without_store(failure))),
            _ => Err(failure),
        }
    }

    /// What is done about a store that was never made.
    pub fn without_store(&self) -> WithoutStore {
        use Order::*;
        match self {
            // What is wrong may be the daemon.
            Status | Check | DaemonStatus | RepairPlan => WithoutStore::LookOn,
            // An archive is looked through on a machine that has nothing else, and where it is needed most.
            BackupList | BackupVerify { .. } => WithoutStore::Archives,
            order if order.only_looks() => WithoutStore::Refuse,
            _ => WithoutStore::Begin,
        }
    }

    /// Whether the order only looks.
    pub fn only_looks(&self) -> bool {
        use Order::*;
        matches!(
            self,
            Status
                | Check
                | DaemonStatus
                | PayList { .. }
                | PayShow { .. }
                | PayDoubt
                | PayRule { dry_run: true, .. }
                | PayBump { dry_run: true, .. }
                | LedgerBalance
                | LedgerEntries { .. }
                | LedgerEvents { .. }
                | LedgerKey
                | LedgerVerify { .. }
                | LedgerStatement { .. }
                | AuditExplain { .. }
                | AuditHistory { .. }
                | BackupList
                | BackupVerify { .. }
                | RepairPlan
                | RepairHistory { .. }
        )
    }
}
