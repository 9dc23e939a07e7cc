//! `bursar keep`: the parent of one coin's daemon, a small process of its own.
//!
//! - One loop over one message type; nothing in it waits. What waits has a thread: for the process's exit, the daemon's answer, signals, clients.
//! - [`machine`] decides; this file observes and does.
//! - systemd hears of readiness when RPC answers our own password, and of life only when the daemon was seen to move.
//! - It never sees `service/`, and ends only when the daemon has ended; killed itself, it leaves the daemon running for the next keeper.

mod machine;
mod notify;
mod progress;
mod server;
#[cfg(test)]
mod tests;
mod words;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::files;
use super::parent::{Parent, first_call};
use super::process::await_exit;
use super::protocol::{KeeperOrder, Reply};
use super::rules::{self, Readiness};
use super::{End, KeeperError, Phase, Trouble};
use crate::config::CoinSettings;
use crate::daemon::RpcError;
use machine::{Action, Event, Now, Outcome, Patience, Place, State};
use notify::Notifier;
use progress::Progress;
use server::{Server, Words};

/// How often an idle keeper looks at its daemon's output and progress.
const TICK: Duration = Duration::from_millis(500);
/// Between two calls to a daemon that answers.
const CALM: Duration = Duration::from_secs(1);
/// The same while it starts: small daemons are up in 0.1 s.
const EAGER: Duration = Duration::from_millis(50);

/// What the threads tell the loop.
enum Message {
    /// An order of a client.
    Call(Call),
    /// The process of this run has ended.
    Exited,
    /// The daemon answered a call, or did not.
    Answered { run: u64, answer: Result<(), RpcError> },
    /// SIGTERM or SIGINT.
    Terminate,
}

/// An order, and where its answer goes.
struct Call {
    order: KeeperOrder,
    reply: Sender<Reply>,
}

/// How a keeper begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// Starts the daemon, with further arguments for this start only.
    Start(Vec<String>),
    /// Starts nothing before it is ordered to: for a repair of what cannot be started.
    AwaitOrder,
}

/// Keeps the daemon until SIGTERM or SIGINT, then stops it and ends.
///
/// # Errors
/// When another keeper is at work, and [`KeeperError::GaveUp`] when the daemon never answered.
pub fn keep(coin: &CoinSettings, first: First) -> Result<(), KeeperError> {
    if let First::Start(with) = &first
        && let Some(argument) = rules::reserved_argument(&with.iter().map(String::as_str).collect::<Vec<_>>())
    {
        return Err(words::reserved(coin, argument));
    }
    let (messages, inbox) = channel();
    // Whoever finds the socket may send a signal, so signals come before it.
    hear_signals(&messages)?;
    let parent = Parent::apart(coin)?;
    // Given back when this function ends, after the socket is gone: the next keeper's socket would be removed in its place.
    let _turn = parent.share_turn()?;
    let words = Words::default();
    let server = Server::start(&coin.keeper_socket(), &messages, &words)?;
    let outcome = Keep::new(coin, parent, &messages, words).run(&inbox, first)?;
    server.finish();
    match outcome {
        Outcome::Stopped => Ok(()),
        Outcome::GaveUp { reason, hopeless } => Err(KeeperError::GaveUp { reason, hopeless }),
    }
}

fn hear_signals(messages: &Sender<Message>) -> Result<(), KeeperError> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(files::at("signals".as_ref()))?;
    let messages = messages.clone();
    thread::spawn(move || signals.forever().for_each(|_| drop(messages.send(Message::Terminate))));
    Ok(())
}

/// The loop's own.
struct Keep<'a> {
    coin: &'a CoinSettings,
    parent: Parent,
    state: State,
    began: Instant,
    /// When the process was spawned or found.
    spawned: Instant,
    /// Counts processes, so that a late answer of an earlier one is known.
    run: u64,
    messages: Sender<Message>,
    probe: Probe,
    callers: Vec<(machine::Ticket, Sender<Reply>)>,
    next_ticket: machine::Ticket,
    last_error: Option<RpcError>,
    last_end: Option<LastEnd>,
    /// Whether the last order to stop was by somebody who means to start it again.
    awaits_start: bool,
    progress: Progress,
    notifier: Notifier,
    words: Words,
}

