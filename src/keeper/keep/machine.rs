//! What `bursar keep` does next: one state, one event, one match. Pure: time, chance and every fact are passed in.
//!
//! Times are counted from the start of the keeper.

use std::time::Duration;

use crate::keeper::rules::Readiness;
use crate::keeper::{End, Phase, Restarts, Verdict};

/// A daemon that has not answered for this long is reported: a busy one answers such a call within seconds, and a full queue is an answer too.
const SILENCE: Duration = Duration::from_secs(15);

/// Somebody who waits for the end of an order.
pub(super) type Ticket = u64;

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The first of all: a daemon of an earlier keeper runs.
    Adopted,
    /// It is to run; `ticket`: who asked.
    Start { ticket: Option<Ticket>, extra: Vec<String> },
    /// It is not to run.
    Stop { ticket: Ticket, kill: bool },
    /// The keeper is to end.
    Terminate,
    /// The process runs.
    Spawned,
    /// There is no process. `hopeless`: trying it again cannot help.
    NotSpawned { end: End, hopeless: bool },
    /// The process has ended.
    Ended(End),
    /// What the daemon's RPC said.
    Answer(Readiness),
    /// Time passed.
    Tick,
}

/// What is to be done about it, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Spawn the daemon; the result is the next event.
    Spawn { extra: Vec<String> },
    /// SIGTERM.
    AskToStop,
    /// SIGKILL, by a person's word.
    Kill,
    /// Make sure that nobody works on the folder, write down that it was stopped, and tell those who wait.
    Confirm { tickets: Vec<Ticket> },
    /// Tell that it answers.
    Done(Ticket),
    /// Tell that it will not be done.
    Refuse(Ticket, Why),
    /// Tell systemd that it answers.
    TellReady,
    /// End the keeper: no daemon runs.
    Exit(Outcome),
}

/// Why an order is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It runs without those arguments.
    RunsAlready,
    /// It is finishing after it was asked to stop.
    StillStopping { waited: Duration },
    /// It does not answer.
    NotReady { waited: Duration },
    /// It ended while somebody waited for its start.
    Ended(End),
    /// It could not be spawned.
    NotSpawned(End),
    /// Somebody else's order to stop came first.
    StopOrdered,
    /// The keeper is ending.
    Leaving,
}

/// How the keeper ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As ordered.
    Stopped,
    /// The daemon never answered; `hopeless`: starting it again cannot help.
    GaveUp { reason: String, hopeless: bool },
}

/// Where the daemon is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Stopped,
    /// `ours`: this keeper has spawned it, so that it must know our password.
    Starting {
        since: Duration,
        ours: bool,
        busy_with: Option<String>,
    },
    Ready {
        answered: Duration,
    },
    Unresponsive {
        answered: Duration,
    },
    /// `because`: why we stopped it ourselves.
    Stopping {
        asked: Duration,
        kill: bool,
        killed: bool,
        because: Option<End>,
    },
    Waiting {
        until: Duration,
        why: String,
    },
    GaveUp {
        reason: String,
    },
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Up,
    Down,
}

#[derive(Clone, Debug)]
struct Waiter {
    ticket: Ticket,
    wish: Wish,
    since: Duration,
}

/// Patience, from the settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) start: Duration,
    pub(super) stop: Duration,
}

/// Everything that decides what comes next.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) place: Place,
    /// Whether it ever answered.
    pub(super) was_ready: bool,
    /// Whether the keeper ends when the daemon has.
    pub(super) leaving: bool,
    pub(super) unordered_ends: u64,
    waiters: Vec<Waiter>,
    restarts: Restarts,
    patience: Patience,
}

/// The moment, and chance from 0 to 999.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) time: Duration,
    pub(super) chance: u32,
}

impl State {
    pub(super) fn new(patience: Patience) -> State {
        State {
            place: Place::Stopped,
            was_ready: false,
            leaving: false,
            unordered_ends: 0,
            waiters: Vec::new(),
            restarts: Restarts::default(),
            patience,
        }
    }

