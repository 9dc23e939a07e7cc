//! Final transactions that lost their blocks: the chain was reorganised below the final depth, or it is another chain.
//!
//! They are open again, and payouts are frozen with that, in one store transaction: which chain is right, a ledger cannot tell, and an audit
//! that agrees only says that ledger and wallet look at the same one. So a person looks, and lifts it. What is open is not final, so the same
//! finding does not come twice.

use tracing::error;

use super::flow::Desk;
use super::{Followed, TxState, records};
use crate::coin::Txid;
use crate::gate::{self, Cause, Freeze};
use crate::store::{StoreError, Tx};

/// So many transactions a freeze names, of as many as a whole history holds.
const NAMED: usize = 20;

/// Opens these final transactions again, the newest block first, and freezes payouts.
pub(super) fn reopen(tx: &Tx<'_>, desk: &Desk<'_>, lost: &[Followed]) -> Result<(), StoreError> {
    for old in lost {
        records::put_followed(tx, desk.wallet, &Followed { is_final: false, ..old.clone() }, false)?;
    }
    let txids: Vec<Txid> = lost.iter().map(|old| old.txid).take(NAMED).collect();
    let detail = words(desk.wallet, lost);
    error!("{detail}: payouts are frozen");
    let wallet = desk.followed().map(str::to_owned);
    gate::freeze(tx, &Freeze { cause: Cause::DeepReorg, detail, txids, amount: None, wallet }, desk.now)
}

fn words(wallet: &str, lost: &[Followed]) -> String {
    let height = |old: &Followed| match old.state {
        TxState::Confirmed { height, .. } | TxState::Immature { height, .. } => Some(height),
        _ => None,
    };
    let lowest = lost.iter().filter_map(height).min().unwrap_or(0);
    let unnamed = match lost.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" ({more} of them are not named)"),
    };
    let lost = match lost.len() {
        1 => format!("one final transaction of wallet '{wallet}' lost its block, at height {lowest}"),
        count => {
            format!("{count} final transactions of wallet '{wallet}'{unnamed} lost their blocks, the lowest at height {lowest}")
        }
    };
    format!("the chain was reorganised below ledger.final_depth, or it is another one: {lost}")
}

#[cfg(test)]
mod tests {
    use super::super::model::{FINAL_DEPTH, ModelWallet, coin};
    use super::*;
    use crate::coin::Timestamp;
    use crate::ledger::{self, SyncReport, pages, reading::Since};
    use crate::store::Store;

    const NOW: Timestamp = Timestamp(1_700_000_000);

    struct Bench {
        wallet: ModelWallet,
        store: Store,
        _dir: tempfile::TempDir,
    }

    impl Bench {
        /// Deposits, one to a block from height 2 on, that are final.
        fn with_final_deposits(count: u64) -> (Bench, Vec<Txid>) {
            let dir = tempfile::tempdir().unwrap();
            let mut bench = Bench { wallet: ModelWallet::new(), store: Store::open(dir.path()).unwrap(), _dir: dir };
            bench.wallet.mine(1, false);
            let deposits = (0..count).map(|_| {
                let deposit = bench.wallet.deposit(50);
                bench.wallet.mine(1, false);
                deposit
            });
            let deposits = deposits.collect();
            bench.wallet.mine(FINAL_DEPTH - 1, false);
            bench.sync();
            assert!(bench.store.read(ledger::followed).unwrap().iter().all(|followed| followed.is_final));
            (bench, deposits)
        }

        fn sync(&mut self) -> SyncReport {
            ledger::sync(&mut self.store, &self.wallet, &coin(), NOW).unwrap()
        }

        fn frozen(&mut self) -> Vec<gate::InForce> {
            self.store.read(gate::frozen).unwrap()
        }

        fn thaw(&mut self) {
            for frozen in self.frozen() {
                self.store.write(|tx| gate::override_by(tx, frozen.id, "ada", "the right chain", NOW)).unwrap();
            }
        }
    }