/// How the last start or run ended that nobody asked to end.
enum LastEnd {
    /// There was no process; why. What stands in its output is of an earlier one.
    NotStarted(String),
    /// With this status.
    Ended(String),
}

/// The thread that calls the daemon; at most one call is under way, because an open connection delays the stop of older daemons.
struct Probe {
    orders: Sender<u64>,
    under_way: bool,
    due: Instant,
}

impl Probe {
    fn start(coin: &CoinSettings, messages: &Sender<Message>) -> Probe {
        let (orders, inbox) = channel();
        let (coin, messages) = (coin.clone(), messages.clone());
        thread::spawn(move || {
            for run in inbox {
                if messages.send(Message::Answered { run, answer: first_call(&coin) }).is_err() {
                    return;
                }
            }
        });
        Probe { orders, under_way: false, due: Instant::now() }
    }
}

impl<'a> Keep<'a> {
    fn new(coin: &'a CoinSettings, parent: Parent, messages: &Sender<Message>, words: Words) -> Keep<'a> {
        let seconds = Duration::from_secs;
        let patience = Patience { start: seconds(coin.daemon.start_timeout_s), stop: seconds(coin.daemon.stop_timeout_s) };
        Keep {
            coin,
            parent,
            state: State::new(patience),
            began: Instant::now(),
            spawned: Instant::now(),
            run: 0,
            messages: messages.clone(),
            probe: Probe::start(coin, messages),
            callers: Vec::new(),
            next_ticket: 0,
            last_error: None,
            last_end: None,
            awaits_start: false,
            progress: Progress::new(coin.chain_dir().join("debug.log")),
            notifier: Notifier::default(),
            words,
        }
    }

    fn run(mut self, inbox: &Receiver<Message>, first: First) -> Result<Outcome, KeeperError> {
        let running = self.parent.process().map(|process| process.pid());
        let mut ended = match (running, first) {
            (Some(pid), First::Start(with)) if !with.is_empty() => {
                let problem = "already, without these arguments: stop it first, or start the keeper without them";
                return Err(KeeperError::Runs { pid, problem });
            }
            (Some(_), _) => {
                self.watch_process()?;
                self.happen(Event::Adopted)
            }
            (None, First::Start(extra)) => self.happen(Event::Start { ticket: None, extra }),
            (None, First::AwaitOrder) => {
                // It is up as far as it was asked to be.
                self.state.was_ready = true;
                self.notifier.ready(&self.status_text());
                None
            }
        };
        self.look();
        while ended.is_none() {
            let event = match inbox.recv_timeout(self.patience()) {
                Ok(message) => self.understand(message),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
            };
            ended = event.and_then(|event| self.happen(event));
            ended = ended.or_else(|| self.happen(Event::Tick));
            self.look();
        }
        Ok(ended.unwrap_or(Outcome::Stopped))
    }

    /// How long nothing can be due.
    fn patience(&self) -> Duration {
        let now = Instant::now();
        let probe =
            if self.is_to_be_asked() && !self.probe.under_way { self.probe.due.saturating_duration_since(now) } else { TICK };
        let start = match self.state.place {
            Place::Waiting { until, .. } => until.saturating_sub(self.time()),
            _ => TICK,
        };
        TICK.min(probe).min(start)
    }

    fn time(&self) -> Duration {
        self.began.elapsed()
    }

    fn is_to_be_asked(&self) -> bool {
        matches!(self.state.phase(), Phase::Starting | Phase::Ready | Phase::Unresponsive)
    }

    /// Facts out of a message; none where there is nothing to decide.
    fn understand(&mut self, message: Message) -> Option<Event> {
        match message {
            Message::Call(call) => self.take_order(call),
            Message::Terminate => {
                tracing::info!(coin = self.coin.name, "asked to end: the daemon is stopped first, however long that takes");
                self.notifier.stopping();
                Some(Event::Terminate)
            }
            Message::Exited => self.end_of_process(),
            Message::Answered { run, answer } => {
                self.probe.under_way = false;
                let starting = self.state.phase() == Phase::Starting;
                self.probe.due = Instant::now() + if starting { EAGER } else { CALM };
                (run == self.run).then(|| Event::Answer(self.read(answer)))
            }
        }
    }

    /// While it runs well, an answer that refuses for a moment (a full queue, an error of the call) is an answer.
    fn read(&mut self, answer: Result<(), RpcError>) -> Readiness {
        let starting = self.state.phase() == Phase::Starting;
        let readiness = rules::readiness(answer.as_ref().copied());
        let said_something = matches!(answer, Err(RpcError::Http { .. } | RpcError::Daemon { .. }));
        self.last_error = answer.err();
        if said_something && !starting && readiness != Readiness::NotOurs { Readiness::Ready } else { readiness }
    }

    fn take_order(&mut self, Call { order, reply }: Call) -> Option<Event> {
        let ticket = self.next_ticket;
        let event = match order {
            KeeperOrder::Status => {
                let _ = reply.send(Reply::Done(Box::new(self.report())));
                return None;
            }
            KeeperOrder::TrustWallet => {
                let trusted = self.parent.trust_wallet();
                let _ = reply.send(self.answer(trusted));
                // Looking at the process may have been what noticed its end.
                return self.end_of_process();
            }
            KeeperOrder::Start { extra } => {
                let arguments: Vec<&str> = extra.iter().map(String::as_str).collect();
                if let Some(argument) = rules::reserved_argument(&arguments) {
                    let _ = reply.send(Reply::failed(&words::reserved(self.coin, argument)));
                    return None;
                }
                Event::Start { ticket: Some(ticket), extra }
            }
            KeeperOrder::Stop { kill, for_restart } => {
                self.awaits_start = for_restart;
                Event::Stop { ticket, kill }
            }
        };
        tracing::info!(coin = self.coin.name, "ordered: {event:?}");
        self.next_ticket += 1;
        self.callers.push((ticket, reply));
        Some(event)
    }

    fn end_of_process(&mut self) -> Option<Event> {
        let status = self.parent.take_end()?;
        let end = End::of_run(&status, &self.parent.last_lines(), self.spawned.elapsed());
        if self.state.phase() == Phase::Stopping {
            tracing::info!(coin = self.coin.name, "the daemon has stopped: {status}");
        } else {
            tracing::error!(coin = self.coin.name, "the daemon ended unasked: {status}");
            self.log_failure(self.parent.note_end(&status));
            self.last_end = Some(LastEnd::Ended(status));
        }
        Some(Event::Ended(end))
    }

    /// Decides and acts until nothing more follows from it.
    fn happen(&mut self, event: Event) -> Option<Outcome> {
        let before = self.state.phase();
        let mut ended = None;
        let mut follows = Some(event);
        while let Some(event) = follows.take() {
            let chance = getrandom::u32().map_or(0, |number| number % 1000);
            let now = Now { time: self.time(), chance };
            let (state, actions) = self.state.clone().next(event, now);
            self.state = state;
            for action in actions {
                match action {
                    Action::Spawn { extra } => follows = Some(self.spawn(&extra)),
                    Action::Exit(outcome) => ended = Some(outcome),
                    other => self.act(other),
                }
            }
        }
        self.note_phase(before);
        ended
    }

    fn note_phase(&mut self, before: Phase) {
        let phase = self.state.phase();
        if phase == before {
            return;
        }
        let text = self.state.text(self.time());
        match &self.state.place {
            Place::GaveUp { reason } => {
                tracing::error!(coin = self.coin.name, "the daemon is given up: {reason}");
                self.log_failure(self.parent.note_given_up(reason));
            }
            Place::Unresponsive { .. } | Place::Waiting { .. } => tracing::warn!(coin = self.coin.name, "the daemon {text}"),
            Place::Ready { .. } if before == Phase::Starting => self.parent.note_ready(self.spawned.elapsed()),
            _ => tracing::info!(coin = self.coin.name, "the daemon: {text}"),
        }
    }

    fn spawn(&mut self, extra: &[String]) -> Event {
        let extra: Vec<&str> = extra.iter().map(String::as_str).collect();
        (self.last_error, self.awaits_start) = (None, false);
        let spawned = self.parent.spawn(&extra);
        if self.parent.process().is_none()
            && let Err(error) = &spawned
        {
            tracing::error!(coin = self.coin.name, code = error.code(), "the daemon was not started: {error}");
            self.last_end = Some(LastEnd::NotStarted(error.to_string()));
            let end = End::of_start(error.code(), &error.to_string());
            // A full disk, for one, hinders the making of a password only for a while.
            let passes = end.trouble.is_some_and(Trouble::may_pass);
            let hopeless = matches!(error.code(), "suspect_wallet" | "daemon_program" | "rpc_access") && !passes;
            return Event::NotSpawned { end, hopeless };
        }
        // It runs, though its record could not be written: the next keeper finds it by its lock.
        self.log_failure(spawned);
        let watched = self.watch_process();
        self.log_failure(watched);
        Event::Spawned
    }

    /// Has a thread wait for the exit, so that it is noticed at once.
    fn watch_process(&mut self) -> Result<(), KeeperError> {
        self.run += 1;
        self.spawned = Instant::now();
        self.probe.due = Instant::now();
        self.last_end = None;
        let Some(process) = self.parent.hold() else { return Ok(()) };
        let process = process.map_err(files::at("pidfd".as_ref()))?;
        let messages = self.messages.clone();
        thread::spawn(move || {
            if await_exit(&process).is_ok() {
                let _ = messages.send(Message::Exited);
            }
        });
        Ok(())
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::AskToStop => {
                let asked = self.parent.ask_to_stop();
                self.log_failure(asked.map_err(files::at("SIGTERM".as_ref())));
            }
            Action::Kill => {
                tracing::warn!(coin = self.coin.name, "killing the daemon, as ordered: its patience is over");
                let killed = self.parent.kill_now();
                self.log_failure(killed.map_err(files::at("SIGKILL".as_ref())));
            }
            Action::Confirm { tickets } => {
                let confirmed = self.parent.confirm_stopped();
                self.last_end = None;
                let reply = self.answer(confirmed);
                tickets.into_iter().for_each(|ticket| self.reply(ticket, reply.clone()));
            }
            Action::Done(ticket) => {
                let report = self.report();
                self.reply(ticket, Reply::Done(Box::new(report)));
            }
            Action::Refuse(ticket, why) => {
                let refused = Reply::Failed(self.refusal(&why));
                self.reply(ticket, refused);
            }
            Action::TellReady => {
                self.parent.forward();
                self.notifier.ready(&self.status_text());
            }
            Action::Spawn { .. } | Action::Exit(_) => {}
        }
    }

