//! A failed order in the words and numbers that people and scripts get: one place decides code, next step and exit code.

use serde::{Deserialize, Serialize};

use crate::audit::{AuditError, StatementError};
use crate::backup::BackupError;
use crate::config::ConfigError;
use crate::daemon::RpcError;
use crate::keeper::KeeperError;
use crate::ledger::credit::FeedError;
use crate::ledger::{ExportError, LedgerError};
use crate::payout::PayoutError;
use crate::payout::rules::Refusal;
use crate::repair::RepairError;
use crate::store::StoreError;
use crate::unlock::UnlockError;

/// Exit codes of `bursar`, as the interface promises them.
pub mod exit {
    /// Done, or all well.
    pub const DONE: u8 = 0;
    /// Failed; a warning for `audit run`.
    pub const FAILED: u8 = 1;
    /// Bad usage; critical for `audit run`.
    pub const USAGE: u8 = 2;
    /// Partly done; unknown for `audit run`.
    pub const PARTLY: u8 = 3;
    /// Payouts are frozen.
    pub const FROZEN: u8 = 10;
    /// Another process holds the store.
    pub const HELD: u8 = 11;
    /// The wallet is locked.
    pub const LOCKED: u8 = 12;
    /// Try again later.
    pub const LATER: u8 = 75;
    /// Configuration error.
    pub const CONFIG: u8 = 78;
}

/// What to do about a daemon that does not stop.
const STILL_RUNS: &str = "wait, then give the order again; daemon.stop_timeout_s sets the patience. `bursar daemon stop --kill` ends it for certain, \
                          at the wallet's risk";

/// What to do about a store whose rows break a promise.
const DAMAGED: &str = "keep the file as it is (bursar.db, with its -wal), and stop the service; `bursar ledger verify` names the first bad row. A whole copy is in the \
                       backups (`bursar backup list`): payouts stay frozen until what it lacks was looked at";

/// What to do about an account at the end of what 64 bits count.
const TOO_LARGE: &str = "keep this store: it is whole, and only takes no further postings. `bursar ledger balance` shows which account is near 9223372036854775807 base units, and \
                         `bursar ledger export` writes all of it. Only a new store (another state_dir, `bursar ledger open`) counts from the start; it knows no payout of \
                         this one, so submit none of them again (see *Looking* in the README)";

/// What to do about a file that is no store any more.
const MALFORMED: &str = "stop the service, and move `bursar.db`, `bursar.db-wal` and `bursar.db-shm` to another folder: keep them as they are. Then bring `bursar.db` back from \
                         the newest backup (`bursar backup list`; see *Backups* in the README): payouts stay frozen until what it lacks was looked at";

/// What to do about a store that another program wrote into. The pattern takes along the log, and the word that it was overwritten.
const OVERWRITTEN: &str = "stop the service, and move `bursar.db` and all `bursar.db-*` to another folder: keep them as they are. Then bring `bursar.db` back from the newest \
                           backup (`bursar backup list`; see *Backups* in the README): payouts stay frozen until what it lacks was looked at. Only if nothing but its time \
                           was changed (`touch`): stop the service, remove `bursar.db-overwritten`, and start it";

/// What to do where the store is there, and the lock is not that keeps others from it.
const LOCK_GONE: &str = "stop whatever other bursar works on this state_dir, then start the service again: nothing is lost, and a start makes the lock anew";

/// What to do about a store that went away while this process has it open.
fn bring_back(process: u32) -> String {
    format!(
        "if `bursar.db` or `bursar.db-wal` was moved, move it back under its name: bursar goes on by itself. If it was deleted, stop nothing yet, because process \
         {process} still has it: `ls -l /proc/{process}/fd` shows its number; copy both to another folder (`cp /proc/{process}/fd/NUMBER bursar.db`, and the \
         same for `bursar.db-wal`), stop the service, put both copies in place, and start it. Otherwise stop the service and bring `bursar.db` back from \
         the newest backup (see *Backups* in the README)"
    )
}

/// A failed order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable word for scripts, such as `store_held`.
    pub code: String,
    /// What was wrong, where, and what state things are in.
    pub message: String,
    /// What to do next, where we know it.
    pub next: Option<String>,
    /// The process exit code.
    pub exit: u8,
}

impl Failure {
    /// A failure with its code, message and exit code.
    pub fn new(code: &str, message: impl ToString, exit: u8) -> Failure {
        Failure { code: code.to_owned(), message: message.to_string(), next: None, exit }
    }

    /// Whether the store is missing or cannot be read, so that nothing can be told of the coin.
    pub fn is_of_store(&self) -> bool {
        matches!(self.code.as_str(), "store_missing" | "store_malformed" | "store_overwritten" | "store" | "store_too_new")
    }

