//! Commits, told to whoever ends the process there: a simulator.

use std::fmt;

/// A commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Everything is written, and nothing is kept yet.
    Coming,
    /// It is kept, synced.
    Done,
}

/// Told of each commit.
pub(super) struct Watch(Box<dyn FnMut(Commit) + Send>);

impl Watch {
    pub(super) fn new(watch: impl FnMut(Commit) + Send + 'static) -> Watch {
        Watch(Box::new(watch))
    }

    /// Tells the one who watches, if anybody does.
    pub(super) fn tell(watch: &mut Option<Watch>, commit: Commit) {
        if let Some(Watch(watch)) = watch {
            watch(commit);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}
