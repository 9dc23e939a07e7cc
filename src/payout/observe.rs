//! Where a flush or a resolution is: for narration, and for tests that end the process between any two steps.

use super::batch::BatchId;

/// A step that has just been finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The ledger is in step with the wallet.
    Synced,
    /// The next batch is chosen; nothing is written.
    Planned,
    /// The intent is committed.
    IntentStored(BatchId),
    /// The wallet remembers the mark of a journaled batch; nothing is composed.
    Marked(BatchId),
    /// The transaction of a journaled batch is composed and checked; nothing is signed.
    Composed(BatchId),
    /// It is signed, and nothing of it is stored.
    Signed(BatchId),
    /// The call is made next.
    Calling(BatchId),
    /// The call came back, whatever the answer.
    Answered(BatchId),
    /// A certain refusal is committed.
    RefusalStored(BatchId),
    /// Doubt is committed.
    DoubtStored(BatchId),
    /// The txid is committed; of a journaled batch, its signed bytes with it.
    TxidStored(BatchId),
    /// Raw bytes and the comparison of the outputs are committed.
    OutputsChecked(BatchId),
    /// The transaction was seen in the mempool, or given to it again.
    InMempool(BatchId),
    /// The wallet was looked through for a batch in doubt.
    Looked(BatchId),
    /// The daemon's exit is confirmed and committed.
    Fenced(BatchId),
    /// The daemon runs again.
    Restarted(BatchId),
    /// What became of a batch in doubt is committed.
    Resolved(BatchId),
}

/// Told after each step.
pub trait Observer {
    /// A step was finished.
    fn step(&mut self, step: Step);
}

/// Nobody watches.
impl Observer for () {
    fn step(&mut self, _: Step) {}
}