    fn answer(&self, result: Result<(), KeeperError>) -> Reply {
        match result {
            Ok(()) => Reply::Done(Box::new(self.report())),
            Err(error) => Reply::failed(&error),
        }
    }

    fn reply(&mut self, ticket: machine::Ticket, reply: Reply) {
        if let Some(at) = self.callers.iter().position(|(waiting, _)| *waiting == ticket) {
            // Whoever went away meanwhile takes nothing back.
            let _ = self.callers.swap_remove(at).1.send(reply);
        }
    }

    fn log_failure(&self, result: Result<(), KeeperError>) {
        if let Err(error) = result {
            tracing::error!(coin = self.coin.name, code = error.code(), "{error}");
        }
    }

    /// What time brings: a call that is due, output, progress, and what is told about it.
    fn look(&mut self) {
        if self.is_to_be_asked() && !self.probe.under_way && self.probe.due <= Instant::now() {
            self.probe.under_way = self.probe.orders.send(self.run).is_ok();
        }
        self.parent.forward();
        let text = self.status_text();
        if let Ok(mut words) = self.words.lock() {
            words.clone_from(&text);
        }
        let warming_up = match &self.state.place {
            Place::Starting { busy_with, .. } => busy_with.as_deref(),
            _ => None,
        };
        let answers = matches!(self.state.place, Place::Ready { .. }) && self.last_error.is_none() && !self.probe.under_way;
        let progress = match self.parent.process() {
            Some(process) => self.progress.look(process.pid(), warming_up) || answers,
            // Without a daemon it is this loop that lives.
            None => true,
        };
        let extend = matches!(self.state.phase(), Phase::Starting | Phase::Waiting | Phase::Stopping);
        self.notifier.pulse(&text, progress, extend);
    }
}