    #[test]
    fn a_reorg_of_final_blocks_freezes_once_until_a_person_has_looked() {
        let (mut bench, deposits) = Bench::with_final_deposits(3);
        bench.wallet.reorg(FINAL_DEPTH as usize + 1, |_| false);
        bench.sync();
        let frozen = bench.frozen();
        let (freeze, named) = (&frozen[0].freeze, [deposits[2], deposits[1]]);
        assert_eq!((frozen.len(), freeze.cause, &freeze.txids[..]), (1, Cause::DeepReorg, &named[..]));
        assert!(
            freeze.detail.ends_with(": 2 final transactions of wallet 'w' lost their blocks, the lowest at height 3"),
            "{freeze:?}"
        );
        bench.sync();
        bench.store.write(|tx| gate::audit_agreed(tx, None, NOW)).unwrap();
        assert_eq!(bench.frozen(), frozen, "neither another sync nor an audit that agrees changes it");
        bench.thaw();
        bench.sync();
        bench.wallet.mine(FINAL_DEPTH, false);
        bench.sync();
        assert_eq!(bench.frozen(), [], "the same finding does not come again");
        bench.wallet.reorg(FINAL_DEPTH as usize + 1, |_| false);
        bench.sync();
        assert_eq!(bench.frozen().len(), 1, "another reorg does");
    }

    #[test]
    fn a_reorg_of_what_was_not_final_freezes_nothing() {
        let (mut bench, _) = Bench::with_final_deposits(1);
        let deposit = bench.wallet.deposit(7);
        bench.wallet.mine(1, false);
        bench.sync();
        bench.wallet.reorg(FINAL_DEPTH as usize, |_| false);
        bench.wallet.double_spend(0);
        let report = bench.sync();
        assert_eq!((report.reversed, bench.frozen()), (1, vec![]), "{deposit}");
    }

    #[test]
    fn a_whole_chain_that_is_another_one_freezes_once_however_many_pages_it_takes() {
        let (mut bench, deposits) = Bench::with_final_deposits(25);
        bench.wallet.reorg(25 + FINAL_DEPTH as usize - 1, |_| true);
        pages::sync(&mut bench.store, &bench.wallet, &coin(), Since::Cursor, 3, NOW).unwrap();
        let frozen = bench.frozen();
        let newest: Vec<Txid> = deposits.iter().rev().copied().take(NAMED).collect();
        assert_eq!((frozen.len(), &frozen[0].freeze.txids), (1, &newest));
        let words = ": 25 final transactions of wallet 'w' (5 of them are not named) lost their blocks, the lowest at height 2";
        assert!(frozen[0].freeze.detail.ends_with(words), "{frozen:?}");
    }

    #[test]
    fn a_reading_that_is_broken_off_after_it_found_them_has_frozen_already() {
        let (mut bench, _) = Bench::with_final_deposits(1);
        bench.wallet.reorg(FINAL_DEPTH as usize, |_| true);
        bench.wallet.make_restless(100);
        assert!(ledger::sync(&mut bench.store, &bench.wallet, &coin(), NOW).is_err());
        assert_eq!(bench.frozen().len(), 1);
    }

    #[test]
    fn a_followed_wallet_freezes_under_its_own_name() {
        let (mut bench, deposits) = Bench::with_final_deposits(1);
        let mut coin = coin();
        (coin.wallet.name, coin.wallet.follow) = ("pays".to_owned(), vec!["w".to_owned()]);
        let dir = tempfile::tempdir().unwrap();
        bench.store = Store::open(dir.path()).unwrap();
        ledger::sync(&mut bench.store, &bench.wallet, &coin, NOW).unwrap();
        bench.wallet.reorg(FINAL_DEPTH as usize, |_| true);
        ledger::sync(&mut bench.store, &bench.wallet, &coin, NOW).unwrap();
        let freeze = &bench.frozen()[0].freeze;
        assert_eq!((freeze.wallet.as_deref(), &freeze.txids), (Some("w"), &deposits));
        assert!(freeze.detail.ends_with(": one final transaction of wallet 'w' lost its block, at height 2"), "{freeze:?}");
    }

    #[test]
    fn a_daemon_that_builds_its_chain_anew_takes_nothing_back() {
        let (mut bench, _) = Bench::with_final_deposits(3);
        let all = FINAL_DEPTH as usize + 3;
        bench.wallet.invalidate(all, |_| false);
        bench.wallet.build_chain(true);
        let refused = ledger::sync(&mut bench.store, &bench.wallet, &coin(), NOW);
        assert!(matches!(refused, Err(ledger::LedgerError::LostBlocks { .. })), "{refused:?}");
        assert_eq!(bench.frozen(), []);
        bench.wallet.build_chain(false);
        bench.sync();
        assert_eq!(bench.frozen().len(), 1);
    }
}
