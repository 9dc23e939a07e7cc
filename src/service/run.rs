//! `bursar run`: one thread that owns the world, and around it the schedule, the sockets and the signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::metrics::Metrics;
use super::{Answer, Failure, Order, World, exit, http, pulse, schedule};
use crate::keeper::{End, Restarts, Verdict};

/// How often an idle service looks after its daemon: a crash is to be noticed within a second.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Something for the worker to do.
pub(super) enum Job {
    /// An order with somebody waiting for the answer.
    Placed(Order, oneshot::Sender<Result<Answer, Failure>>),
    /// An order of the schedule, and the mark that it waits; cleared when it starts.
    Scheduled(Order, Arc<AtomicBool>),
    /// Finish, stop the daemon, end.
    Stop,
}

/// Runs the service of one coin until SIGTERM or SIGINT, then stops the daemon and ends.
pub fn run(world: World) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new("runtime", error, exit::FAILED))?;
    runtime.block_on(serve(world))
}

async fn serve(world: World) -> Result<(), Failure> {
    let coin = world.coin().clone();
    let metrics = Metrics::new(&coin)?;
    let (jobs, queue) = channel();
    // Whoever finds the socket may send a signal, so signals come before it.
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| Failure::new("signals", error, exit::FAILED))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| Failure::new("signals", error, exit::FAILED))?;
    // Listening comes before the daemon: a port that is taken must be known before a daemon is started.
    let listeners = http::listen(&coin, jobs.clone(), metrics.clone()).await?;
    let mut scheduler = schedule::start(&coin, jobs.clone()).await?;
    let (ended, mut end) = oneshot::channel();
    let worker = thread::spawn(move || {
        let outcome = Worker { world, queue, metrics, watch: Watch::new(), away: None }.work();
        let _ = ended.send(());
        outcome
    });
    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM: finishing what is under way"),
        _ = interrupt.recv() => info!("SIGINT: finishing what is under way"),
        _ = &mut end => error!("the worker ended"),
    }
    if let Err(error) = scheduler.shutdown().await {
        warn!(%error, "the scheduler did not stop");
    }
    let _ = jobs.send(Job::Stop);
    let outcome = tokio::task::spawn_blocking(move || worker.join()).await;
    listeners.close();
    match outcome {
        Ok(Ok(outcome)) => outcome,
        _ => Err(Failure::new("worker", "the worker thread ended unexpectedly; see the log", exit::FAILED)),
    }
}

/// The one thread that owns the store and the daemon.
struct Worker {
    world: World,
    queue: Receiver<Job>,
    metrics: Metrics,
    watch: Watch,
    /// Why the daemon of a keeper apart was not met yet, as a code; said once.
    away: Option<String>,
}

/// What becomes of a daemon that ended unasked.
struct Watch {
    restarts: Restarts,
    /// When the daemon came up last.
    up_since: Instant,
    plan: Plan,
}

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// None: it runs, or is not meant to.
    Nothing,
    /// It is started then.
    StartAt(Instant),
    /// A person has to order it.
    AwaitOrder,
}

impl Watch {
    fn new() -> Watch {
        Watch { restarts: Restarts::default(), up_since: Instant::now(), plan: Plan::Nothing }
    }

    /// How long the worker may wait for something to do.
    fn patience(&self) -> Duration {
        match self.plan {
            Plan::StartAt(due) => due.saturating_duration_since(Instant::now()).min(WATCH_INTERVAL),
            Plan::Nothing | Plan::AwaitOrder => WATCH_INTERVAL,
        }
    }
}

