//! Orders to `bursar keep` through its socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::files::Record;
use super::protocol::{Call, KeeperOrder, KeeperReport, MAX_LINE_BYTES, Reply, VERSION};
use super::{KeeperError, ProcessState};
use crate::coin::Timestamp;
use crate::config::CoinSettings;
use crate::daemon;

/// A keeper that works on an order says so at least this often; one that is silent for longer is stuck.
const SILENCE: Duration = Duration::from_secs(60);

/// The socket of one coin's keeper.
#[derive(Clone, Debug)]
pub(super) struct Client {
    coin: String,
    socket: PathBuf,
    settings: Box<CoinSettings>,
}

impl Client {
    /// The keeper of this coin, whether or not it runs.
    pub(super) fn new(coin: &CoinSettings) -> Client {
        Client { coin: coin.name.clone(), socket: coin.keeper_socket(), settings: Box::new(coin.clone()) }
    }

    /// Whether a keeper listens there.
    pub(super) fn listens(&self) -> bool {
        UnixStream::connect(&self.socket).is_ok()
    }

    /// Makes the RPC passwords that are missing: the keeper, which must not see them, gives the daemon their hashes at its next start.
    pub(super) fn make_access(&self) -> Result<(), KeeperError> {
        daemon::ensure_access(&self.settings)?;
        Ok(())
    }

    /// Why nothing is known of the daemon, and what the last keeper wrote down about it.
    pub(super) fn with_record(&self, error: &KeeperError) -> String {
        let record = Record::read(&self.settings);
        let ended = record.last_end.map(|end| {
            let last_line = end.last_lines.last().map(|line| format!(": {line}")).unwrap_or_default();
            format!("; its last end that nobody ordered was at {} ({}{last_line})", Timestamp(end.time_s), end.status)
        });
        let given_up = record.given_up.map(|reason| format!("; the last keeper gave up: {reason}"));
        format!("{error}{}{}", ended.unwrap_or_default(), given_up.unwrap_or_default())
    }

    /// Whether the last keeper wrote down that the daemon is left to a person.
    pub(super) fn gave_up(&self) -> bool {
        Record::read(&self.settings).given_up.is_some()
    }

    /// Stops the daemon. Its exit is a fence for money: a report in which it runs is none, whatever the keeper says besides.
    pub(super) fn stop(&self, kill: bool, for_restart: bool) -> Result<(), KeeperError> {
        match self.place(KeeperOrder::Stop { kill, for_restart })?.process {
            ProcessState::Running { pid } => {
                Err(KeeperError::Runs { pid, problem: "though its keeper said that it had stopped" })
            }
            _ => Ok(()),
        }
    }

    /// Places one order and waits for its end.
    pub(super) fn place(&self, order: KeeperOrder) -> Result<KeeperReport, KeeperError> {
        let lost = |reason: String| KeeperError::NoKeeper { coin: self.coin.clone(), socket: self.socket.clone(), reason };
        let stream = UnixStream::connect(&self.socket).map_err(|error| lost(error.to_string()))?;
        let answer = self.converse(stream, &order).map_err(|error| lost(error.to_string()))?;
        match answer {
            Reply::Done(report) => Ok(*report),
            Reply::Failed(refusal) => Err(KeeperError::Refused { code: refusal.code, message: refusal.message }),
            Reply::Progress(_) => Err(lost("it ended in the middle of its answer".to_owned())),
        }
    }

    /// One call; returns the last line of the answer.
    fn converse(&self, mut stream: UnixStream, order: &KeeperOrder) -> std::io::Result<Reply> {
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        let mut call = serde_json::to_vec(&Call { protocol: VERSION, order: order.clone() })?;
        call.push(b'\n');
        // A keeper that is too busy refuses and hangs up without reading: its words are there all the same.
        let written = stream.write_all(&call);
        let mut lines = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if lines.by_ref().take(MAX_LINE_BYTES).read_line(&mut line)? == 0 {
                written?;
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            match serde_json::from_str(&line)? {
                Reply::Progress(text) => tracing::info!(coin = self.coin, "the keeper: {text}"),
                end => return Ok(end),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::keeper::Phase;
    use std::os::unix::net::UnixListener;
    use std::thread;

    /// A STAND-IN for a `bursar keep` that errs, or dies in the middle: it hears one order and says these lines.
    fn told(lines: &[Reply]) -> Result<(), KeeperError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bursar.toml");
        let text = "[coins.ltc]\nprofile = 'litecoin'\nchain = 'regtest'\nstate_dir = 's'\n[coins.ltc.wallet]\nname = 'hot'\n";
        std::fs::write(&file, text).unwrap();
        let coin = Settings::load(&file).unwrap().coins["ltc"].clone();
        std::fs::create_dir_all(coin.daemon_dir()).unwrap();
        let listener = UnixListener::bind(coin.keeper_socket()).unwrap();
        let lines: Vec<String> = lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
        let keeper = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut String::new()).unwrap();
            stream.write_all(lines.concat().as_bytes()).unwrap();
        });
        let stopped = Client::new(&coin).stop(false, true);
        keeper.join().unwrap();
        stopped
    }

    fn done(process: ProcessState) -> Reply {
        Reply::Done(Box::new(KeeperReport {
            process,
            phase: Phase::Stopped,
            text: String::new(),
            run: None,
            unordered_ends: 0,
            awaits_start: false,
            last_lines: vec![],
            salvaged: None,
            version: String::new(),
        }))
    }

    #[test]
    fn nothing_but_a_confirmed_exit_is_taken_for_one() {
        let progress = || Reply::Progress("stopping, 10 s".to_owned());
        assert!(matches!(told(&[]), Err(KeeperError::NoKeeper { .. })));
        assert!(matches!(told(&[progress()]), Err(KeeperError::NoKeeper { .. })));
        assert!(matches!(told(&[done(ProcessState::Running { pid: 7 })]), Err(KeeperError::Runs { pid: 7, .. })));
        let refused = Reply::failed(&KeeperError::Attached("stop"));
        assert!(matches!(told(&[progress(), refused]), Err(KeeperError::Refused { .. })));
        told(&[progress(), done(ProcessState::Stopped)]).unwrap();
    }

    #[test]
    fn an_older_keeper_and_an_older_service_understand_each_other() {
        let old: KeeperOrder = serde_json::from_str(r#"{"stop":{"kill":false}}"#).unwrap();
        assert_eq!(old, KeeperOrder::Stop { kill: false, for_restart: false });
        let Reply::Done(report) = done(ProcessState::Stopped) else { panic!("a report") };
        let mut report = serde_json::to_value(report).unwrap();
        report.as_object_mut().unwrap().remove("awaits_start");
        assert!(!serde_json::from_value::<KeeperReport>(report).unwrap().awaits_start);
    }
}
