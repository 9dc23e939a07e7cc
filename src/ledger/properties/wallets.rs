//! Random histories of three wallets of one daemon, in one store: what moves between them, what a person says of it, and what chain and mempool do to
//! it before, between and after the readings of either side.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::books::Books;
use crate::coin::{Amount, Timestamp, Txid};
use crate::config::{CoinSettings, WalletSettings};
use crate::ledger::credit::{self, CreditKind};
use crate::ledger::model::history::{Step, any_step};
use crate::ledger::model::{self, ModelWallet, Owner};
use crate::ledger::{Account, Claim, LedgerError, balance_of, balances, claim, entries, explain, sync, unexplained, verify};
use crate::store::Store;

const NOW: Timestamp = Timestamp(1_700_000_000);
/// The first one pays.
const NAMES: [&str; 3] = ["w", "b", "c"];
/// `ledger.credit_depth` of the model's coin.
const CREDIT_DEPTH: i64 = 2;

/// Something that happens, to one of the wallets (by its place) or to all.
#[derive(Clone, Debug)]
enum Happening {
    /// As to a wallet alone; `Step::Sync` is a sync of this wallet.
    Alone(usize, Step),
    /// Pays one wallet or a stranger, and another one.
    Pay {
        from: usize,
        to: [Option<usize>; 2],
        units: [i64; 2],
        marked: bool,
        broadcast: bool,
    },
    Replace {
        wallet: usize,
        pick: usize,
        pays_the_same: bool,
    },
    Revive {
        wallet: usize,
        pick: usize,
    },
    /// Blocks are replaced by others that hold the same.
    MineAgain {
        depth: u64,
    },
    /// Blocks are replaced by empty ones, and a wallet abandons what it paid in them.
    TakeBack {
        wallet: usize,
        depth: usize,
    },
    /// A person says what a payment was.
    Explain {
        wallet: usize,
        pick: usize,
        account: Account,
    },
    Restart,
}

use Happening::*;

fn happening() -> impl Strategy<Value = Happening> {
    let wallet = || 0..NAMES.len();
    let payee = || prop::option::weighted(0.7, wallet());
    let words = prop::sample::select(vec![Account::Payout, Account::Internal, Account::Internal, Account::Fee, Account::Opening]);
    prop_oneof![
        12 => (wallet(), any_step()).prop_map(|(wallet, step)| Alone(wallet, step)),
        5 => wallet().prop_map(|wallet| Alone(wallet, Step::Sync)),
        6 => (wallet(), [payee(), payee()], [1..200_i64, 1..50_i64], prop::bool::weighted(0.3), prop::bool::weighted(0.8))
            .prop_map(|(from, to, units, marked, broadcast)| Pay { from, to, units, marked, broadcast }),
        1 => (wallet(), 0..9_usize, any::<bool>())
            .prop_map(|(wallet, pick, pays_the_same)| Replace { wallet, pick, pays_the_same }),
        1 => (1..4_u64).prop_map(|depth| MineAgain { depth }),
        1 => (wallet(), 1..4_usize).prop_map(|(wallet, depth)| TakeBack { wallet, depth }),
        2 => (wallet(), 0..9_usize).prop_map(|(wallet, pick)| Revive { wallet, pick }),
        3 => (wallet(), 0..30_usize, words).prop_map(|(wallet, pick, account)| Explain { wallet, pick, account }),
        1 => Just(Restart),
    ]
}

fn settings() -> CoinSettings {
    let follow = NAMES[1..].iter().map(|name| (*name).to_owned()).collect();
    let plain = model::coin();
    CoinSettings { wallet: WalletSettings { follow, ..plain.wallet.clone() }, ..plain }
}

/// In memory, where the machine has such a place: there are many of them.
fn folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// One store, its wallets, and what it should say.
struct Bench {
    wallets: Vec<ModelWallet>,
    coin: CoinSettings,
    store: Store,
    books: Books,
    orders: u32,
    dir: tempfile::TempDir,
}

