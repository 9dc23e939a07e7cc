//! The schedule of faults: which kind strikes which trial, where and when, all from one seed.

use std::time::Duration;

use crate::support::{Fault, Generation};
use bursar::config::Method;

/// Numbers from a seed (splitmix64): the same seed is the same schedule.
pub(crate) struct Chance(u64);

impl Chance {
    /// From a seed and what tells this use of it from others.
    pub(crate) fn of(seed: u64, purpose: u64) -> Chance {
        let mut chance = Chance(seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// From `least` to below `limit`, in milliseconds.
    fn ms(&mut self, least: u64, limit: u64) -> Duration {
        Duration::from_millis(least + self.below(limit - least))
    }

    fn one_of<T: Clone>(&mut self, these: &[T]) -> T {
        these[usize::try_from(self.below(these.len() as u64)).unwrap_or(0)].clone()
    }

    fn shuffle<T>(&mut self, these: &mut [T]) {
        for at in (1..these.len()).rev() {
            these.swap(at, usize::try_from(self.below(at as u64 + 1)).unwrap_or(0));
        }
    }
}

/// Who carries out the flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// `bursar pay flush`, which opens the store itself.
    Program,
    /// `bursar run`, which is ordered to by `bursar pay flush`; when it dies it is started anew.
    Service,
    /// A process of ours that uses the library as `bursar` does, and can die at a step or lose patience with the daemon.
    Library,
}

/// Where in an order it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// At one of its calls to the daemon, of a thousand.
    Call(u64),
    /// At the call that pays.
    Paying,
    /// Some time after its start.
    Moment(Duration),
    /// After so many steps of a [`Runner::Library`].
    Step(usize),
}

/// What is done to the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Nothing,
    KillBursar,
    KillDaemon,
    KillBoth,
    /// The daemon is asked to end (SIGTERM).
    EndDaemon,
    /// SIGSTOP, and SIGCONT after this.
    SuspendDaemon(Duration),
    /// SIGSTOP, and SIGCONT after this; the daemon dies meanwhile.
    SuspendBursarAndKillDaemon(Duration),
}

/// One strike at one order.
#[derive(Clone, Debug)]
pub(crate) struct Strike {
    pub(crate) at: At,
    /// When the daemon has answered that call, rather than before it gets it.
    pub(crate) answered: bool,
    /// So long after that moment.
    pub(crate) after: Duration,
    pub(crate) act: Act,
    /// What happens to the call itself.
    pub(crate) fault: Fault,
}

/// What else happens, and no single call is to blame for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// The daemon's wallet names a txid and broadcasts nothing.
    NothingBroadcast,
    /// Once sent, the mempool forgets everything, and the wallet does not give it again.
    MempoolEmptied,
    /// Once in blocks, so many of these leave the active chain.
    Reorg(u64),
    /// Once in blocks, the daemon dies before so many of these are on disk.
    BlocksLost(u64),
    /// A second `bursar pay flush` at the same moment.
    TwoFlushes,
    /// The daemon is restarted between flush and the rest.
    Restart,
}

/// What one trial does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) runner: Runner,
    pub(crate) payouts: u32,
    pub(crate) weather: Weather,
    /// How often flush and resolution are tried under these strikes.
    pub(crate) rounds: u32,
    pub(crate) flush: Option<Strike>,
    pub(crate) resolve: Option<Strike>,
    pub(crate) settle: Option<Strike>,
}

/// Few payouts, or so many that the paying call takes some time.
const FEW: u32 = 6;
const MANY: u32 = 120;
/// Patience of a [`Runner::Library`] with the daemon.
pub(crate) const SHORT_DEADLINE: Duration = Duration::from_millis(1000);

impl Plan {
    fn of(flush: Strike) -> Plan {
        Plan { flush: Some(flush), ..Plan::fair() }
    }

    /// Nothing goes wrong.
    pub(crate) fn fair() -> Plan {
        Plan {
            runner: Runner::Program,
            payouts: FEW,
            weather: Weather::Fair,
            rounds: 1,
            flush: None,
            resolve: None,
            settle: None,
        }
    }

    fn weather(weather: Weather) -> Plan {
        Plan { weather, ..Plan::fair() }
    }

    fn by(self, runner: Runner) -> Plan {
        Plan { runner, ..self }
    }

    fn many(self) -> Plan {
        Plan { payouts: MANY, ..self }
    }
}

impl Strike {
    fn act(at: At, act: Act) -> Strike {
        Strike { at, answered: false, after: Duration::ZERO, act, fault: Fault::Pass }
    }

    fn fault(at: At, fault: Fault) -> Strike {
        Strike { fault, ..Strike::act(at, Act::Nothing) }
    }

    fn answered(self, answered: bool) -> Strike {
        Strike { answered, ..self }
    }

    fn after(self, after: Duration) -> Strike {
        Strike { after, ..self }
    }
}

fn any_call(chance: &mut Chance) -> At {
    At::Call(chance.below(1000))
}

