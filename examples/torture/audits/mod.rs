//! Audits one after the other on real daemons, while the wallet's world never stands still. Nothing is wrong in it, so that each audit that finds
//! something unexplained is a false alarm, and each that finds something explained has to show it again when all stands still for a moment.

mod traffic;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use bursar::audit::{self, AuditError, Report, SuspectKind, Verdict};
use bursar::coin::Timestamp;
use bursar::daemon::{RpcWallet, Wallet};
use bursar::ledger::LedgerError;
use bursar::store::Store;
use serde_json::json;

use self::traffic::Traffic;
use crate::report::name_of;
use crate::schedule::Chance;
use crate::support::{Generation, World};

/// Every this many-th audit is told to read the wallet's whole listing.
const DEEP_EVERY: usize = 5;
/// Litecoin 0.21 cannot mine past 430 on regtest: the audits go on in another world.
const LAST_HEIGHT: u64 = 380;
/// Of a hundred audits, so many may come to no verdict because all moved under each reading. How many do is a matter of the machine.
const RESTLESS_PERCENT: usize = 20;

/// What came of them.
#[derive(Default)]
struct Sums {
    audits: usize,
    deep: usize,
    agreed: usize,
    /// By what was named.
    explained: BTreeMap<String, usize>,
    restless: usize,
    /// Audits that found something unexplained where nothing was wrong, in words.
    false_alarms: Vec<String>,
    /// What was explained once, and looked otherwise when all stood still.
    unjustified: Vec<String>,
    traffic: BTreeMap<&'static str, usize>,
    worlds: usize,
}

impl Sums {
    fn merge(&mut self, other: Sums) {
        self.audits += other.audits;
        self.deep += other.deep;
        self.agreed += other.agreed;
        self.restless += other.restless;
        self.worlds += other.worlds;
        self.false_alarms.extend(other.false_alarms);
        self.unjustified.extend(other.unjustified);
        other.explained.into_iter().for_each(|(kind, count)| *self.explained.entry(kind).or_default() += count);
        other.traffic.into_iter().for_each(|(kind, count)| *self.traffic.entry(kind).or_default() += count);
    }

    fn is_good(&self) -> bool {
        self.false_alarms.is_empty() && self.unjustified.is_empty() && self.restless * 100 <= self.audits * RESTLESS_PERCENT
    }
}

/// So many audits on each daemon; whether there was no false alarm. Prints a JSON object.
pub(crate) fn run(audits: usize, seed: u64) -> bool {
    let began = Instant::now();
    let sums = Mutex::new(Sums::default());
    let broken = Mutex::new(0_usize);
    thread::scope(|scope| {
        for (at, generation) in (0..).zip(Generation::ALL) {
            let (sums, broken) = (&sums, &broken);
            scope.spawn(move || {
                let played = thread::scope(|inner| inner.spawn(|| audits_on(generation, audits, seed.wrapping_add(at))).join());
                match played {
                    Ok(of_daemon) => sums.lock().unwrap().merge(of_daemon),
                    Err(_) => *broken.lock().unwrap() += 1,
                }
            });
        }
    });
    let (sums, broken) = (sums.into_inner().unwrap(), broken.into_inner().unwrap());
    sums.false_alarms.iter().chain(&sums.unjustified).for_each(|words| eprintln!("{words}"));
    let summary = json!({
        "audits": sums.audits,
        "deep": sums.deep,
        "agreed": sums.agreed,
        "explained": sums.explained,
        "false_alarms": sums.false_alarms.len(),
        "unjustified": sums.unjustified.len(),
        "restless": sums.restless,
        "traffic": sums.traffic,
        "worlds": sums.worlds,
        "broken": broken,
        "seed": seed,
        "seconds": began.elapsed().as_secs(),
    });
    println!("{summary}");
    broken == 0 && sums.is_good()
}

