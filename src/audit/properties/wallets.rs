//! Random histories of three wallets of one daemon: what moves between them by hand is never unexplained, wherever it is on its way.

use proptest::prelude::*;

use super::NOW;
use crate::audit::{SuspectKind, Verdict, run};
use crate::coin::Txid;
use crate::config::{CoinSettings, WalletSettings};
use crate::gate;
use crate::ledger::model::history::{Step, step};
use crate::ledger::model::{self, ModelWallet, Owner};
use crate::ledger::{self, Account, Claim};
use crate::store::Store;

/// The first one pays.
const NAMES: [&str; 3] = ["w", "b", "c"];

#[derive(Clone, Debug)]
enum Happening {
    /// As to a wallet alone; `Step::Sync` is a sync of this wallet.
    Alone(usize, Step),
    /// By hand from one wallet to another one.
    Move {
        from: usize,
        to: usize,
        units: i64,
    },
    /// By hand, and replaced by another payment of the same.
    Replace {
        wallet: usize,
        pick: usize,
    },
    Audit,
}

use Happening::*;

fn happening() -> impl Strategy<Value = Happening> {
    let wallet = || 0..NAMES.len();
    prop_oneof![
        8 => (wallet(), step()).prop_map(|(wallet, step)| Alone(wallet, step)),
        4 => (wallet(), 1..NAMES.len(), 1..200_i64)
            .prop_map(|(from, further, units)| Move { from, to: (from + further) % NAMES.len(), units }),
        1 => (wallet(), 0..9_usize).prop_map(|(wallet, pick)| Replace { wallet, pick }),
        3 => Just(Audit),
    ]
}

struct Bench {
    wallets: Vec<ModelWallet>,
    coin: CoinSettings,
    store: Store,
    orders: u32,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let plain = model::coin();
        let follow = NAMES[1..].iter().map(|name| (*name).to_owned()).collect();
        let coin = CoinSettings { wallet: WalletSettings { follow, ..plain.wallet.clone() }, ..plain };
        let first = ModelWallet::new();
        let beside: Vec<ModelWallet> = NAMES[1..].iter().map(|name| first.add_beside(name)).collect();
        let wallets: Vec<ModelWallet> = std::iter::once(first).chain(beside).collect();
        wallets.iter().for_each(|wallet| _ = wallet.deposit(1000));
        wallets[0].mine(1, false);
        let mut bench = Bench { wallets, coin, store, orders: 0, _dir: dir };
        bench.sync_all();
        bench
    }

    fn sync_all(&mut self) {
        (0..NAMES.len()).for_each(|wallet| self.sync(wallet));
    }

    fn sync(&mut self, wallet: usize) {
        ledger::sync(&mut self.store, &self.wallets[wallet], &self.coin, NOW).unwrap();
    }

    fn take(&mut self, happening: &Happening) {
        match *happening {
            Alone(wallet, Step::Sync) => self.sync(wallet),
            // Nobody orders what a followed wallet pays to strangers: it is unexplained by right.
            Alone(1.., Step::Send { .. }) => {}
            Alone(wallet, ref step) => {
                self.orders += 1;
                let mark = format!("bursar:{}:{}", self.store.id(), self.orders);
                let left = Claim { mark: mark.clone(), order: format!("batch-{}", self.orders), account: Account::Payout };
                self.store.write(|tx| ledger::claim(tx, &left)).unwrap();
                step.happen(&self.wallets[wallet], Some(&mark));
            }
            Move { from, to, units } => _ = self.wallets[from].pay(&[(units, Owner::Wallet(to))], None, true),
            Replace { wallet, pick } => _ = self.wallets[wallet].replace(pick, true),
            Audit => self.audit_all(),
        }
    }

    /// As the service does: all are in step before the first is audited.
    fn audit_all(&mut self) {
        self.sync_all();
        for (wallet, name) in NAMES.iter().enumerate() {
            let report = run(&mut self.store, &self.wallets[wallet], &self.coin, NOW).unwrap();
            // Where the other side does not know it any more either, it is on its way to nobody.
            let is_of = |txid: &Txid, kind| report.suspects.iter().any(|other| other.txid == *txid && other.kind == kind);
            let wrong = || report.suspects.iter().filter(|suspect| !suspect.kind.is_harmless());
            if report.verdict == Verdict::Unexplained {
                let lost = wrong()
                    .all(|suspect| is_of(&suspect.txid, SuspectKind::Limbo) && report.difference == report.ledger.unconfirmed);
                assert!(lost && wrong().next().is_some(), "{report:#?}");
                continue;
            }
            let followed = self.coin.wallet.followed(name);
            assert!(!self.store.read(|tx| gate::awaits_audit(tx, followed)).unwrap(), "{report:#?}");
            let on_its_way = report.suspects.iter().any(|suspect| suspect.kind == SuspectKind::Transfer);
            assert!(on_its_way || self.wallets[wallet].is_calm() == (report.verdict == Verdict::Agrees), "{report:#?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_moves_between_wallets_raises_no_alarm(history in prop::collection::vec(happening(), 1..60)) {
        let mut bench = Bench::new();
        history.iter().for_each(|happening| bench.take(happening));
        bench.audit_all();
        bench.wallets[0].mine(model::FINAL_DEPTH, false);
        bench.audit_all();
        // What is neither in the mempool nor in a block stays unexplained, and is told as such; the other side of all else is known.
        for (wallet, name) in bench.wallets.iter().zip(NAMES) {
            let open = bench.store.read(|tx| ledger::unexplained(tx, name)).unwrap();
            let known = wallet.shown();
            let confirmed = |txid: &Txid| known.iter().any(|shown| shown.txid == *txid && shown.depth > 0);
            prop_assert!(!open.iter().any(|(txid, _)| confirmed(txid)), "{open:?}");
        }
    }
}