    /// The next state, and what to do.
    pub(super) fn next(mut self, event: Event, now: Now) -> (State, Vec<Action>) {
        let time = now.time;
        let place = std::mem::replace(&mut self.place, Place::Stopped);
        let (place, actions) = match (place, event) {
            (Place::Stopped, Event::Adopted) => (starting(time, false), vec![]),

            (place, Event::Start { ticket, extra }) => self.start(place, ticket, extra, time),
            (place, Event::Stop { ticket, kill }) => self.stop(place, ticket, kill, time),
            (place, Event::Terminate) => self.terminate(place, time),

            (Place::Starting { .. }, Event::Spawned) => (starting(time, true), vec![]),
            (Place::Starting { .. }, Event::NotSpawned { end, hopeless }) => {
                let refused = self.refuse(Wish::Up, &Why::NotSpawned(end.clone()));
                self.after(refused, &end, hopeless, now)
            }

            (Place::Stopping { because, .. }, Event::Ended(_)) => self.stopped(because, now),
            (Place::Starting { .. } | Place::Ready { .. } | Place::Unresponsive { .. }, Event::Ended(end)) => {
                self.unordered_ends += 1;
                let refused = self.refuse(Wish::Up, &Why::Ended(end.clone()));
                self.after(refused, &end, false, now)
            }

            (Place::Starting { since, ours, busy_with }, Event::Answer(answer)) => match answer {
                Readiness::Ready => self.ready(time),
                Readiness::WarmingUp(text) => (Place::Starting { since, ours, busy_with: Some(text) }, vec![]),
                Readiness::NotOurs if ours => self.leave_taken_port(time),
                Readiness::NotOurs => {
                    let refused = self.refuse(Wish::Up, &Why::NotReady { waited: time.saturating_sub(since) });
                    (Place::Starting { since, ours, busy_with }, refused)
                }
                Readiness::Silent => (Place::Starting { since, ours, busy_with }, vec![]),
            },
            (Place::Ready { .. } | Place::Unresponsive { .. }, Event::Answer(Readiness::Ready)) => self.ready(time),

            (place, Event::Tick) => self.tick(place, time),
            (place, Event::Adopted | Event::Spawned | Event::NotSpawned { .. } | Event::Ended(_) | Event::Answer(_)) => {
                (place, vec![])
            }
        };
        (State { place, ..self }, actions)
    }

    fn start(&mut self, place: Place, ticket: Option<Ticket>, extra: Vec<String>, time: Duration) -> (Place, Vec<Action>) {
        let refuse = |why| ticket.map(|ticket| Action::Refuse(ticket, why)).into_iter().collect();
        if self.leaving {
            return (place, refuse(Why::Leaving));
        }
        // A person's word ends all counting of what was before.
        self.restarts = Restarts::default();
        match place {
            Place::Stopped | Place::GaveUp { .. } | Place::Waiting { .. } => {
                self.await_end(ticket, Wish::Up, time);
                (starting(time, true), vec![Action::Spawn { extra }])
            }
            Place::Stopping { asked, .. } => {
                let waited = time.saturating_sub(asked);
                (place, refuse(Why::StillStopping { waited }))
            }
            place if !extra.is_empty() => (place, refuse(Why::RunsAlready)),
            Place::Ready { .. } => (place, ticket.map(Action::Done).into_iter().collect()),
            Place::Starting { .. } | Place::Unresponsive { .. } => {
                self.await_end(ticket, Wish::Up, time);
                (place, vec![])
            }
        }
    }

