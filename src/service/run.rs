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
use super::notify::{Notifier, Phase, Progress};
use super::trigger::Trigger;
use super::{Answer, CheckReport, Failure, Order, World, api, exit, http, pulse, schedule, webhook};
use crate::keeper::{End, Restarts, Verdict};

/// How often an idle service looks after its daemon: a crash is to be noticed within a second.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// How often a daemon that lives apart is looked after, and asked again when it was not there at the beginning.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// How long a person waits for the status of a service that is busy, before the last one is shown.
const STATUS_PATIENCE: Duration = Duration::from_secs(4);

/// The same for a check: monitoring gives up after ten seconds.
const CHECK_PATIENCE: Duration = Duration::from_secs(8);

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
    runtime.block_on(serve(world.serving()))
}

async fn serve(world: World) -> Result<(), Failure> {
    let coin = world.coin().clone();
    let metrics = Metrics::new(&coin, world.store_place())?;
    let (jobs, queue) = channel();
    // Whoever finds the socket may send a signal, so signals come before it.
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| Failure::new("signals", error, exit::FAILED))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| Failure::new("signals", error, exit::FAILED))?;
    // Listening comes before the daemon: a port that is taken must be known before a daemon is started.
    let listeners = http::listen(&coin, world.store_beside()?, jobs.clone(), metrics.clone()).await?;
    let api = api::start(&coin, &world, &jobs, &metrics).await?;
    let mut scheduler = schedule::start(&coin, jobs.clone()).await?;
    let _webhook = webhook::start(&coin, world.store_beside()?, &metrics)?;
    let (ended, mut end) = oneshot::channel();
    let progress = Progress::new();
    let mut notifier = Notifier::new(progress.clone());
    let mut ticks = tokio::time::interval(notifier.interval());
    let seen = metrics.clone();
    let worker = thread::spawn(move || {
        let outcome = Worker {
            world,
            queue,
            metrics,
            progress,
            started: false,
            watch: Watch::new(),
            trigger: Trigger::default(),
            away: None,
        }
        .work();
        let _ = ended.send(());
        outcome
    });
    loop {
        tokio::select! {
            _ = ticks.tick() => { notifier.tell(&seen.wellness()); continue }
            _ = terminate.recv() => info!("SIGTERM: finishing what is under way"),
            _ = interrupt.recv() => info!("SIGINT: finishing what is under way"),
            _ = &mut end => error!("the worker ended"),
        }
        break;
    }
    notifier.stopping();
    if let Err(error) = scheduler.shutdown().await {
        warn!(%error, "the scheduler did not stop");
    }
    let _ = jobs.send(Job::Stop);
    let mut worker = tokio::task::spawn_blocking(move || worker.join());
    let outcome = loop {
        tokio::select! {
            outcome = &mut worker => break outcome,
            _ = ticks.tick() => notifier.still_stopping(&seen.wellness()),
        }
    };
    listeners.close();
    if let Some(api) = api {
        api.abort();
    }
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
    progress: Progress,
    /// Whether daemon and wallet were found, or made, since the service began.
    started: bool,
    watch: Watch,
    trigger: Trigger,
    /// Why a daemon that lives apart was not met yet, as a code; said once.
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

    /// Whether a start is due.
    fn is_due(&self) -> bool {
        matches!(self.plan, Plan::StartAt(due) if due <= Instant::now())
    }
}