impl Worker {
    fn work(mut self) -> Result<(), Failure> {
        let pulse = pulse::start(self.world.coin(), self.metrics.clone());
        // With a keeper apart, the daemon may be away as long as it likes.
        let mut joined = !self.world.has_separate_keeper();
        if joined {
            self.world.start()?;
        }
        self.watch.up_since = Instant::now();
        if joined {
            self.carry_out(&Order::LedgerSync);
        }
        loop {
            joined = joined || self.join();
            match self.queue.recv_timeout(self.watch.patience()) {
                Ok(Job::Placed(order, reply)) => {
                    let answer = self.world.execute(&order);
                    self.begin_anew_after(&order, answer.is_ok());
                    self.metrics.observe(&order, &answer, &mut self.world);
                    let _ = reply.send(answer);
                }
                Ok(Job::Scheduled(order, waiting)) => {
                    waiting.store(false, Ordering::Release);
                    self.carry_out(&order);
                }
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.look_after_daemon();
        }
        // Whoever comes too late is told at once: the daemon may take minutes to stop.
        drop((self.queue, pulse));
        // What a keeper apart runs is stopped by order only.
        if self.world.has_separate_keeper() { Ok(()) } else { self.world.stop() }
    }

    /// Tries to meet the daemon that a keeper apart runs.
    fn join(&mut self) -> bool {
        match self.world.join() {
            Ok(()) => {
                self.carry_out(&Order::LedgerSync);
                true
            }
            Err(failure) => {
                if self.away.as_ref() != Some(&failure.code) {
                    warn!(code = failure.code, next = failure.next, "waiting for the daemon: {}", failure.message);
                }
                self.away = Some(failure.code);
                false
            }
        }
    }

    /// Carries out an order that nobody waits for: what comes of it goes to the log.
    fn carry_out(&mut self, order: &Order) {
        let answer = self.world.execute(order);
        if let Err(failure) = &answer {
            warn!(code = failure.code, next = failure.next, "{order:?}: {}", failure.message);
        }
        self.metrics.observe(order, &answer, &mut self.world);
    }

    /// A person's word about the daemon that was carried out ends all counting of what was before.
    fn begin_anew_after(&mut self, order: &Order, done: bool) {
        let concerns_daemon = matches!(order, Order::DaemonStart { .. } | Order::DaemonStop { .. } | Order::DaemonRestart { .. });
        if done && concerns_daemon {
            self.watch = Watch::new();
        }
    }

    /// Starts a daemon that ended without a person's order, after a pause, unless that has shown to be of no use.
    fn look_after_daemon(&mut self) {
        let Some((status, last_lines)) = self.world.unordered_end() else {
            if self.watch.plan != Plan::Nothing {
                self.metrics.daemon_given_up(false);
                self.watch = Watch { plan: Plan::Nothing, up_since: Instant::now(), restarts: self.watch.restarts.clone() };
            }
            return;
        };
        match self.watch.plan {
            Plan::Nothing => {
                let end = End::of_run(&status, &last_lines, self.watch.up_since.elapsed());
                error!(status, trouble = end.trouble.map(|it| it.to_string()), ?last_lines, "the daemon ended without an order");
                self.decide(&end);
            }
            Plan::StartAt(due) if due <= Instant::now() => self.restart(),
            Plan::StartAt(_) | Plan::AwaitOrder => {}
        }
    }

    fn restart(&mut self) {
        self.metrics.daemon_restarted();
        match self.world.start() {
            Ok(()) => {
                self.watch.plan = Plan::Nothing;
                self.watch.up_since = Instant::now();
                self.carry_out(&Order::LedgerSync);
            }
            Err(failure) => {
                error!(code = failure.code, "the daemon did not start: {}", failure.message);
                // One that runs and does not answer yet is waited for; it did not end.
                if self.world.unordered_end().is_some() {
                    self.decide(&End::of_start(&failure.code, &failure.message));
                }
            }
        }
    }

    fn decide(&mut self, end: &End) {
        // Without chance all daemons of the host come back at the same moment, no worse.
        let chance = getrandom::u32().map_or(0, |number| number % 1000);
        self.watch.plan = match self.watch.restarts.ended(end, chance) {
            Verdict::Again { after } => {
                info!(pause_ms = after.as_millis() as u64, "the daemon is started again after a pause");
                Plan::StartAt(Instant::now() + after)
            }
            Verdict::GiveUp { reason } => {
                error!("the daemon is given up: {reason}");
                self.metrics.daemon_given_up(true);
                self.world.give_up(&reason);
                Plan::AwaitOrder
            }
        };
    }
}

/// Places an order with the worker and waits for the answer.
pub(super) async fn place(jobs: Sender<Job>, order: Order) -> Result<Answer, Failure> {
    let stopping = || Failure::new("stopping", "the service is stopping; the order was not carried out", exit::LATER);
    let (reply, answer) = oneshot::channel();
    jobs.send(Job::Placed(order, reply)).map_err(|_| stopping())?;
    answer.await.map_err(|_| stopping())?
}
