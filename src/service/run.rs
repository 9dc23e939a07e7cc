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
use super::{Answer, Failure, Order, World, exit, http, schedule};
use crate::keeper::ProcessState;

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
    // Listening comes first: a port that is taken must be known before a daemon is started.
    let listeners = http::listen(&coin, jobs.clone(), metrics.clone()).await?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| Failure::new("signals", error, exit::FAILED))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| Failure::new("signals", error, exit::FAILED))?;
    let mut scheduler = schedule::start(&coin.schedule, jobs.clone()).await?;
    let (ended, mut end) = oneshot::channel();
    let worker = thread::spawn(move || {
        let outcome = Worker { world, queue, metrics, restart: None }.work();
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

/// When a crashed daemon is started again.
struct Restart {
    due: Instant,
    pause: Duration,
}

/// The one thread that owns the store and the daemon.
struct Worker {
    world: World,
    queue: Receiver<Job>,
    metrics: Metrics,
    restart: Option<Restart>,
}

impl Worker {
    fn work(mut self) -> Result<(), Failure> {
        self.world.start()?;
        self.carry_out(&Order::LedgerSync);
        loop {
            match self.queue.recv_timeout(WATCH_INTERVAL) {
                Ok(Job::Placed(order, reply)) => {
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
        self.world.stop()
    }

    /// Carries out an order that nobody waits for: what comes of it goes to the log.
    fn carry_out(&mut self, order: &Order) {
        let answer = self.world.execute(order);
        if let Err(failure) = &answer {
            warn!(code = failure.code, next = failure.next, "{order:?}: {}", failure.message);
        }
        self.metrics.observe(order, &answer, &mut self.world);
    }

    /// Starts a daemon that ended without an order, after a pause that doubles with each failure.
    fn watch(&mut self) {
        let ProcessState::Exited { status, last_lines } = self.world.process() else {
            return;
        };
        let restart = self.restart.get_or_insert_with(|| {
            error!(status, ?last_lines, "the daemon ended without an order");
            Restart { due: Instant::now() + FIRST_PAUSE, pause: FIRST_PAUSE }
        });
        if Instant::now() < restart.due {
            return;
        }
        self.metrics.daemon_restarted();
        match self.world.start() {
            Ok(()) => {
                self.restart = None;
                self.carry_out(&Order::LedgerSync);
            }
            Err(failure) => {
                restart.pause = (restart.pause * 2).min(LONGEST_PAUSE);
                restart.due = Instant::now() + restart.pause;
                error!(code = failure.code, pause_s = restart.pause.as_secs(), "the daemon did not start: {}", failure.message);
            }
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
