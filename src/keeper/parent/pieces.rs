//! Starting and stopping in pieces that do not wait, for `bursar keep`, whose loop must never stand still.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::Parent;
use crate::coin::Timestamp;
use crate::config::CoinSettings;
use crate::keeper::files::{self, LastEnd, Record};
use crate::keeper::process::Process;
use crate::keeper::{KeeperError, trouble};

impl Parent {
    /// The parent in a process of its own, which must not see `service/`. It holds the turn for life: no other keeper of this coin starts or stops
    /// anything meanwhile.
    pub(in crate::keeper) fn apart(coin: &CoinSettings) -> Result<Parent, KeeperError> {
        files::make_private_dir(&coin.daemon_dir())?;
        files::refuse_another_users(&coin.daemon_dir())?;
        let turn = files::take_turn(coin)?;
        let mut parent = Parent::new(coin);
        parent.refuse_attached("start")?;
        // Spawning reads the last words of what ended before.
        parent.ended = None;
        Ok(Parent { turn: Some(turn), makes_access: false, ..parent })
    }

    /// The turn to start or stop; none: it is held already.
    pub(super) fn turn_to_act(&self) -> Result<Option<File>, KeeperError> {
        if self.turn.is_some() {
            return Ok(None);
        }
        files::make_private_dir(&self.coin.daemon_dir())?;
        files::take_turn(&self.coin).map(Some)
    }

    /// Another hold on the turn: it is given back when all are dropped.
    pub(in crate::keeper) fn share_turn(&self) -> Result<Option<File>, KeeperError> {
        self.turn.as_ref().map(File::try_clone).transpose().map_err(files::at("keeper.lock".as_ref()))
    }

    /// The process, while it was not seen to end.
    pub(in crate::keeper) fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// A hold on the process, for a thread that waits for its exit.
    pub(in crate::keeper) fn hold(&self) -> Option<io::Result<OwnedFd>> {
        self.process.as_ref().map(Process::hold)
    }

    /// Asks it to stop.
    pub(in crate::keeper) fn ask_to_stop(&self) -> io::Result<()> {
        self.process.as_ref().map_or(Ok(()), Process::ask_to_stop)
    }

    /// Kills it, by a person's word.
    pub(in crate::keeper) fn kill_now(&self) -> io::Result<()> {
        self.process.as_ref().map_or(Ok(()), Process::kill)
    }

    /// How it ended, once.
    pub(in crate::keeper) fn take_end(&mut self) -> Option<String> {
        let status = match &self.process {
            Some(process) => process.wait(Duration::ZERO).ok().flatten(),
            None => self.ended.take(),
        }?;
        self.process = None;
        self.output.forward_last(&self.coin.name);
        Some(status)
    }

    /// Writes down an end that nobody ordered: for whoever asks when no keeper runs, and so that a wallet that was swapped is never just started.
    pub(in crate::keeper) fn note_end(&self, status: &str) -> Result<(), KeeperError> {
        let last_lines = self.last_lines();
        match self.suspect_after(&last_lines) {
            Ok(()) | Err(KeeperError::SuspectWallet { .. }) => {}
            Err(error) => return Err(error),
        }
        let last_end = Some(LastEnd { status: status.to_owned(), time_s: Timestamp::now().0, last_lines });
        Record { process: None, last_end, ..Record::read(&self.coin) }.write(&self.coin)
    }

    /// Writes down why it is started no more.
    pub(in crate::keeper) fn note_given_up(&self, reason: &str) -> Result<(), KeeperError> {
        Record { given_up: Some(reason.to_owned()), ..Record::read(&self.coin) }.write(&self.coin)
    }

    /// Gives what the daemon said to our log.
    pub(in crate::keeper) fn forward(&mut self) {
        self.output.forward(&self.coin.name);
    }

    /// Says that it answers, and whether it salvaged its wallet.
    pub(in crate::keeper) fn note_ready(&mut self, waited: Duration) {
        self.report_ready(waited);
    }

    /// What a person is told about an end.
    pub(in crate::keeper) fn ended_error(&self, status: &str) -> KeeperError {
        self.not_started(status, trouble::reason(status, &self.last_lines()))
    }
}