    fn stop(&mut self, place: Place, ticket: Ticket, kill: bool, time: Duration) -> (Place, Vec<Action>) {
        self.restarts = Restarts::default();
        match place {
            Place::Stopped | Place::GaveUp { .. } | Place::Waiting { .. } => {
                (Place::Stopped, vec![Action::Confirm { tickets: vec![ticket] }])
            }
            Place::Starting { .. } | Place::Ready { .. } | Place::Unresponsive { .. } => {
                let mut actions = self.refuse(Wish::Up, &Why::StopOrdered);
                self.await_end(Some(ticket), Wish::Down, time);
                actions.push(Action::AskToStop);
                (Place::Stopping { asked: time, kill, killed: false, because: None }, actions)
            }
            // An order is a person's: what we stopped for a reason of our own is not started again by itself.
            Place::Stopping { asked, kill: already, killed, because: _ } => {
                self.await_end(Some(ticket), Wish::Down, time);
                (Place::Stopping { asked, kill: kill || already, killed, because: None }, vec![])
            }
        }
    }

    fn terminate(&mut self, place: Place, time: Duration) -> (Place, Vec<Action>) {
        self.leaving = true;
        let mut actions = self.refuse(Wish::Up, &Why::Leaving);
        let place = match place {
            Place::Stopped | Place::GaveUp { .. } | Place::Waiting { .. } => {
                actions.push(Action::Exit(Outcome::Stopped));
                Place::Stopped
            }
            Place::Starting { .. } | Place::Ready { .. } | Place::Unresponsive { .. } => {
                actions.push(Action::AskToStop);
                Place::Stopping { asked: time, kill: false, killed: false, because: None }
            }
            stopping @ Place::Stopping { .. } => stopping,
        };
        (place, actions)
    }

    fn ready(&mut self, time: Duration) -> (Place, Vec<Action>) {
        let mut actions: Vec<Action> = self.take(Wish::Up).into_iter().map(|waiter| Action::Done(waiter.ticket)).collect();
        if !self.was_ready {
            self.was_ready = true;
            actions.insert(0, Action::TellReady);
        }
        (Place::Ready { answered: time }, actions)
    }

    /// Our process runs, and somebody else answers on its port: without RPC it is of no use.
    fn leave_taken_port(&mut self, time: Duration) -> (Place, Vec<Action>) {
        let message =
            "another program took its RPC port meanwhile and refuses our password: stop that one, or set another daemon.rpc_port";
        let end = End::of_start("daemon_not_started", message);
        let mut actions = self.refuse(Wish::Up, &Why::NotSpawned(end.clone()));
        actions.push(Action::AskToStop);
        (Place::Stopping { asked: time, kill: false, killed: false, because: Some(end) }, actions)
    }

    /// It has ended after it was asked to.
    fn stopped(&mut self, because: Option<End>, now: Now) -> (Place, Vec<Action>) {
        let tickets = self.take(Wish::Down).into_iter().map(|waiter| waiter.ticket).collect();
        let mut actions = vec![Action::Confirm { tickets }];
        match because {
            _ if self.leaving => {
                actions.push(Action::Exit(Outcome::Stopped));
                (Place::Stopped, actions)
            }
            Some(end) => self.after(actions, &end, false, now),
            None => (Place::Stopped, actions),
        }
    }

    /// It does not run, and nobody ordered that.
    fn after(&mut self, mut actions: Vec<Action>, end: &End, hopeless: bool, now: Now) -> (Place, Vec<Action>) {
        let verdict = self.restarts.ended(end, now.chance);
        let reason = match verdict {
            Verdict::Again { after } if !hopeless => {
                return (Place::Waiting { until: now.time + after, why: end.words() }, actions);
            }
            Verdict::Again { .. } => format!("starting it again cannot help: it {}", end.words()),
            Verdict::GiveUp { reason } => reason,
        };
        if !self.was_ready {
            let hopeless = hopeless || end.trouble.is_some_and(|trouble| !trouble.may_pass());
            actions.push(Action::Exit(Outcome::GaveUp { reason: reason.clone(), hopeless }));
        }
        (Place::GaveUp { reason }, actions)
    }