impl Bench {
    /// Each wallet has coins to begin with.
    fn new() -> Bench {
        let dir = folder();
        let store = Store::open(dir.path()).unwrap();
        let first = ModelWallet::new();
        let beside: Vec<ModelWallet> = NAMES[1..].iter().map(|name| first.add_beside(name)).collect();
        let wallets: Vec<ModelWallet> = std::iter::once(first).chain(beside).collect();
        let mut bench = Bench { wallets, coin: settings(), store, books: Books::default(), orders: 0, dir };
        for wallet in &bench.wallets {
            wallet.deposit(1000);
            wallet.deposit(300);
        }
        bench.wallets[0].mine(1, false);
        (0..NAMES.len()).for_each(|wallet| bench.sync(wallet));
        bench
    }

    /// Brings one wallet in step. What must hold after it.
    fn sync(&mut self, wallet: usize) {
        let told = self.credits().len();
        sync(&mut self.store, &self.wallets[wallet], &self.coin, NOW).unwrap();
        self.books.read(wallet, self.wallets[wallet].shown());
        self.check_credits(wallet, told);
        assert_eq!(
            self.books.balances(wallet).get(&Account::Wallet).copied().unwrap_or(0),
            self.wallets[wallet].worth().base_units()
        );
        self.check();
    }

    fn balances(&mut self, wallet: usize) -> BTreeMap<Account, i64> {
        let mut of = |account| self.store.read(|tx| balance_of(tx, NAMES[wallet], account)).unwrap().base_units();
        Account::all().map(|account| (account, of(account))).filter(|(_, units)| *units != 0).collect()
    }

    /// Every wallet's ledger is what the books say.
    fn check(&mut self) {
        for (wallet, name) in NAMES.iter().enumerate() {
            assert_eq!(self.balances(wallet), self.books.balances(wallet), "of wallet {name}");
            let open = self.store.read(|tx| unexplained(tx, name)).unwrap();
            let open: BTreeMap<Txid, i64> = open.into_iter().map(|(txid, amount)| (txid, amount.base_units())).collect();
            assert_eq!(open, self.books.unexplained(wallet), "of wallet {name}");
        }
        let all = self.store.read(|tx| balances(tx, &self.coin)).unwrap();
        assert_eq!(Amount::sum(all.iter().map(|account| account.amount)).unwrap(), Amount::ZERO);
    }

    fn credits(&mut self) -> Vec<credit::CreditEvent> {
        self.store.read(|tx| credit::events(tx, 0, usize::MAX)).unwrap()
    }

    /// What is credited in a wallet is what customers paid; of a transfer only what was credited before it was known as one.
    fn check_credits(&mut self, wallet: usize, told: usize) {
        let events = self.credits();
        let mut standing = BTreeSet::new();
        for event in events.iter().filter(|event| event.wallet == NAMES[wallet]) {
            let output = (event.txid, event.vout);
            let changed = if event.kind == CreditKind::Credit { standing.insert(output) } else { standing.remove(&output) };
            assert!(changed, "{event:?}");
        }
        let deep = self.books.deposits(wallet, CREDIT_DEPTH);
        assert!(deep.is_subset(&standing), "deep, and not credited: {:?}", deep.difference(&standing));
        for event in events[told..].iter().filter(|event| event.kind == CreditKind::Credit) {
            assert!(deep.contains(&(event.txid, event.vout)), "credited, and no deposit: {event:?}");
        }
        let confirmed = self.books.confirmed(wallet);
        assert!(standing.iter().all(|(txid, _)| confirmed.contains(txid)), "credited, and in no block");
    }

    fn order(&mut self) -> String {
        self.orders += 1;
        let mark = format!("bursar:{}:{}", self.store.id(), self.orders);
        let left = Claim { mark: mark.clone(), order: format!("batch-{}", self.orders), account: Account::Payout };
        self.store.write(|tx| claim(tx, &left)).unwrap();
        self.books.marks.insert(mark.clone());
        mark
    }

