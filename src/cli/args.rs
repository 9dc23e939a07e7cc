//! The verbs and their arguments.

mod ledger;
mod numbers;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(super) use self::ledger::{DocumentFormat, ExportArgs, LedgerFormat, LedgerVerb, StatementArgs};
use self::numbers::{count, number};
use crate::coin::{Timestamp, Txid};
use crate::payout::{BatchId, PayoutId, Priority, State};
use crate::service::tokens::Role;

/// Keeps coin wallet daemons: configs, supervision, payouts that are never made twice, a ledger, audits, backups, repair.
#[derive(Debug, Parser)]
#[command(name = "bursar", version, max_term_width = 100)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// The settings.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/bursar/bursar.toml")]
    pub(super) config: PathBuf,
    /// The coin instance; may be left out when the settings have just one.
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) coin: Option<String>,
    /// How results are printed.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    pub(super) output: Output,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Short tables.
    Human,
    /// One JSON object; amounts are integers of base units.
    Json,
    /// For `check` and `audit run`: one line and performance data, as Nagios and its relatives read them.
    Nagios,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write a commented bursar.toml; never overwrites one.
    Init,
    /// Coin profiles: what each coin is.
    Coins {
        /// Which; all are listed when left out.
        #[command(subcommand)]
        verb: Option<CoinsVerb>,
    },
    /// Write the daemon's hardened configuration.
    Render(RenderArgs),
    /// Lay out program, units, users, folders and settings of one coin; starts nothing.
    Install {
        /// Everything goes below this folder.
        #[arg(long, value_name = "DIR", default_value = "/")]
        root: PathBuf,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Run the service of one coin: daemon, schedule, metrics.
    Run,
    /// Be the parent of one coin's daemon: start it, start it again when it ends unasked, stop it at the end.
    Keep {
        /// A further argument for the first start only, such as -reindex-chainstate; may be given several times.
        #[arg(long = "with", value_name = "ARGUMENT", allow_hyphen_values = true)]
        extra: Vec<String>,
        /// Start nothing before an order comes: for a repair of what cannot be started.
        #[arg(long, conflicts_with = "extra")]
        stopped: bool,
    },
    /// Whether all is well: 0 yes, 1 warning, 2 critical, 3 unknown.
    Check,
    /// One screen: daemon, tip, balances, queue, last audit, last backup.
    Status,
    /// Start, stop or look at the daemon process.
    #[command(subcommand)]
    Daemon(DaemonVerb),
    /// Payouts.
    #[command(subcommand)]
    Pay(PayVerb),
    /// Tokens for the HTTP API.
    #[command(subcommand)]
    Token(TokenVerb),
    /// The ledger.
    #[command(subcommand)]
    Ledger(LedgerVerb),
    /// Ledger against wallet.
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Encrypted backups and their proof.
    #[command(subcommand)]
    Backup(BackupVerb),
    /// The repair ladder for a damaged wallet.
    #[command(subcommand)]
    Repair(RepairVerb),
    /// Completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// The manual page.
    Man,
}

