//! Whether the daemon moves, seen from outside: its debug.log grows, or it uses the processor.

use std::fs;
use std::path::PathBuf;

use crate::keeper::process;

/// What was seen last.
#[derive(Debug)]
pub(super) struct Progress {
    debug_log: PathBuf,
    seen: Seen,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    log_bytes: Option<u64>,
    cpu_ticks: Option<u64>,
    warming_up: Option<String>,
}

impl Progress {
    pub(super) fn new(debug_log: PathBuf) -> Progress {
        Progress { debug_log, seen: Seen::default() }
    }

    /// Whether anything moved since the last look. A suspended process writes nothing and uses no processor.
    pub(super) fn look(&mut self, pid: u32, warming_up: Option<&str>) -> bool {
        let seen = Seen {
            log_bytes: fs::metadata(&self.debug_log).ok().map(|metadata| metadata.len()),
            cpu_ticks: process::cpu_ticks(pid),
            warming_up: warming_up.map(str::to_owned),
        };
        let moved = seen != self.seen;
        self.seen = seen;
        moved
    }
}
