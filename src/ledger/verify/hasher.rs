//! The thread that takes the hashes, while the next postings are read.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

use sha2::{Digest, Sha256};

use crate::ledger::canonical::Fields;
use crate::store::StoreError;

/// Bytes of postings that are handed over at once: few enough to stay in the processor's own memory.
const BATCH_BYTES: usize = 128 << 10;
/// Batches under way: one is filled, one hashed, one waits.
const BATCHES: usize = 3;

/// Postings to be hashed.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Of each posting: its seq, where its bytes end, and the hash that stands beside it.
    ends: Vec<(u64, usize, String)>,
    /// How many of `ends` are in use: the texts are used again.
    used: usize,
    /// The first whose hash does not fit.
    wrong: Option<u64>,
}

/// Where postings are left to be hashed.
pub(super) struct Hasher {
    batch: Batch,
    full: Sender<Batch>,
    hashed: Receiver<Batch>,
    wrong: Option<u64>,
}

impl Hasher {
    pub(super) fn start<'scope>(scope: &'scope Scope<'scope, '_>) -> Hasher {
        let (full, to_hash) = channel::<Batch>();
        let (done, hashed) = channel();
        for _ in 1..BATCHES {
            // The other end is in this function.
            let _ = done.send(Batch::default());
        }
        scope.spawn(move || {
            for mut batch in to_hash {
                batch.hash();
                if done.send(batch).is_err() {
                    return;
                }
            }
        });
        Hasher { batch: Batch::default(), full, hashed, wrong: None }
    }

    /// Takes one more.
    pub(super) fn take(&mut self, posting: &Fields<'_>, hash: &str) -> Result<(), StoreError> {
        self.batch.add(posting, hash)?;
        if self.batch.bytes.len() >= BATCH_BYTES {
            // The thread ends only after this end is dropped.
            if let Ok(next) = self.hashed.recv() {
                self.wrong = self.wrong.or(next.wrong);
                let _ = self.full.send(std::mem::replace(&mut self.batch, next.emptied()));
            }
        }
        Ok(())
    }

    /// The first posting, of those that were hashed so far, whose hash does not fit.
    pub(super) fn wrong(&self) -> Option<u64> {
        self.wrong
    }

    /// The same of all that were taken.
    pub(super) fn end(self) -> Option<u64> {
        let Hasher { mut batch, full, hashed, wrong } = self;
        drop(full);
        // In the order in which they were taken.
        let wrong = hashed.iter().fold(wrong, |wrong, batch| wrong.or(batch.wrong));
        batch.hash();
        wrong.or(batch.wrong)
    }
}

impl Batch {
    fn add(&mut self, posting: &Fields<'_>, hash: &str) -> Result<(), StoreError> {
        posting.write(&mut self.bytes)?;
        match self.ends.get_mut(self.used) {
            Some((seq, end, expected)) => {
                (*seq, *end) = (posting.seq, self.bytes.len());
                expected.clear();
                expected.push_str(hash);
            }
            None => self.ends.push((posting.seq, self.bytes.len(), hash.to_owned())),
        }
        self.used += 1;
        Ok(())
    }

    fn hash(&mut self) {
        let (mut begin, mut hex_digits) = (0, [0; 64]);
        for (seq, end, expected) in &self.ends[..self.used] {
            let digest = Sha256::digest(&self.bytes[begin..*end]);
            begin = *end;
            let fits = hex::encode_to_slice(digest, &mut hex_digits).is_ok() && hex_digits == expected.as_bytes();
            if !fits {
                self.wrong = Some(*seq);
                return;
            }
        }
    }

    fn emptied(mut self) -> Batch {
        self.bytes.clear();
        (self.used, self.wrong) = (0, None);
        self
    }
}