    /// What was wrong and what to do about it, in one line.
    pub fn in_a_line(&self) -> String {
        match &self.next {
            Some(next) => format!("{}; next: {next}", self.message),
            None => self.message.clone(),
        }
    }

    /// The same with a next step.
    pub fn next(self, step: &str) -> Failure {
        Failure { next: Some(step.to_owned()), ..self }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        match error {
            _ if error.is_busy() => {
                let message =
                    "the store is being written by a longer piece of work, such as an import; nothing of this step was kept";
                Failure::new("store_busy", message, exit::LATER)
                    .next("try again in a second; a payout with the same id is never queued twice")
            }
            _ if error.is_malformed() => Failure::new("store_malformed", error, exit::CONFIG).next(MALFORMED),
            StoreError::Held(_) => Failure::new("store_held", error, exit::HELD)
                .next("a running service takes orders on its control socket; wait for the other command, or stop it"),
            StoreError::Absent(_) => Failure::new("no_store", error, exit::FAILED),
            StoreError::Gone(ref file) => {
                let next = if file.ends_with("lock") { LOCK_GONE.to_owned() } else { bring_back(std::process::id()) };
                Failure::new("store_missing", error, exit::CONFIG).next(&next)
            }
            StoreError::Overwritten(_) | StoreError::OthersLog(_) => {
                Failure::new("store_overwritten", error, exit::CONFIG).next(OVERWRITTEN)
            }
            StoreError::TooNew { .. } => Failure::new("store_too_new", error, exit::CONFIG),
            StoreError::Io { .. } | StoreError::Sqlite(_) => Failure::new("store", error, exit::FAILED).next(
                "see to the free space, the rights and the health of the disk that holds state_dir; then give the order again",
            ),
            StoreError::TooLarge(_) => Failure::new("amounts_too_large", error, exit::FAILED).next(TOO_LARGE),
            StoreError::Damaged(_) => Failure::new("store", error, exit::FAILED).next(DAMAGED),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::new("config", error, exit::CONFIG)
    }
}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Failure {
        if error.is_warming_up() {
            return Failure::new("warming_up", error, exit::LATER).next("the daemon is starting: try again in a minute");
        }
        match &error {
            RpcError::NotConnected { .. } => {
                Failure::new("daemon_unreachable", error, exit::LATER).next("`bursar status` tells whether it runs; `bursar daemon start` or `bursar run` starts it")
            }
            RpcError::Lost { .. } => Failure::new("daemon_no_answer", error, exit::LATER)
                .next("`bursar status` tells whether it answers again; its debug.log tells what it is busy with"),
            RpcError::Http { status: 401, .. } => Failure::new("rpc_password", error, exit::FAILED)
                .next("for a kept daemon `bursar daemon restart`, which gives it bursar's passwords; for an attached one check daemon.rpc_credentials_file"),
            RpcError::Http { status: 403, .. } => Failure::new("daemon", error, exit::FAILED)
                .next("rpcwhitelist or rpcallowip in the daemon's conf forbids it: for a kept daemon `bursar daemon restart`, which gives it the present lists; for an attached one let its owner allow it"),
            RpcError::WrongDaemon { .. } => Failure::new("wrong_daemon", error, exit::FAILED),
            RpcError::WatchOnly { .. } => Failure::new("watch_only_wallet", error, exit::FAILED)
                .next("follow the wallet that has the keys of these addresses, or a descriptor wallet of them, which needs none; or take it off wallet.follow"),
            RpcError::Daemon { code: -13, .. } => Failure::new("wallet_locked", error, exit::LOCKED),
            _ if error.is_transient() => Failure::new("daemon_busy", error, exit::LATER).next("try again in a minute"),
            _ => Failure::new("daemon", error, exit::FAILED),
        }
    }
}

