//! From verbs to orders.

use std::path::{Path, PathBuf};

use super::args::{
    AuditVerb, BackupVerb, DaemonVerb, DocumentFormat, ExportArgs, FileFormat, LedgerFormat, LedgerVerb, ListArgs, PayVerb,
    RepairVerb, StatementArgs, Verb, WishArgs,
};
use super::who::who;
use crate::audit::StatementFormat;
use crate::ledger::checkpoint::CheckpointFile;
use crate::ledger::{ExportFormat, ExportOrder};
use crate::payout::{Decision, Filter, Format, ImportOrder, PersonsWord, Request as Payout, Ruling, Wish};
use crate::service::{Failure, Order, exit};

/// Where standard input is read from.
const STDIN: &str = "/dev/stdin";

/// An order, and what to ask the person first.
pub(super) struct Request {
    pub(super) order: Order,
    pub(super) question: Option<String>,
}

impl From<Order> for Request {
    fn from(order: Order) -> Request {
        Request { order, question: None }
    }
}

impl Request {
    /// The order that a verb means.
    pub(super) fn from_verb(verb: Verb) -> Result<Request, Failure> {
        match verb {
            Verb::Daemon(verb) => Ok(daemon(verb)),
            Verb::Check => Ok(Order::Check.into()),
            Verb::Pay(verb) => pay(verb),
            Verb::Ledger(verb) => ledger(verb),
            Verb::Audit(AuditVerb::Run { deep }) => Ok(Order::AuditRun { deep }.into()),
            Verb::Audit(AuditVerb::Explain { txid, wallet, .. }) => Ok(Order::AuditExplain { txid, wallet }.into()),
            Verb::Audit(AuditVerb::Thaw { id, reason, yes }) => {
                let question = format!("Lift freeze {id}? Payouts may go out again although its cause is not proven gone.");
                Ok(Request::asking(Order::AuditThaw { id, reason, who: who() }, yes, question))
            }
            Verb::Audit(AuditVerb::History { limit }) => Ok(Order::AuditHistory { limit }.into()),
            Verb::Backup(verb) => Ok(backup(verb)?.into()),
            Verb::Repair(verb) => Ok(repair(verb)),
            Verb::Status => Ok(Order::Status.into()),
            // They place no order.
            Verb::Init
            | Verb::Coins { .. }
            | Verb::Render(_)
            | Verb::Install { .. }
            | Verb::Run
            | Verb::Keep { .. }
            | Verb::Token(_)
            | Verb::Completions { .. }
            | Verb::Man => Ok(Order::Status.into()),
        }
    }

    fn asking(order: Order, yes: bool, question: String) -> Request {
        Request { order, question: (!yes).then_some(question) }
    }
}

fn daemon(verb: DaemonVerb) -> Request {
    match verb {
        DaemonVerb::Start { extra } => Order::DaemonStart { extra }.into(),
        DaemonVerb::Stop { kill, yes } => {
            let question = "Kill the daemon if it does not stop in time? It may be writing the wallet.".to_owned();
            Request::asking(Order::DaemonStop { kill }, yes || !kill, question)
        }
        DaemonVerb::Restart { extra } => Order::DaemonRestart { extra }.into(),
        DaemonVerb::Status => Order::DaemonStatus.into(),
    }
}

fn pay(verb: PayVerb) -> Result<Request, Failure> {
    Ok(match verb {
        PayVerb::Submit { id, address, amount, priority } => Order::PaySubmit(Payout { id, address, amount, priority }).into(),
        PayVerb::Import { file, format, reject_bad_payees, dry_run } => {
            let (format, file) = import(&file, format);
            Order::PayImport { how: ImportOrder { format, reject_bad_payees, dry_run }, file }.into()
        }
        PayVerb::List(args) => list(args).into(),
        PayVerb::Show { id } => Order::PayShow { id }.into(),
        PayVerb::Cancel { wish, yes } => {
            let question = match wish.ids.as_slice() {
                [id] => format!("Cancel payout '{id}' for good?"),
                ids => format!("Cancel these {} payouts for good?", ids.len()),
            };
            let yes = yes || wish.dry_run;
            Request::asking(decide(wish, PersonsWord::Cancel), yes, question)
        }
        PayVerb::Hold { wish } => decide(wish, PersonsWord::Hold).into(),
        PayVerb::Release { wish } => decide(wish, PersonsWord::Release).into(),
        PayVerb::Flush { dry_run } => Order::PayFlush { dry_run, scheduled: false }.into(),
        PayVerb::Bump { batch, fee_rate, dry_run, yes } => {
            let question = format!("Replace the transaction of batch {batch} by one with a higher fee?");
            Request::asking(Order::PayBump { batch, fee_rate_per_vb: fee_rate, dry_run }, yes || dry_run, question)
        }
        PayVerb::Resolve { batch: Some(batch), paid_by, reason, dry_run, yes, .. } => {
            let ruling = paid_by.map_or(Ruling::Unpaid, Ruling::PaidBy);
            let question = match ruling {
                Ruling::PaidBy(txid) => format!("Take {txid} as the payment of batch {batch}, for good?"),
                Ruling::Unpaid => format!("Take batch {batch} as unpaid, for good?"),
            };
            let decision = Decision { batch, ruling, who: who(), reason: reason.unwrap_or_default() };
            Request::asking(Order::PayRule { decision, dry_run }, yes || dry_run, question)
        }
        PayVerb::Resolve { dry_run: true, .. } => Order::PayDoubt.into(),
        PayVerb::Resolve { restarted, yes, .. } => {
            let question = "Resolve batches in doubt? A kept daemon may be restarted for it.".to_owned();
            Request::asking(Order::PayResolve { restarted }, yes, question)
        }
    })
}

