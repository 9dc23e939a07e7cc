//! Thousands of histories of the state machine, beside a model of the one process that it starts and stops.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::machine::{Action, Event, Now, Outcome, Patience, Place, State, Ticket, Why};
use crate::keeper::rules::Readiness;
use crate::keeper::{End, Phase};

const PATIENCE: Patience = Patience { start: Duration::from_secs(60), stop: Duration::from_secs(60) };

/// What comes from outside.
#[derive(Clone, Debug)]
enum Fact {
    Start(bool),
    Stop(bool),
    Terminate,
    Exits(u8),
    Says(Readiness),
    SpawnFails(bool),
    Pass(u64),
}

fn fact() -> impl Strategy<Value = Fact> {
    let readiness = prop_oneof![
        4 => Just(Readiness::Ready),
        2 => Just(Readiness::Silent),
        1 => Just(Readiness::NotOurs),
        1 => Just(Readiness::WarmingUp("Loading wallet...".to_owned())),
    ];
    prop_oneof![
        4 => any::<bool>().prop_map(Fact::Start),
        3 => any::<bool>().prop_map(Fact::Stop),
        1 => Just(Fact::Terminate),
        4 => any::<u8>().prop_map(Fact::Exits),
        5 => readiness.prop_map(Fact::Says),
        2 => any::<bool>().prop_map(Fact::SpawnFails),
        5 => (0..90u64).prop_map(Fact::Pass),
    ]
}

/// The world around the machine.
struct Model {
    state: Option<State>,
    time: Duration,
    runs: bool,
    asked_to_stop: bool,
    /// Whether a person allowed a kill of this process.
    may_kill: bool,
    /// Whether the next spawn fails, and whether for good.
    spawn_fails: Option<bool>,
    terminated: bool,
    next_ticket: Ticket,
    waiting: BTreeSet<Ticket>,
    outcome: Option<Outcome>,
    was_ready: bool,
}

impl Model {
    fn new() -> Model {
        Model {
            state: Some(State::new(PATIENCE)),
            time: Duration::ZERO,
            runs: false,
            asked_to_stop: false,
            may_kill: false,
            spawn_fails: None,
            terminated: false,
            next_ticket: 0,
            waiting: BTreeSet::new(),
            outcome: None,
            was_ready: false,
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.waiting.insert(self.next_ticket);
        self.next_ticket
    }

    fn phase(&self) -> Phase {
        self.state.as_ref().unwrap().phase()
    }

    fn take(&mut self, fact: Fact) {
        match fact {
            Fact::Start(with) => {
                let extra = if with { vec!["-reindex".to_owned()] } else { vec![] };
                let ticket = Some(self.ticket());
                self.happen(Event::Start { ticket, extra });
            }
            Fact::Stop(kill) => {
                self.may_kill |= kill && self.runs;
                let ticket = self.ticket();
                self.happen(Event::Stop { ticket, kill });
            }
            Fact::Terminate => {
                self.terminated = true;
                self.happen(Event::Terminate);
            }
            Fact::Exits(code) if self.runs => self.exit(&format!("exit code {}", code % 3)),
            Fact::Exits(_) => {}
            Fact::Says(readiness) if self.runs => {
                self.was_ready |= readiness == Readiness::Ready && self.phase() == Phase::Starting;
                self.happen(Event::Answer(readiness));
            }
            Fact::Says(_) => {}
            Fact::SpawnFails(hopeless) => self.spawn_fails = Some(hopeless),
            Fact::Pass(seconds) => {
                self.time += Duration::from_secs(seconds);
                self.happen(Event::Tick);
            }
        }
    }

    fn exit(&mut self, status: &str) {
        self.runs = false;
        self.happen(Event::Ended(End::of_run(status, &["x".to_owned()], Duration::from_secs(1))));
    }

    fn happen(&mut self, event: Event) {
        let mut follows = Some(event);
        while let Some(event) = follows.take() {
            let (state, actions) = self.state.take().unwrap().next(event, Now { time: self.time, chance: 500 });
            self.state = Some(state);
            for action in actions {
                if let Some(event) = self.act(action) {
                    assert!(follows.is_none(), "two things follow at once");
                    follows = Some(event);
                }
            }
        }
        let runs_by_phase = matches!(self.phase(), Phase::Starting | Phase::Ready | Phase::Unresponsive | Phase::Stopping);
        assert_eq!(runs_by_phase, self.runs, "{:?}", self.state);
        assert!(!self.asked_to_stop || !self.runs || self.phase() == Phase::Stopping);
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn { .. } => {
                assert!(!self.runs, "a second daemon");
                assert!(!self.terminated, "a start after SIGTERM");
                if let Some(hopeless) = self.spawn_fails.take() {
                    return Some(Event::NotSpawned { end: End::of_start("daemon_not_started", "port"), hopeless });
                }
                (self.runs, self.asked_to_stop, self.may_kill) = (true, false, false);
                return Some(Event::Spawned);
            }
            Action::AskToStop => {
                assert!(self.runs && !self.asked_to_stop, "asked in vain or twice");
                self.asked_to_stop = true;
            }
            Action::Kill => assert!(self.runs && self.asked_to_stop && self.may_kill, "killed without a person's word"),
            Action::Confirm { tickets } => {
                assert!(!self.runs, "a fence that is none");
                tickets.into_iter().for_each(|ticket| self.answered(ticket));
            }
            Action::Done(ticket) => {
                assert_eq!(self.phase(), Phase::Ready);
                self.answered(ticket);
            }
            Action::Refuse(ticket, why) => {
                assert!(why != Why::Leaving || self.terminated);
                self.answered(ticket);
            }
            Action::TellReady => assert!(self.was_ready),
            Action::Exit(outcome) => {
                assert!(!self.runs, "the keeper leaves a daemon");
                assert!(outcome == Outcome::Stopped || !self.was_ready, "it gives up and goes, though people rely on it");
                self.outcome = Some(outcome);
            }
        }
        None
    }