/// So many audits on one daemon, in as many worlds as its chain needs.
fn audits_on(generation: Generation, audits: usize, seed: u64) -> Sums {
    let mut sums = Sums::default();
    while sums.audits < audits {
        sums.worlds += 1;
        let seed = seed ^ ((sums.worlds as u64) << 32);
        let world = World::new(generation);
        let _keeper = world.start_daemon();
        world.fund(&["9", "7", "5", "3", "2", "1"]);
        let mut auditor = Auditor::new(&world, &mut sums);
        let traffic = Traffic::new(&world, Chance::of(seed, 0), auditor.store.id().to_string());
        auditor.claim_ahead(&traffic);
        let (stop, street) = (AtomicBool::new(false), Arc::new(Mutex::new(traffic)));
        thread::scope(|scope| {
            let moving = scope.spawn(|| traffic::keep_moving(&street, &stop));
            while auditor.sums.audits < audits && world.height() < LAST_HEIGHT && !moving.is_finished() {
                auditor.audit(&street);
            }
            stop.store(true, Ordering::Relaxed);
        });
        // At the end all is mined, and nothing is left to explain.
        let traffic = Arc::into_inner(street).unwrap().into_inner().unwrap();
        traffic.come_to_rest();
        let last = auditor.run(true).unwrap_or_else(|error| panic!("{generation:?}: {error}"));
        assert_eq!(last.verdict, Verdict::Agrees, "{generation:?} at rest: {last:#?}");
        traffic.count_into(&mut auditor.sums.traffic);
        eprintln!("{}: {} audits", name_of(generation), auditor.sums.audits);
    }
    sums
}

struct Auditor<'a> {
    world: &'a World,
    wallet: RpcWallet,
    store: Store,
    sums: &'a mut Sums,
}

impl<'a> Auditor<'a> {
    fn new(world: &'a World, sums: &'a mut Sums) -> Auditor<'a> {
        let store = Store::open(&world.dir().join("ledger")).unwrap();
        Auditor { world, wallet: world.wallet(), store, sums }
    }

    /// What batches leave before they are sent.
    fn claim_ahead(&mut self, traffic: &Traffic<'_>) {
        self.store
            .write::<_, bursar::store::StoreError>(|tx| traffic.claims().try_for_each(|claim| bursar::ledger::claim(tx, &claim)))
            .unwrap();
    }

    fn run(&mut self, deep: bool) -> Result<Report, AuditError> {
        let audit = if deep { audit::run_deep } else { audit::run };
        audit(&mut self.store, &self.wallet, self.world.coin(), Timestamp::now())
    }

    fn audit(&mut self, street: &Mutex<Traffic<'_>>) {
        self.sums.audits += 1;
        let deep = self.sums.audits.is_multiple_of(DEEP_EVERY);
        self.sums.deep += usize::from(deep);
        let began = Instant::now();
        let audited = self.run(deep);
        street.lock().unwrap().keep_pace(began.elapsed());
        match audited {
            Ok(report) if report.verdict == Verdict::Agrees => self.sums.agreed += 1,
            Ok(report) if report.verdict == Verdict::Explained => self.justify(&report, street),
            Ok(report) => self.sums.false_alarms.push(format!("{:?}: {report:#?}", self.world.generation)),
            Err(AuditError::Restless(_) | AuditError::Ledger(LedgerError::Restless(_))) => self.sums.restless += 1,
            Err(error) => panic!("{:?}: {error}", self.world.generation),
        }
    }

    /// What an audit explains is so: it is again while all stands still, or it has passed meanwhile.
    fn justify(&mut self, report: &Report, street: &Mutex<Traffic<'_>>) {
        let still = street.lock().unwrap();
        for kind in report.suspects.iter().map(|suspect| suspect.kind).collect::<std::collections::HashSet<_>>() {
            *self.sums.explained.entry(format!("{kind:?}").to_lowercase()).or_default() += 1;
        }
        self.world.settle();
        let again = self.run(true).unwrap_or_else(|error| panic!("{:?}: {error}", self.world.generation));
        let unconfirmed = |suspect: &audit::Suspect| {
            let known = self.wallet.transaction(&suspect.txid).unwrap();
            known.is_some_and(|known| known.confirmations == 0)
        };
        let is_so = |suspect: &audit::Suspect| match suspect.kind {
            SuspectKind::Limbo => unconfirmed(suspect) && !self.wallet.in_mempool(&suspect.txid).unwrap(),
            SuspectKind::Untrusted | SuspectKind::Pending => {
                unconfirmed(suspect) && self.wallet.in_mempool(&suspect.txid).unwrap()
            }
            _ => false,
        };
        let justified = match again.verdict {
            Verdict::Agrees => true,
            Verdict::Explained => again.suspects.iter().all(is_so),
            Verdict::Unexplained => false,
        };
        drop(still);
        if !justified {
            self.sums.unjustified.push(format!("{:?}: {report:#?}\nthen {again:#?}", self.world.generation));
        }
    }
}