/// Somewhere in the paying call of many payouts, or just after it.
fn in_the_call(chance: &mut Chance) -> Duration {
    Duration::from_micros(chance.below(60_000))
}

fn half(chance: &mut Chance) -> bool {
    chance.below(2) == 0
}

/// What loses an answer, or the call with it.
fn any_loss(chance: &mut Chance) -> Fault {
    let length = usize::try_from(chance.below(200)).unwrap_or(0);
    chance.one_of(&[Fault::DropCall, Fault::DropReply, Fault::TruncateReply(length)])
}

/// A kind of fault: its name, and the plan that chance makes of it.
pub(crate) type Kind = (&'static str, fn(&mut Chance) -> Plan);

/// All of them.
pub(crate) const KINDS: &[Kind] = &[
    ("bursar killed at a moment", |c| Plan::of(Strike::act(At::Moment(c.ms(5, 400)), Act::KillBursar))),
    ("bursar killed at a call", |c| {
        let answered = half(c);
        Plan::of(Strike::act(any_call(c), Act::KillBursar).answered(answered))
    }),
    ("bursar killed as it pays", |c| {
        let fault = c.one_of(&[Fault::Pass, Fault::DropCall]);
        Plan::of(Strike { fault, ..Strike::act(At::Paying, Act::KillBursar) })
    }),
    ("bursar killed when paid", |_| Plan::of(Strike::act(At::Paying, Act::KillBursar).answered(true))),
    ("bursar killed at a step", |c| {
        let step = usize::try_from(c.below(9)).unwrap_or(0);
        Plan::of(Strike::act(At::Step(step), Act::KillBursar)).by(Runner::Library)
    }),
    ("service killed at a call", |c| {
        let answered = half(c);
        Plan::of(Strike::act(any_call(c), Act::KillBursar).answered(answered)).by(Runner::Service)
    }),
    ("service killed as it pays", |c| {
        let answered = half(c);
        Plan::of(Strike::act(At::Paying, Act::KillBursar).answered(answered)).by(Runner::Service)
    }),
    ("daemon killed in the paying call", |c| Plan::of(Strike::act(At::Paying, Act::KillDaemon).after(in_the_call(c))).many()),
    ("daemon killed when paid", |_| Plan::of(Strike::act(At::Paying, Act::KillDaemon).answered(true))),
    ("daemon killed at a call", |c| {
        let answered = half(c);
        Plan::of(Strike::act(any_call(c), Act::KillDaemon).answered(answered))
    }),
    ("daemon ended in the paying call", |c| Plan::of(Strike::act(At::Paying, Act::EndDaemon).after(in_the_call(c))).many()),
    ("daemon of a service killed in the paying call", |c| {
        Plan::of(Strike::act(At::Paying, Act::KillDaemon).after(in_the_call(c))).many().by(Runner::Service)
    }),
    ("both killed in the paying call", |c| Plan::of(Strike::act(At::Paying, Act::KillBoth).after(in_the_call(c))).many()),
    ("both killed when paid", |_| Plan::of(Strike::act(At::Paying, Act::KillBoth).answered(true))),
    ("daemon suspended across our timeout", |c| {
        let pause = SHORT_DEADLINE + c.ms(100, 1500);
        Plan::of(Strike::act(At::Paying, Act::SuspendDaemon(pause))).by(Runner::Library)
    }),
    ("bursar suspended while the daemon dies", |c| {
        let (pause, answered) = (c.ms(50, 500), half(c));
        Plan::of(Strike::act(any_call(c), Act::SuspendBursarAndKillDaemon(pause)).answered(answered))
    }),
    ("paying call dropped", |_| Plan::of(Strike::fault(At::Paying, Fault::DropCall))),
    ("paying call dropped three times", |_| Plan { rounds: 3, ..Plan::of(Strike::fault(At::Paying, Fault::DropCall)) }),
    ("paying reply dropped", |_| Plan::of(Strike::fault(At::Paying, Fault::DropReply))),
    ("paying reply truncated", |c| {
        let length = usize::try_from(c.below(250)).unwrap_or(0);
        Plan::of(Strike::fault(At::Paying, Fault::TruncateReply(length)))
    }),
    ("paying reply delayed", |c| Plan::of(Strike::fault(At::Paying, Fault::DelayReply(c.ms(20, 300))))),
    ("paying reply later than our timeout", |c| {
        Plan::of(Strike::fault(At::Paying, Fault::DelayReply(SHORT_DEADLINE + c.ms(100, 800)))).by(Runner::Library)
    }),
    ("late copy before the fence", |c| Plan::of(Strike::fault(At::Paying, Fault::LateCopy(c.ms(1, 150))))),
    ("late copy around the fence", |c| Plan::of(Strike::fault(At::Paying, Fault::LateCopy(c.ms(150, 1200))))),
    ("late copy after the fence", |c| Plan::of(Strike::fault(At::Paying, Fault::LateCopy(c.ms(1200, 6000))))),
    ("work queue full as it pays", |c| Plan {
        rounds: 1 + u32::from(half(c)),
        ..Plan::of(Strike::fault(At::Paying, Fault::queue_full()))
    }),
    ("answer lost at a call", |c| {
        let loss = any_loss(c);
        Plan::of(Strike::fault(any_call(c), loss))
    }),
    ("work queue full at a call", |c| Plan::of(Strike::fault(any_call(c), Fault::queue_full()))),
    ("paying answer lost, daemon killed as we look", |c| {
        let (loss, answered) = (any_loss(c), half(c));
        let resolve = Strike::act(any_call(c), Act::KillDaemon).answered(answered);
        Plan { resolve: Some(resolve), ..Plan::of(Strike::fault(At::Paying, loss)) }
    }),
    ("paying answer lost, bursar killed as it looks", |c| {
        let (loss, answered) = (any_loss(c), half(c));
        let resolve = Strike::act(any_call(c), Act::KillBursar).answered(answered);
        Plan { resolve: Some(resolve), ..Plan::of(Strike::fault(At::Paying, loss)) }
    }),
    ("paying call dropped, bursar killed at a step of the look", |c| {
        let step = usize::try_from(c.below(6)).unwrap_or(0);
        let resolve = Strike::act(At::Step(step), Act::KillBursar);
        Plan { resolve: Some(resolve), ..Plan::of(Strike::fault(At::Paying, Fault::DropCall)) }
    }),
    ("late copy, bursar killed as it looks", |c| {
        let resolve = Strike::act(At::Moment(c.ms(20, 900)), Act::KillBursar);
        Plan { resolve: Some(resolve), ..Plan::of(Strike::fault(At::Paying, Fault::LateCopy(c.ms(100, 2500)))) }
    }),
    ("paying answer lost, answers lost as we look", |c| {
        let (loss, second) = (any_loss(c), any_loss(c));
        Plan { resolve: Some(Strike::fault(any_call(c), second)), ..Plan::of(Strike::fault(At::Paying, loss)) }
    }),
    ("bursar killed as it settles", |c| {
        let answered = half(c);
        Plan { settle: Some(Strike::act(any_call(c), Act::KillBursar).answered(answered)), ..Plan::fair() }
    }),
    ("daemon killed as we settle", |c| {
        let answered = half(c);
        Plan { settle: Some(Strike::act(any_call(c), Act::KillDaemon).answered(answered)), ..Plan::fair() }
    }),
    ("nothing broadcast", |_| Plan::weather(Weather::NothingBroadcast)),
    ("mempool emptied", |_| Plan::weather(Weather::MempoolEmptied)),
    ("reorg", |c| Plan::weather(Weather::Reorg(1 + c.below(4)))),
    ("blocks lost", |c| Plan::weather(Weather::BlocksLost(1 + c.below(4)))),
    ("two flushes at once", |_| Plan::weather(Weather::TwoFlushes)),
    ("paying reply dropped, daemon restarted", |_| Plan {
        weather: Weather::Restart,
        ..Plan::of(Strike::fault(At::Paying, Fault::DropReply))
    }),
];

/// One trial, still to be made.
#[derive(Clone)]
pub(crate) struct Trial {
    pub(crate) number: usize,
    pub(crate) kind: &'static str,
    pub(crate) plan: Plan,
}

/// The trials of one world.
pub(crate) struct Sitting {
    pub(crate) generation: Generation,
    pub(crate) method: Method,
    pub(crate) trials: Vec<Trial>,
}

/// Trials of one world at most: a regtest litecoin 0.21 is not mined past height 430, and the last blocks are kept for the count.
const TRIALS_PER_WORLD: usize = 20;

/// Spreads the trials evenly over generations and methods; each of these pairs goes through the kinds in an order of its own.
pub(crate) fn sittings(trials: usize, methods: &[Method], seed: u64) -> Vec<Sitting> {
    let pairs: Vec<(Generation, Method)> =
        methods.iter().flat_map(|method| Generation::ALL.map(|generation| (generation, *method))).collect();
    let mut sittings = Vec::new();
    for (at, (generation, method)) in pairs.iter().enumerate() {
        let mut kinds: Vec<&Kind> = KINDS.iter().collect();
        Chance::of(seed, at as u64).shuffle(&mut kinds);
        let numbers: Vec<usize> = (at..trials).step_by(pairs.len()).collect();
        // Equal parts, none above the limit.
        let parts = numbers.len().div_ceil(TRIALS_PER_WORLD).max(1);
        for part in numbers.chunks(numbers.len().div_ceil(parts).max(1)) {
            let made = part.iter().map(|number| {
                let (kind, plan) = kinds[number / pairs.len() % kinds.len()];
                Trial { number: *number, kind, plan: plan(&mut Chance::of(seed, 1_000 + *number as u64)) }
            });
            sittings.push(Sitting { generation: *generation, method: *method, trials: made.collect() });
        }
    }
    sittings
}