fn list(args: ListArgs) -> Order {
    let ListArgs { state, batch, address, priority, since, until, after, limit } = args;
    let filter = Filter { state: None, batch, address, priority, submitted_from: since, submitted_before: until, after, limit };
    Order::PayList { filter, states: state }
}

fn decide(wish: WishArgs, word: PersonsWord) -> Order {
    let WishArgs { ids, reason, dry_run } = wish;
    Order::PayDecide { wish: Wish { ids, word, who: who(), reason }, dry_run }
}

fn import(file: &Path, format: Option<FileFormat>) -> (Format, PathBuf) {
    let json_lines = file.extension().is_some_and(|extension| extension == "jsonl" || extension == "ndjson");
    let format = match format {
        Some(FileFormat::Jsonl) => Format::JsonLines,
        None if json_lines => Format::JsonLines,
        Some(FileFormat::Csv) | None => Format::Csv,
    };
    (format, if file == Path::new("-") { PathBuf::from(STDIN) } else { file.to_owned() })
}

fn ledger(verb: LedgerVerb) -> Result<Request, Failure> {
    Ok(match verb {
        LedgerVerb::Open { at, wallet } => Order::LedgerOpen { at, wallet }.into(),
        LedgerVerb::Sync => Order::LedgerSync.into(),
        LedgerVerb::Balance => Order::LedgerBalance.into(),
        LedgerVerb::Entries { after, limit } => Order::LedgerEntries { after, limit }.into(),
        LedgerVerb::Events { after, limit } => Order::LedgerEvents { after, limit }.into(),
        LedgerVerb::Explain { txid, wallet, account, reason } => {
            Order::LedgerExplain { txid, wallet, account, reason, who: who() }.into()
        }
        LedgerVerb::Rekeyed { wallet, reason, yes } => {
            let question = "Follow this wallet on, although its keys are not those that the ledger knows?".to_owned();
            Request::asking(Order::LedgerRekeyed { wallet, reason, who: who() }, yes, question)
        }
        LedgerVerb::Key => Order::LedgerKey.into(),
        LedgerVerb::Checkpoint => Order::LedgerCheckpoint.into(),
        LedgerVerb::Verify { checkpoints, key } => {
            let checkpoints = checkpoints.iter().map(|file| checkpoint(file)).collect::<Result<_, _>>()?;
            Order::LedgerVerify { checkpoints, key }.into()
        }
        LedgerVerb::Statement(args) => args.order().into(),
        // It places no order.
        LedgerVerb::Export(_) => Order::Status.into(),
    })
}

impl StatementArgs {
    /// What the service has to do for it.
    pub(super) fn order(&self) -> Order {
        let format = match self.format {
            DocumentFormat::Text => StatementFormat::Text,
            DocumentFormat::Json => StatementFormat::Json,
            DocumentFormat::Csv => StatementFormat::Csv,
        };
        Order::LedgerStatement { day: self.day, format }
    }
}

impl From<ExportArgs> for ExportOrder {
    fn from(args: ExportArgs) -> ExportOrder {
        let format = match args.format {
            LedgerFormat::Csv => ExportFormat::Csv,
            LedgerFormat::Jsonl => ExportFormat::Jsonl,
            LedgerFormat::Hledger => ExportFormat::Hledger,
            LedgerFormat::Ledger => ExportFormat::Ledger,
        };
        ExportOrder { format, from: args.from, to: args.to }
    }
}

/// Read here, because the service may not see where it lies.
fn checkpoint(file: &Path) -> Result<CheckpointFile, Failure> {
    CheckpointFile::open(file).map_err(|error| {
        Failure::new("bad_checkpoint", format!("{error}; nothing was verified"), exit::FAILED)
            .next("name a checkpoint as it was exported (`ledger.checkpoints_dir` has them), with its .minisig beside it")
    })
}

fn backup(verb: BackupVerb) -> Result<Order, Failure> {
    let absolute = |file: Option<PathBuf>| {
        let absolute = file.map(|path| std::path::absolute(&path)).transpose();
        absolute.map_err(|error| Failure::new("usage", error, exit::USAGE))
    };
    Ok(match verb {
        BackupVerb::Create => Order::BackupCreate,
        BackupVerb::List => Order::BackupList,
        BackupVerb::Verify { archive, identity } => {
            Order::BackupVerify { archive: absolute(archive)?, identity: absolute(identity)? }
        }
        BackupVerb::Drill { archive, identity } => {
            Order::BackupDrill { archive: absolute(archive)?, identity: absolute(identity)? }
        }
    })
}

fn repair(verb: RepairVerb) -> Request {
    match verb {
        RepairVerb::Plan => Order::RepairPlan.into(),
        RepairVerb::History { limit } => Order::RepairHistory { limit }.into(),
        RepairVerb::Run { yes } => {
            let question = "Repair? Payouts freeze, the daemon stops, the wallet is copied and searched for again.";
            Request::asking(Order::RepairRun, yes, question.to_owned())
        }
    }
}