    fn tick(&mut self, place: Place, time: Duration) -> (Place, Vec<Action>) {
        let mut actions = self.refuse_late(time);
        let place = match place {
            Place::Waiting { until, .. } if time >= until => {
                actions.push(Action::Spawn { extra: vec![] });
                starting(time, true)
            }
            Place::Ready { answered } if time.saturating_sub(answered) > SILENCE => Place::Unresponsive { answered },
            Place::Stopping { asked, kill: true, killed: false, because } if time.saturating_sub(asked) >= self.patience.stop => {
                actions.push(Action::Kill);
                Place::Stopping { asked, kill: true, killed: true, because }
            }
            place => place,
        };
        (place, actions)
    }

    /// Those who waited long enough are told how it stands; what they ordered goes on.
    fn refuse_late(&mut self, time: Duration) -> Vec<Action> {
        let patience = self.patience;
        let is_late = |waiter: &Waiter| {
            let limit = match waiter.wish {
                Wish::Up => patience.start,
                Wish::Down => patience.stop,
            };
            time.saturating_sub(waiter.since) >= limit
        };
        let (late, rest) = std::mem::take(&mut self.waiters).into_iter().partition(is_late);
        self.waiters = rest;
        let refuse = |waiter: Waiter| {
            let waited = time.saturating_sub(waiter.since);
            let why = match waiter.wish {
                Wish::Up => Why::NotReady { waited },
                Wish::Down => Why::StillStopping { waited },
            };
            Action::Refuse(waiter.ticket, why)
        };
        Vec::into_iter(late).map(refuse).collect()
    }

    fn await_end(&mut self, ticket: Option<Ticket>, wish: Wish, since: Duration) {
        self.waiters.extend(ticket.map(|ticket| Waiter { ticket, wish, since }));
    }

    fn take(&mut self, wish: Wish) -> Vec<Waiter> {
        let (taken, rest) = std::mem::take(&mut self.waiters).into_iter().partition(|waiter| waiter.wish == wish);
        self.waiters = rest;
        taken
    }

    fn refuse(&mut self, wish: Wish, why: &Why) -> Vec<Action> {
        self.take(wish).into_iter().map(|waiter| Action::Refuse(waiter.ticket, why.clone())).collect()
    }

    /// The same as callers see it.
    pub(super) fn phase(&self) -> Phase {
        match &self.place {
            Place::Stopped => Phase::Stopped,
            Place::Starting { .. } => Phase::Starting,
            Place::Ready { .. } => Phase::Ready,
            Place::Unresponsive { .. } => Phase::Unresponsive,
            Place::Stopping { .. } => Phase::Stopping,
            Place::Waiting { .. } => Phase::Waiting,
            Place::GaveUp { .. } => Phase::GaveUp,
        }
    }

    /// The same in words for a person.
    pub(super) fn text(&self, time: Duration) -> String {
        let for_s = |since: Duration| time.saturating_sub(since).as_secs();
        match &self.place {
            Place::Stopped => "stopped by order".to_owned(),
            Place::Starting { since, busy_with: Some(text), .. } => format!("starting, {} s: {text}", for_s(*since)),
            Place::Starting { since, .. } => format!("starting, {} s", for_s(*since)),
            Place::Ready { .. } => "answers RPC".to_owned(),
            Place::Unresponsive { answered } => {
                format!("runs and has not answered RPC for {} s; nothing is killed, its debug.log may tell", for_s(*answered))
            }
            Place::Stopping { asked, killed: true, .. } => {
                format!("killed by order, {} s after it was asked to stop", for_s(*asked))
            }
            Place::Stopping { asked, .. } => format!("stopping, {} s", for_s(*asked)),
            Place::Waiting { until, why } => {
                format!("{why}; next try in {} s", until.saturating_sub(time).as_secs())
            }
            Place::GaveUp { reason } => format!("given up: {reason}"),
        }
    }
}

fn starting(since: Duration, ours: bool) -> Place {
    Place::Starting { since, ours, busy_with: None }
}
