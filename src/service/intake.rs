//! The one thread that takes submissions and a person's decisions from the HTTP API: what waits is written together, in one synced commit, and answered
//! only then. It has a connection to the store of its own, so that nobody waits for a flush, a backup or a drill.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::warn;

use super::{Failure, exit};
use crate::coin::Timestamp;
use crate::config::CoinSettings;
use crate::daemon::{Limits, RpcWallet, Wallet};
use crate::payout::{self, Payout, PayoutError, PayoutId, PersonsWord, Request, Submitted};
use crate::store::Store;

/// Letters that may wait. More clients than the API lets in at once cannot fill it; it is a bound, not a queue.
const WAITING_LETTERS: usize = 1024;
/// Requests of one commit at most, beyond which one letter is too much: it bounds how long the first of them waits for the last.
const GROUP_REQUESTS: usize = 1000;
/// How long a commit waits for another connection's, such as the end of an import of very many rows, before callers are asked to try again: they wait for an
/// answer, and many give up after half a minute.
const STORE_PATIENCE: Duration = Duration::from_secs(10);
/// How long the daemon may take for the addresses of one group. Unasked ones are asked about before sending.
const DAEMON_PATIENCE: Duration = Duration::from_secs(3);
/// How long a daemon that gave no answer is not asked again: submissions must not wait for it time after time.
const LEFT_ALONE: Duration = Duration::from_secs(15);

/// What became of each request of a letter, in order; or why none was looked at.
pub(super) type Replies = Result<Vec<Result<Submitted, PayoutError>>, Failure>;

/// Something for the thread to do.
enum Letter {
    Submit(Vec<Request>, oneshot::Sender<Replies>),
    Decide(Decision),
}

/// A person's word about a payout.
struct Decision {
    payout: PayoutId,
    word: PersonsWord,
    reason: String,
    reply: oneshot::Sender<Result<Payout, PayoutError>>,
}

/// The way to that thread; it ends with the last of these.
#[derive(Clone)]
pub(super) struct Intake(SyncSender<Letter>);

impl Intake {
    /// Starts the thread on a store of its own.
    pub(super) fn start(coin: &CoinSettings, store: Store) -> Result<Intake, Failure> {
        store.wait_at_most(STORE_PATIENCE)?;
        let (sender, letters) = sync_channel(WAITING_LETTERS);
        let clerk = Clerk { coin: coin.clone(), store, letters, wallet: None, away_since: None };
        thread::spawn(move || clerk.work());
        Ok(Intake(sender))
    }

    /// Has payouts queued, each answered alone. When this returns, what it says is on disk.
    pub(super) async fn submit(&self, requests: Vec<Request>) -> Replies {
        if requests.is_empty() {
            return Ok(vec![]);
        }
        let (reply, answer) = oneshot::channel();
        self.post(Letter::Submit(requests, reply))?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Carries out a person's word about a payout that was not sent.
    pub(super) async fn decide(&self, payout: PayoutId, word: PersonsWord, reason: String) -> Result<Payout, Failure> {
        let (reply, answer) = oneshot::channel();
        self.post(Letter::Decide(Decision { payout, word, reason, reply }))?;
        Ok(answer.await.map_err(|_| ended())??)
    }

    fn post(&self, letter: Letter) -> Result<(), Failure> {
        self.0.try_send(letter).map_err(|error| match error {
            TrySendError::Full(_) => {
                let message = "more requests wait than can be taken at once; this one was not looked at and nothing was queued";
                Failure::new("too_busy", message, exit::LATER).next("try again in a second, with the same ids")
            }
            TrySendError::Disconnected(_) => ended(),
        })
    }
}

fn ended() -> Failure {
    let message = "the service is ending, or failed; whether this was carried out is unknown";
    Failure::new("stopping", message, exit::LATER).next("ask again with the same ids: the same request is never queued twice")
}

struct Clerk {
    coin: CoinSettings,
    store: Store,
    letters: Receiver<Letter>,
    wallet: Option<RpcWallet>,
    /// Since when the daemon gives no answer.
    away_since: Option<Instant>,
}

impl Clerk {
    fn work(mut self) {
        while let Ok(first) = self.letters.recv() {
            let mut group = Group::default();
            group.add(first);
            while group.requests.len() < GROUP_REQUESTS
                && let Ok(letter) = self.letters.try_recv()
            {
                group.add(letter);
            }
            self.take(group.requests, group.submitters);
            for Decision { payout, word, reason, reply } in group.decisions {
                let _ = reply.send(payout::decide(&mut self.store, &payout, word, &reason, Timestamp::now()));
            }
        }
    }

    /// One commit for all; then the answers.
    fn take(&mut self, requests: Vec<Request>, submitters: Vec<(usize, oneshot::Sender<Replies>)>) {
        if requests.is_empty() {
            return;
        }
        self.meet_daemon();
        let wallet = self.wallet.as_ref().map(|wallet| wallet as &dyn Wallet);
        match payout::submit_many(&mut self.store, wallet, &self.coin, &requests, Timestamp::now()) {
            Ok(taken) => {
                self.part_from_a_mute_daemon(&taken);
                let mut taken = taken.into_iter();
                for (count, reply) in submitters {
                    let _ = reply.send(Ok(taken.by_ref().take(count).collect()));
                }
            }
            Err(error) => {
                warn!(%error, requests = requests.len(), "submissions were not taken");
                let failure = Failure::from(error);
                submitters.into_iter().for_each(|(_, reply)| drop(reply.send(Err(failure.clone()))));
            }
        }
    }

    /// Connects, where the daemon was not left alone for now. The wallet need not be loaded: addresses are the daemon's to judge.
    fn meet_daemon(&mut self) {
        let left_alone = self.away_since.is_some_and(|since| since.elapsed() < LEFT_ALONE);
        if self.wallet.is_none() && !left_alone {
            let limits = Limits { deadline: Some(DAEMON_PATIENCE), ..Limits::default() };
            self.wallet = RpcWallet::connect_with(&self.coin, limits).ok();
            self.away_since = self.wallet.is_none().then(Instant::now);
        }
    }

    /// A daemon that was asked and said nothing may be another one when it is back.
    fn part_from_a_mute_daemon(&mut self, taken: &payout::Taken) {
        let unchecked = |taken: &Result<Submitted, PayoutError>| taken.as_ref().is_ok_and(|it| it.new && !it.address_checked);
        if self.wallet.is_some() && taken.iter().any(unchecked) {
            self.wallet = None;
            self.away_since = Some(Instant::now());
        }
    }
}

/// What is written together.
#[derive(Default)]
struct Group {
    requests: Vec<Request>,
    /// How many of the requests are whose.
    submitters: Vec<(usize, oneshot::Sender<Replies>)>,
    decisions: Vec<Decision>,
}

impl Group {
    fn add(&mut self, letter: Letter) {
        match letter {
            Letter::Submit(requests, reply) => {
                self.submitters.push((requests.len(), reply));
                self.requests.extend(requests);
            }
            Letter::Decide(decision) => self.decisions.push(decision),
        }
    }
}