    fn answered(&mut self, ticket: Ticket) {
        assert!(self.waiting.remove(&ticket), "ticket {ticket} is answered twice");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4096) })]

    #[test]
    fn no_history_starts_two_daemons_kills_unasked_or_leaves_an_order_unanswered(
        facts in prop::collection::vec(fact(), 1..60), adopted in any::<bool>(),
    ) {
        let mut model = Model::new();
        if adopted {
            model.runs = true;
            model.happen(Event::Adopted);
        } else {
            model.happen(Event::Start { ticket: None, extra: vec![] });
        }
        for fact in facts {
            // With the outcome the process ends.
            if model.outcome.is_none() {
                model.take(fact);
            }
        }
        if model.outcome.is_none() {
            // Nothing happens any more but time: whoever waits is told in the end.
            model.take(Fact::Pass(61));
            prop_assert!(model.waiting.is_empty(), "{:?} of {:?}", model.waiting, model.state);
        }
    }
}

fn ready() -> Model {
    let mut model = Model::new();
    model.take(Fact::Start(false));
    model.take(Fact::Says(Readiness::Ready));
    assert_eq!(model.phase(), Phase::Ready);
    model
}

#[test]
fn a_crash_is_followed_by_a_start_and_a_stop_in_the_pause_by_none() {
    let mut model = ready();
    model.exit("ended by signal 9");
    assert_eq!(model.phase(), Phase::Waiting);
    model.take(Fact::Pass(5));
    assert_eq!((model.phase(), model.runs), (Phase::Starting, true));
    model.exit("ended by signal 9");
    model.take(Fact::Stop(false));
    model.take(Fact::Pass(1000));
    assert_eq!(model.phase(), Phase::Stopped);
}

#[test]
fn silence_is_reported_and_nothing_is_killed() {
    let mut model = ready();
    model.take(Fact::Pass(16));
    assert_eq!(model.phase(), Phase::Unresponsive);
    model.take(Fact::Pass(100_000));
    assert_eq!((model.phase(), model.runs, model.asked_to_stop), (Phase::Unresponsive, true, false));
    model.take(Fact::Says(Readiness::Ready));
    assert_eq!(model.phase(), Phase::Ready);
}

#[test]
fn what_never_came_up_ends_the_keeper_and_what_did_is_left_to_a_person() {
    let mut never = Model::new();
    never.take(Fact::SpawnFails(true));
    never.take(Fact::Start(false));
    assert!(matches!(never.outcome, Some(Outcome::GaveUp { hopeless: true, .. })), "{:?}", never.outcome);

    let mut loops = Model::new();
    loops.take(Fact::Start(false));
    while loops.outcome.is_none() {
        loops.exit("exit code 1");
        loops.take(Fact::Pass(300));
    }
    assert!(matches!(loops.outcome, Some(Outcome::GaveUp { hopeless: false, .. })), "{:?}", loops.outcome);

    let mut once = ready();
    let damaged = ["Error: wallet.dat corrupt, salvage failed".to_owned()];
    once.runs = false;
    once.happen(Event::Ended(End::of_run("exit code 1", &damaged, Duration::from_secs(1))));
    assert_eq!((once.phase(), &once.outcome), (Phase::GaveUp, &None));
    once.take(Fact::Start(true));
    assert_eq!(once.phase(), Phase::Starting);
}

#[test]
fn sigterm_waits_for_the_daemon_however_long_and_a_second_one_changes_nothing() {
    let mut model = ready();
    model.take(Fact::Terminate);
    model.take(Fact::Pass(100_000));
    model.take(Fact::Terminate);
    assert_eq!((model.phase(), &model.outcome), (Phase::Stopping, &None));
    model.exit("exit code 0");
    assert_eq!(model.outcome, Some(Outcome::Stopped));
}

#[test]
fn a_stop_that_takes_too_long_is_told_goes_on_and_is_a_kill_by_order_only() {
    let mut model = ready();
    model.take(Fact::Stop(false));
    model.take(Fact::Pass(60));
    assert!(model.waiting.is_empty());
    assert_eq!(model.phase(), Phase::Stopping);
    model.take(Fact::Stop(true));
    model.take(Fact::Pass(0));
    assert!(matches!(model.state.as_ref().unwrap().place, Place::Stopping { killed: true, .. }));
    model.exit("ended by signal 9");
    assert_eq!(model.phase(), Phase::Stopped);
    assert!(model.waiting.is_empty());
}
