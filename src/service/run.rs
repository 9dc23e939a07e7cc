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
use super::{Answer, Failure, Order, World, exit, http, pulse, schedule};

/// How often an idle service looks after its daemon.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// First pause before a crashed daemon is started again; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between two starts.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

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
    let progress = Progress::new();
    let mut notifier = Notifier::new(progress.clone());
    let mut ticks = tokio::time::interval(notifier.interval());
    let seen = metrics.clone();
    let worker = thread::spawn(move || {
        let outcome = Worker { world, queue, metrics, progress, started: false, restarts: Restarts::default() }.work();
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
    match outcome {
        Ok(Ok(outcome)) => outcome,
        _ => Err(Failure::new("worker", "the worker thread ended unexpectedly; see the log", exit::FAILED)),
    }
}

/// When a daemon that ended unasked is started again: the pause doubles, until one has run for longer than the longest.
#[derive(Default)]
struct Restarts {
    /// The next one; none: none is planned.
    due: Option<Instant>,
    pause: Duration,
    last: Option<Instant>,
}

impl Restarts {
    fn plan(&mut self, now: Instant) {
        let was_long_ago = self.last.is_none_or(|last| now.duration_since(last) > LONGEST_PAUSE);
        self.pause = if was_long_ago { FIRST_PAUSE } else { (self.pause * 2).min(LONGEST_PAUSE) };
        self.due = Some(now + self.pause);
    }

    fn tried(&mut self, now: Instant) {
        self.due = None;
        self.last = Some(now);
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
    restarts: Restarts,
}

impl Worker {
    fn work(mut self) -> Result<(), Failure> {
        let pulse = pulse::start(self.world.coin(), self.metrics.clone());
        self.progress.enter(Phase::Starting);
        self.first_start()?;
        loop {
            self.progress.enter(Phase::Idle);
            match self.queue.recv_timeout(WATCH_INTERVAL) {
                Ok(Job::Placed(order, reply)) => {
                    self.progress.enter(Phase::Busy(order.name()));
                    let answer = self.world.execute(&order);
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
            self.watch();
        }
        // Whoever comes too late is told at once: the daemon may take minutes to stop.
        drop((self.queue, pulse));
        self.progress.enter(Phase::Stopping);
        if self.world.daemon_lives_apart() {
            return Ok(());
        }
        self.world.stop()
    }

    /// A daemon of our own that does not start is the end of the service, with the reason. One that lives apart may come later: the service waits for it,
    /// takes orders meanwhile, and asks again.
    fn first_start(&mut self) -> Result<(), Failure> {
        match self.world.start() {
            Ok(()) => self.has_started(),
            Err(failure) if !self.world.daemon_lives_apart() || failure.exit == exit::CONFIG => return Err(failure),
            Err(failure) => self.put_off(&failure),
        }
        Ok(())
    }

    fn has_started(&mut self) {
        self.started = true;
        self.carry_out(&Order::LedgerSync);
    }

    fn put_off(&mut self, failure: &Failure) {
        self.restarts.plan(Instant::now());
        let pause_s = self.restarts.pause.as_secs();
        error!(code = failure.code, pause_s, next = failure.next, "the daemon did not start: {}", failure.message);
    }

    /// Carries out an order that nobody waits for: what comes of it goes to the log.
    fn carry_out(&mut self, order: &Order) {
        self.progress.enter(Phase::Busy(order.name()));
        let answer = self.world.execute(order);
        if let Err(failure) = &answer {
            warn!(code = failure.code, next = failure.next, "{order:?}: {}", failure.message);
        }
        self.metrics.observe(order, &answer, &mut self.world);
    }

    /// Starts a daemon that ended without a person's order, after a pause.
    fn watch(&mut self) {
        let now = Instant::now();
        if !self.started {
            if self.restarts.due.is_some_and(|due| due <= now) {
                self.start_again();
            }
            return;
        }
        let Some((status, last_lines)) = self.world.unordered_end() else {
            self.restarts.due = None;
            return;
        };
        match self.restarts.due {
            None => {
                error!(status, ?last_lines, "the daemon ended without an order");
                self.restarts.plan(now);
            }
            Some(due) if due <= now => self.restart(),
            Some(_) => {}
        }
    }

    fn restart(&mut self) {
        self.metrics.daemon_restarted();
        self.start_again();
    }

    fn start_again(&mut self) {
        self.progress.enter(Phase::Starting);
        let started = self.world.start();
        self.restarts.tried(Instant::now());
        match started {
            Ok(()) => self.has_started(),
            Err(failure) => self.put_off(&failure),
        }
    }
}

/// Places an order with the worker and waits for the answer.
pub(super) async fn place(jobs: Sender<Job>, order: Order) -> Result<Answer, Failure> {
    let stopping = || Failure::new("stopping", "the service is stopping; the order was not carried out", exit::LATER);
    let (reply, answer) = oneshot::channel();
    jobs.send(Job::Placed(order, reply)).map_err(|_| stopping())?;
    answer.await.map_err(|_| stopping())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_keeps_crashing_is_started_ever_more_rarely() {
        let mut restarts = Restarts::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..11 {
            restarts.plan(now);
            assert_eq!(restarts.due, Some(now + restarts.pause));
            pauses.push(restarts.pause.as_secs());
            now += restarts.pause;
            restarts.tried(now);
            assert_eq!(restarts.due, None);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        now += LONGEST_PAUSE + Duration::from_secs(1);
        restarts.plan(now);
        assert_eq!(restarts.pause, FIRST_PAUSE, "it ran for long");
    }
}