    fn take(&mut self, happening: &Happening) {
        match *happening {
            Alone(wallet, Step::Sync) => self.sync(wallet),
            Alone(wallet, ref step) => {
                let mark = step.is_claimed().then(|| self.order());
                step.happen(&self.wallets[wallet], mark.as_deref());
            }
            Pay { from, to, units, marked, broadcast } => {
                let mark = marked.then(|| self.order());
                let owner = |payee: Option<usize>| payee.map_or(Owner::Stranger, Owner::Wallet);
                let payments = [(units[0], owner(to[0])), (units[1], owner(to[1]))];
                self.wallets[from].pay(&payments, mark.as_deref(), broadcast);
            }
            Replace { wallet, pick, pays_the_same } => _ = self.wallets[wallet].replace(pick, pays_the_same),
            MineAgain { depth } => {
                self.wallets[0].invalidate(usize::try_from(depth).unwrap(), |_| false);
                self.wallets[0].mine(depth + 1, false);
            }
            TakeBack { wallet, depth } => {
                self.wallets[wallet].reorg(depth, |_| true);
                (0..3).for_each(|pick| self.wallets[wallet].abandon(pick));
            }
            Revive { wallet, pick } => {
                self.wallets[wallet].revive(pick);
                self.wallets[wallet].mine(1, false);
            }
            Explain { wallet, pick, account } => self.explain(wallet, pick, account),
            Restart => {
                let aside = Store::open(&self.dir.path().join("aside")).unwrap();
                drop(std::mem::replace(&mut self.store, aside));
                self.store = Store::open(self.dir.path()).unwrap();
            }
        }
    }

    /// What is unexplained can be explained; for what is not, the answer is taken as it is.
    fn explain(&mut self, wallet: usize, pick: usize, account: Account) {
        let open = self.books.unexplained(wallet);
        let mut known: Vec<Txid> = open.keys().copied().collect();
        known.extend(self.wallets[wallet].shown().into_iter().filter(|shown| shown.debit > 0).map(|shown| shown.txid));
        let Some(txid) = known.get(pick % known.len().max(1)).copied() else { return };
        match explain(&mut self.store, Some(NAMES[wallet]), &txid, account, "so it was", "ada", NOW) {
            Ok(explained) => assert_eq!(self.books.said(wallet, &txid, account), explained.amount.base_units()),
            Err(LedgerError::Refused(_) | LedgerError::Unknown { .. }) => assert!(!open.contains_key(&txid)),
            Err(other) => panic!("{other}"),
        }
        self.check();
    }

    /// Once nothing is on its way, no sync of any wallet has more to say.
    fn end(&mut self, order: [usize; 3]) {
        order.into_iter().for_each(|wallet| self.sync(wallet));
        self.wallets[0].mine(model::FINAL_DEPTH, false);
        order.into_iter().rev().for_each(|wallet| self.sync(wallet));
        let head = self.head();
        order.into_iter().for_each(|wallet| self.sync(wallet));
        assert_eq!(self.head(), head);
        assert_eq!(self.store.read(verify).unwrap().fault, None);
    }

    fn head(&mut self) -> (u64, String) {
        let last = self.store.read(|tx| entries(tx, 0, usize::MAX)).unwrap().pop().unwrap();
        (last.seq, last.hash)
    }
}

/// Lets it all happen. The number and the hash of the last posting.
fn follow<'a>(history: impl IntoIterator<Item = &'a Happening>, order: [usize; 3]) -> (u64, String) {
    let mut bench = Bench::new();
    history.into_iter().for_each(|happening| bench.take(happening));
    bench.end(order);
    bench.head()
}

/// In which the wallets are read at the end.
fn order() -> impl Strategy<Value = [usize; 3]> {
    prop::sample::select(vec![[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
}

/// `BURSAR_SEEDS` says how many histories, where there is the time for more.
fn cases() -> u32 {
    std::env::var("BURSAR_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(64)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_moves_between_wallets_each_ledger_is_its_wallet(
        history in prop::collection::vec(happening(), 1..60),
        order in order(),
    ) {
        let last = follow(&history, order);
        if history.iter().any(|happening| matches!(happening, Restart)) {
            let without_restarts = history.iter().filter(|happening| !matches!(happening, Restart));
            prop_assert_eq!(follow(without_restarts, order), last, "a replay comes to the same hash");
        }
    }

    #[test]
    fn a_ledger_that_reads_all_wallets_only_at_the_end_comes_to_what_they_are(
        history in prop::collection::vec(happening(), 1..90),
        order in order(),
    ) {
        let is_read = |happening: &&Happening| matches!(happening, Alone(_, Step::Sync) | Explain { .. });
        follow(history.iter().filter(|happening| !is_read(happening)), order);
    }
}