/// How the conf is rendered.
#[derive(Debug, Args)]
pub(super) struct RenderArgs {
    /// Show how the file on disk differs from the settings, and change nothing: 0 it does not, 1 it does.
    #[arg(long, conflicts_with_all = ["rotate_credentials", "dry_run"])]
    pub(super) diff: bool,
    /// Make new RPC passwords beside the old ones; both are valid from the next start until every user has moved.
    #[arg(long)]
    pub(super) rotate_credentials: bool,
    /// Print what would be written, and write nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// Coin profiles.
#[derive(Debug, Subcommand)]
pub(super) enum CoinsVerb {
    /// The coins that bursar knows: built in, or from profiles_dir.
    List,
    /// One profile as TOML, to read or to start another from.
    Show {
        /// The coin, such as litecoin.
        name: String,
    },
}

/// Orders to the daemon process.
#[derive(Debug, Subcommand)]
pub(super) enum DaemonVerb {
    /// Start it and wait until it answers.
    Start {
        /// A further argument for this start only, such as -rescan; may be given several times.
        #[arg(long = "with", value_name = "ARGUMENT", allow_hyphen_values = true)]
        extra: Vec<String>,
    },
    /// Stop it and wait for its exit.
    Stop {
        /// Kill it when its patience (daemon.stop_timeout_s) is over: it may be writing the wallet.
        #[arg(long)]
        kill: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Stop and start it.
    Restart {
        /// A further argument for this start only, such as -rescan; may be given several times.
        #[arg(long = "with", value_name = "ARGUMENT", allow_hyphen_values = true)]
        extra: Vec<String>,
    },
    /// What the process does.
    Status,
}

/// Payouts.
#[derive(Debug, Subcommand)]
pub(super) enum PayVerb {
    /// Queue one payout.
    Submit {
        /// Your own id of it; the same id never pays twice.
        #[arg(long)]
        id: String,
        /// To whom.
        #[arg(long)]
        address: String,
        /// How much, in coins, such as 1.25.
        #[arg(long, allow_hyphen_values = true)]
        amount: String,
        /// How urgent: high goes first and at once, low waits for a cheaper moment.
        #[arg(long, default_value = "normal")]
        priority: Priority,
    },
    /// Queue the payouts of a file, all or none: CSV with the header id,address,amount (and priority, if you want), or JSON lines.
    Import {
        /// The file; - reads from standard input.
        file: PathBuf,
        /// How it is written; by its name when left out: *.jsonl and *.ndjson are JSON lines, all others CSV.
        #[arg(long, value_name = "FORMAT")]
        format: Option<FileFormat>,
        /// Record rows whose address cannot be paid to as rejected and queue the others, instead of refusing the whole file.
        #[arg(long)]
        reject_bad_payees: bool,
        /// Look through the whole file, and queue nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// List payouts, oldest first.
    List(ListArgs),
    /// One payout with its whole story.
    Show {
        /// Your id of it.
        id: String,
    },
    /// Cancel payouts that were never given to a daemon.
    Cancel {
        #[command(flatten)]
        wish: WishArgs,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Take queued payouts out of the queue for now.
    Hold {
        #[command(flatten)]
        wish: WishArgs,
    },
    /// Put held payouts back into the queue.
    Release {
        #[command(flatten)]
        wish: WishArgs,
    },
    /// Send what is queued, now; payouts of priority low still wait for a cheaper moment.
    Flush {
        /// Print the plan, and send nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Raise the fee of a batch that was sent by journaled and is not confirmed, by a replacement with the same payees.
    ///
    /// The old transaction and the new one exclude each other, and either pays. A daemon whose mempool replaces nothing keeps the old one.
    Bump {
        /// The batch, as `pay show` and `pay flush` name it.
        #[arg(long, value_name = "ID")]
        batch: BatchId,
        /// Base units per virtual byte; what the settings and the daemon's estimate say when left out.
        #[arg(long, value_name = "N", value_parser = number, allow_negative_numbers = true)]
        fee_rate: Option<u64>,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Find out what became of batches in doubt, and explain what stays open; restarts the daemon where only that gives certainty.
    ///
    /// With --batch it records your ruling about a disputed one, under your name, in the ledger. A ruling is carried out only where
    /// the chain bears it out: nobody can mark unpaid what may still be paid.
    Resolve {
        /// You restarted the attached daemon after the batch was sent.
        #[arg(long)]
        restarted: bool,
        /// The batch that you rule about.
        #[arg(long, value_name = "ID", requires = "ruling", conflicts_with = "restarted")]
        batch: Option<BatchId>,
        /// This transaction pays the batch: it has to pay exactly what was asked, and belong to no other.
        #[arg(long, value_name = "TXID", group = "ruling", requires_all = ["batch", "reason"])]
        paid_by: Option<Txid>,
        /// Nothing pays the batch: every coin that it could have spent has to be spent otherwise, at final depth.
        #[arg(long, group = "ruling", requires_all = ["batch", "reason"])]
        unpaid: bool,
        /// Why you rule so; it stands in the ledger with your name.
        #[arg(long, value_name = "TEXT", requires = "ruling")]
        reason: Option<String>,
        /// Only explain what is known, what is waited for, and what you can do.
        #[arg(long)]
        dry_run: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Which payouts to list.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those in this state, such as queued, sent, in_doubt; may be given several times.
    #[arg(long)]
    pub(super) state: Vec<State>,
    /// Only those of this batch.
    #[arg(long)]
    pub(super) batch: Option<BatchId>,
    /// Only those to this address, as you spelled it.
    #[arg(long)]
    pub(super) address: Option<String>,
    /// Only those of this priority.
    #[arg(long)]
    pub(super) priority: Option<Priority>,
    /// Only those submitted at this time or later, such as 2026-11-20 or 2026-11-20T10:00:00Z (UTC).
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) since: Option<Timestamp>,
    /// Only those submitted before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) until: Option<Timestamp>,
    /// Only those submitted after this one: the last of the page before.
    #[arg(long, value_name = "ID")]
    pub(super) after: Option<PayoutId>,
    /// At most so many.
    #[arg(long, default_value = "100", value_parser = count, allow_negative_numbers = true)]
    pub(super) limit: usize,
}

/// A day, which begins at midnight, or a moment.
fn time(text: &str) -> Result<Timestamp, String> {
    let moment = text.parse::<jiff::Timestamp>().ok();
    let midnight = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let moment = moment.or_else(|| midnight().map(|day| day.timestamp()));
    moment.map(|moment| Timestamp(moment.as_second())).ok_or_else(|| "write 2026-11-20 or 2026-11-20T10:00:00Z".to_owned())
}

/// What is to become of which payouts.
#[derive(Debug, Args)]
pub(super) struct WishArgs {
    /// Your ids of them: all of them or, where one does not allow it, none.
    #[arg(required = true)]
    pub(super) ids: Vec<String>,
    /// Why; kept in their histories, with your name.
    #[arg(long)]
    pub(super) reason: Option<String>,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// How a payout file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FileFormat {
    /// A header, then one row per line.
    Csv,
    /// One JSON object per line.
    Jsonl,
}

/// Tokens for the HTTP API.
#[derive(Debug, Subcommand)]
pub(super) enum TokenVerb {
    /// Make a token and print it, this once. Whoever has it may use the API at once; the service need not be restarted.
    Add {
        /// Whose it is; stands in logs and in the history of payouts.
        #[arg(long)]
        name: String,
        /// What it may do: read looks, submit asks for payouts too, operate holds, cancels and flushes too.
        #[arg(long)]
        role: Role,
    },
    /// List tokens, without their secrets.
    List,
    /// Take a token away: whoever uses it is refused at once.
    Remove {
        /// Whose it is.
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Ledger against wallet.
#[derive(Debug, Subcommand)]
pub(super) enum AuditVerb {
    /// Compare now: 0 agrees, 1 explained, 2 unexplained, 3 unknown.
    Run {
        /// Read the wallet's whole listing. It is read once a day in any case, and when anything differs.
        #[arg(long)]
        deep: bool,
    },
    /// Lift a freeze by your word. It binds to what was found: anything but that, or a part of it, freezes again.
    ///
    /// Of a store that went back in time it adopts the payments that the freeze names, and holds every queued payout, because they may
    /// have paid it: release those that are unpaid. Payouts that were asked for after the copy was made are unknown to the store, and so
    /// are their ids: asked for again they are paid again. Find out first which they are, and let nobody ask for those again.
    Thaw {
        /// The number of the freeze, from `bursar status`.
        #[arg(allow_negative_numbers = true)]
        id: i64,
        /// Why; kept for the auditor.
        #[arg(long)]
        reason: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// What ledger, wallet and chain know of a transaction, and what to do about it; changes nothing.
    #[command(group = ArgGroup::new("which").required(true).args(["txid", "last"]))]
    Explain {
        /// The transaction.
        txid: Option<Txid>,
        /// Those that the last audit named.
        #[arg(long)]
        last: bool,
        /// Of which wallet; needed where it could be several.
        #[arg(long, value_name = "NAME")]
        wallet: Option<String>,
    },
    /// The audits so far, newest first.
    History {
        /// At most so many.
        #[arg(long, default_value = "20", value_parser = count, allow_negative_numbers = true)]
        limit: usize,
    },
}

/// Encrypted backups.
#[derive(Debug, Subcommand)]
pub(super) enum BackupVerb {
    /// Make one in every configured directory.
    Create,
    /// List archives.
    List,
    /// Read an archive to its end and check everything in it.
    Verify {
        /// The archive; the newest when left out.
        archive: Option<PathBuf>,
        /// The file with the secret key, 0600; backup.identity_file when left out.
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
    },
    /// Restore an archive into a throwaway daemon and compare keys.
    Drill {
        /// The archive; the newest when left out.
        archive: Option<PathBuf>,
        /// The file with the secret key, 0600; backup.identity_file when left out.
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
    },
}

/// Repair.
#[derive(Debug, Subcommand)]
pub(super) enum RepairVerb {
    /// What a repair would do, and what it needs.
    Plan,
    /// Note pending, stop, copy the wallet, rescan, audit.
    Run {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// The repairs so far, newest first.
    History {
        /// At most so many.
        #[arg(long, default_value = "20", value_parser = count, allow_negative_numbers = true)]
        limit: usize,
    },
}