/// By code, because what a `bursar keep` refuses comes as one.
impl From<KeeperError> for Failure {
    fn from(error: KeeperError) -> Failure {
        let (failed, later) = (Failure::new(error.code(), &error, exit::FAILED), Failure::new(error.code(), &error, exit::LATER));
        match error.code() {
            "daemon_still_runs" => later.next(STILL_RUNS),
            "daemon_not_ready" | "keeper_busy" | "keeper_ending" => later,
            "no_keeper" => match &error {
                KeeperError::NoKeeper { coin, .. } => later.next(&format!(
                    "`systemctl start bursar-keep@{coin}`, or `bursar keep --coin {coin}`, then give the order again"
                )),
                _ => later,
            },
            "keeper_held" => {
                Failure { exit: exit::HELD, ..failed }.next("give your orders by `bursar daemon`, or stop the other keeper first")
            }
            "keeper_version" => {
                failed.next("restart the keeper of this coin when its daemon may stop: both then speak the same version")
            }
            "daemon_given_up" => {
                let hopeless = matches!(error, KeeperError::GaveUp { hopeless: true, .. });
                Failure { exit: if hopeless { exit::CONFIG } else { exit::FAILED }, ..failed }.next(
                    "mend that, then start the keeper again: its unit, or `bursar keep`. For a repair, `bursar keep --stopped` takes orders without \
                     a start of the daemon",
                )
            }
            "rpc_access" => failed.next("mend or remove that file: what is missing is made again at the next start, or by `bursar render`"),
            "daemon_program" => Failure { exit: exit::CONFIG, ..failed },
            "other_user" => Failure { exit: exit::CONFIG, ..failed }.next("run it as that user: start the coin's unit, or use `runuser -u`"),
            "daemon_process" => failed.next(
                "see what stands at that path, who may write there and whether the disk has space; what is in the way of a file of bursar's can \
                 be moved aside, then give the order again",
            ),
            _ => failed,
        }
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Failure {
        match error {
            AuditError::Ledger(error) => error.into(),
            AuditError::Rpc(error) => error.into(),
            AuditError::Store(error) => error.into(),
            AuditError::Restless(_) => Failure::new("chain_moving", error, exit::LATER),
            AuditError::Ambiguous { .. } => Failure::new("several_wallets", error, exit::USAGE),
            AuditError::Sum(_) => Failure::new("audit", error, exit::FAILED),
        }
    }
}

impl From<StatementError> for Failure {
    fn from(error: StatementError) -> Failure {
        match error {
            StatementError::Store(error) => error.into(),
            StatementError::Signing(error) => LedgerError::from(error).into(),
            StatementError::Damaged { .. } => Failure::new("ledger_damaged", error, exit::FAILED).next(
                "`bursar ledger verify` reads all of it, and tells by the checkpoints how far it still fits; keep the damaged store, and find out who wrote to it",
            ),
            StatementError::NotYet(_) => Failure::new("not_yet", error, exit::USAGE),
        }
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Failure {
        match error {
            BackupError::Rpc(error) => error.into(),
            BackupError::Store(error) => error.into(),
            BackupError::Ledger(error) => error.into(),
            BackupError::NotConfigured { .. } | BackupError::BadRecipient { .. } => {
                Failure::new("backup_not_configured", error, exit::CONFIG)
            }
            _ => Failure::new("backup", error, exit::FAILED),
        }
    }
}

impl From<RepairError> for Failure {
    fn from(error: RepairError) -> Failure {
        match error {
            RepairError::Rpc(error) => error.into(),
            RepairError::Store(error) => error.into(),
            RepairError::Audit(error) => error.into(),
            RepairError::Keeper(error) => error.into(),
            _ => Failure::new("repair", error, exit::FAILED),
        }
    }
}

impl From<FeedError> for Failure {
    fn from(error: FeedError) -> Failure {
        match error {
            FeedError::Store(error) => error.into(),
            FeedError::GoneBack { .. } => Failure::new("feed_went_back", error, exit::FAILED).next(
                "credit nothing from here: compare what was credited with the events from the first on, by txid and vout, then go on behind them",
            ),
        }
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Failure {
        match error {
            LedgerError::Rpc(error) => error.into(),
            LedgerError::Store(error) => error.into(),
            LedgerError::Restless(_) => Failure::new("chain_moving", error, exit::LATER),
            LedgerError::LostBlocks { .. } => Failure::new("blocks_lost", error, exit::LATER)
                .next("wait until the daemon has the blocks again; payouts stay queued"),
            LedgerError::Damaged(_) => Failure::new("ledger", error, exit::FAILED).next(DAMAGED),
            LedgerError::WrongAccount { .. } => Failure::new("wrong_account", error, exit::USAGE)
                .next("`bursar audit explain` tells what ledger, wallet and chain know of the transaction"),
            LedgerError::Ambiguous { .. } => {
                Failure::new("several_wallets", error, exit::USAGE).next("`bursar status` lists the wallets")
            }
            LedgerError::Unknown { .. } => Failure::new("ledger", error, exit::FAILED)
                .next("`bursar ledger sync`, then once more; if it stays unknown, check the id"),
            LedgerError::NotOpened { .. } => Failure::new("ledger_not_open", error, exit::FAILED).next("`bursar ledger open`"),
            LedgerError::OtherWallet(_) => Failure::new("other_wallet", error, exit::FROZEN).next(
                "find out which wallet the daemon loaded; if it is yours and only its keys changed, `bursar ledger rekeyed` (for a followed one with `--wallet NAME`)",
            ),
            LedgerError::NotExported { .. } => Failure::new("checkpoint_not_exported", error, exit::PARTLY)
                .next("see to the folder (ledger.checkpoints_dir), then `bursar ledger checkpoint`"),
            LedgerError::Signing(_) => Failure::new("signing_key", error, exit::FAILED)
                .next("mend the file, or move it aside: a new key is then made, whose public half everybody has to be told"),
            _ => Failure::new("ledger", error, exit::FAILED),
        }
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Failure {
        match error {
            ExportError::Backwards { .. } => Failure::new("usage", error, exit::USAGE).next("give the smaller number as --from"),
            ExportError::Store(error) => error.into(),
            ExportError::Write(_) => {
                Failure::new("stdout", error, exit::FAILED).next("see to where it is written, then export again")
            }
        }
    }
}

impl From<UnlockError> for Failure {
    fn from(error: UnlockError) -> Failure {
        match (error.code(), error) {
            (_, UnlockError::Rpc(error)) => error.into(),
            (_, UnlockError::Store(error)) => error.into(),
            (code, error) => {
                let failure = Failure::new(code.unwrap_or("wallet_locked"), &error, exit::LOCKED);
                Failure { next: error.next_step().map(str::to_owned), ..failure }
            }
        }
    }
}

impl From<PayoutError> for Failure {
    fn from(error: PayoutError) -> Failure {
        match error {
            PayoutError::Store(error) => error.into(),
            PayoutError::Ledger(error) => error.into(),
            PayoutError::Rpc(error) => error.into(),
            PayoutError::Keeper(error) => error.into(),
            PayoutError::Unlock(error) => error.into(),
            PayoutError::Refused(Refusal::Frozen(_)) => {
                Failure::new("frozen", error, exit::FROZEN).next("`bursar status` lists the causes, each with its next step")
            }
            PayoutError::Refused(Refusal::InDoubt(_)) => {
                Failure::new("in_doubt", error, exit::FROZEN).next("`bursar pay resolve`")
            }
            PayoutError::Refused(Refusal::StoreWentBack(_)) | PayoutError::StoreWentBack(_) => {
                Failure::new("store_went_back", error, exit::FROZEN)
                    .next("`bursar status` lists the transactions, and what to do about them")
            }
            _ => refused_payout(error),
        }
    }
}

const MEND_THE_FILE: &str = "mend it and import the whole file again: rows that are known by then are not queued twice";

/// What a script tells apart when its payout is not taken.
fn refused_payout(error: PayoutError) -> Failure {
    let failed = |code| Failure::new(code, &error, exit::FAILED);
    match &error {
        PayoutError::BadId { .. } => failed("bad_id"),
        PayoutError::BadAmount { .. } => failed("bad_amount"),
        PayoutError::BadAddress { .. } => failed("bad_address"),
        PayoutError::OtherContent { id, .. } => failed("id_taken").next(&format!("`bursar pay show {id}`")),
        PayoutError::Unknown(_) => failed("unknown_payout").next("`bursar pay list` shows those that are known"),
        PayoutError::UnknownBatch(_) => failed("unknown_batch"),
        PayoutError::NotNow { .. } => failed("not_now"),
        PayoutError::File { problems, .. } if problems.iter().any(|problem| problem.is_bad_payee) => failed("bad_file")
            .next(&format!("{MEND_THE_FILE}; --reject-bad-payees queues all but the rows that cannot be paid to")),
        PayoutError::File { .. } | PayoutError::Reading(_) => failed("bad_file").next(MEND_THE_FILE),
        PayoutError::RestartIt { .. } => failed("restart_needed"),
        PayoutError::InDoubt { txid, .. } => failed("in_doubt").next(&format!(
            "`bursar pay resolve` finds out; if somebody paid by hand what the batch was to pay, `bursar ledger explain {txid} --as payout --reason …`"
        )),
        PayoutError::NotBumped { .. } => failed("not_bumped"),
        PayoutError::NotDecided { .. } => {
            failed("not_decided").next("`bursar pay resolve --dry-run` tells what is known and what can be done")
        }
        _ => failed("payout"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_store_says_what_to_keep_and_where_a_whole_one_is() {
        let next = Failure::from(StoreError::Damaged("a row".to_owned())).next.unwrap();
        assert!(["keep the file", "bursar ledger verify", "bursar backup list"].iter().all(|step| next.contains(step)), "{next}");
    }

    #[test]
    fn an_account_that_is_full_is_no_fault_of_the_disk_and_says_what_may_not_be_paid_again() {
        let failure = Failure::from(StoreError::TooLarge("integer overflow".to_owned()));
        let next = failure.next.unwrap();
        assert!(failure.code == "amounts_too_large" && next.contains("submit none of them again"), "{next}");
    }

    #[test]
    fn a_call_that_a_whitelist_forbids_says_who_can_allow_it() {
        let failure = Failure::from(RpcError::Http { method: "listlabels".to_owned(), status: 403, body: String::new() });
        assert!(failure.message.contains("listlabels") && failure.exit == exit::FAILED, "{failure:?}");
        let next = failure.next.unwrap();
        assert!(next.contains("bursar daemon restart") && next.contains("rpcwhitelist"), "{next}");
    }
}