impl Worker {
    fn work(mut self) -> Result<(), Failure> {
        let pulse = pulse::start(self.world.coin(), self.world.keeper_beside(), &self.metrics);
        self.progress.enter(Phase::Starting);
        self.first_start()?;
        loop {
            self.progress.enter(Phase::Idle);
            match self.queue.recv_timeout(self.patience()) {
                Ok(Job::Placed(order, reply)) => {
                    self.progress.enter(Phase::Busy(order.name()));
                    self.metrics.begins(&order);
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
            self.flush_if_due();
        }
        // Whoever comes too late is told at once: the daemon may take minutes to stop.
        drop((self.queue, pulse));
        self.progress.enter(Phase::Stopping);
        if self.world.daemon_lives_apart() {
            return Ok(());
        }
        self.world.stop()
    }

    /// How long it may wait for something to do. Of a daemon that lives apart only a start that we owe is ours to make up for.
    fn patience(&self) -> Duration {
        match self.watch.plan {
            Plan::StartAt(due) => due.saturating_duration_since(Instant::now()).min(WATCH_INTERVAL),
            Plan::Nothing if self.started && self.world.daemon_lives_apart() => ASK_AGAIN,
            Plan::Nothing | Plan::AwaitOrder => WATCH_INTERVAL,
        }
    }

    /// A daemon of our own that does not start is the end of the service, with the reason. One that lives apart may come later: the service waits for it,
    /// takes orders meanwhile, and asks again.
    fn first_start(&mut self) -> Result<(), Failure> {
        if self.world.daemon_lives_apart() {
            self.join();
            return Ok(());
        }
        self.world.start()?;
        self.has_started();
        Ok(())
    }

    /// Tries to meet a daemon that lives apart.
    fn join(&mut self) {
        match self.world.join() {
            Ok(()) => self.has_started(),
            Err(failure) => {
                self.watch.plan = Plan::StartAt(Instant::now() + ASK_AGAIN);
                if self.away.as_ref() != Some(&failure.code) {
                    warn!(code = failure.code, next = failure.next, "waiting for the daemon: {}", failure.message);
                }
                self.away = Some(failure.code);
            }
        }
    }

    fn has_started(&mut self) {
        self.started = true;
        self.watch.plan = Plan::Nothing;
        self.watch.up_since = Instant::now();
        self.carry_out(&Order::LedgerSync);
    }

    /// Carries out an order that nobody waits for: what comes of it goes to the log.
    fn carry_out(&mut self, order: &Order) {
        self.progress.enter(Phase::Busy(order.name()));
        self.metrics.begins(order);
        let answer = self.world.execute(order);
        if let Err(failure) = &answer {
            warn!(code = failure.code, next = failure.next, "{order:?}: {}", failure.message);
        }
        self.metrics.observe(order, &answer, &mut self.world);
    }

    /// Sends what is not to wait for the schedule. A queue that cannot be looked at is told by the next order that fails.
    fn flush_if_due(&mut self) {
        let now = Instant::now();
        if !self.started || !self.trigger.looks(now) {
            return;
        }
        let due = self.world.due().unwrap_or(None);
        if let Some(due) = self.trigger.orders(due, now) {
            info!("sending before the schedule's time: {due}");
            self.carry_out(&Order::PayFlush { dry_run: false, scheduled: true });
        }
    }

    /// A person's word about the daemon that was carried out ends all counting of what was before.
    fn begin_anew_after(&mut self, order: &Order, done: bool) {
        let concerns_daemon = matches!(order, Order::DaemonStart { .. } | Order::DaemonStop { .. } | Order::DaemonRestart { .. });
        if done && concerns_daemon {
            self.metrics.daemon_given_up(false);
            self.watch = Watch::new();
        }
    }

    /// Starts a daemon that ended without a person's order, after a pause, unless that has shown to be of no use.
    fn look_after_daemon(&mut self) {
        if !self.started {
            if self.watch.is_due() {
                self.join();
            }
            return;
        }
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
                // The pulse would say so only at its next beat.
                self.metrics.daemon_answers(false);
                self.decide(&end);
            }
            Plan::StartAt(_) if self.watch.is_due() => self.restart(),
            Plan::StartAt(_) | Plan::AwaitOrder => {}
        }
    }

    fn restart(&mut self) {
        self.metrics.daemon_restarted();
        self.progress.enter(Phase::Starting);
        match self.world.start() {
            Ok(()) => self.has_started(),
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

/// Places an order with the worker and waits for the answer. Whoever looks at a service that is busy is told so, and how
/// things were.
pub(super) async fn place(jobs: Sender<Job>, metrics: &Metrics, order: Order) -> Result<Answer, Failure> {
    let stopping = || Failure::new("stopping", "the service is stopping; the order was not carried out", exit::LATER);
    let (reply, mut answer) = oneshot::channel();
    let is_status = order == Order::Status;
    let patience = match order {
        Order::Status => Some(STATUS_PATIENCE),
        Order::Check => Some(CHECK_PATIENCE),
        _ => None,
    };
    jobs.send(Job::Placed(order, reply)).map_err(|_| stopping())?;
    if let Some(patience) = patience {
        match tokio::time::timeout(patience, &mut answer).await {
            Ok(answered) => return answered.map_err(|_| stopping())?,
            Err(_elapsed) if is_status => {
                if let Some(status) = metrics.last_status() {
                    return Ok(Answer::Status(Box::new(status)));
                }
            }
            Err(_elapsed) => return Ok(Answer::Check(CheckReport { checks: vec![metrics.busy()] })),
        }
    }
    answer.await.map_err(|_| stopping())?
}
