//! Starting the daemon on the wallet again and searching the whole chain for its transactions.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::copy::{copy_in, still_whole};
use super::rules::{self, Rescan};
use super::{RepairError, RepairRecord};
use crate::config::CoinSettings;
use crate::daemon::{RescanWay, Rpc, RpcError, RpcWallet, Wallet, known_options};
use crate::keeper::{Keeper, KeeperError};

/// A start with `-rescan` answers nothing until the whole chain is searched; the same patience as for the RPC.
const RESCAN_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Blocks below this height are gone; none: all are there.
pub(super) fn prune_height(coin: &CoinSettings) -> Result<Option<u64>, RpcError> {
    #[derive(Deserialize)]
    struct Pruning {
        #[serde(default)]
        pruned: bool,
        pruneheight: Option<u64>,
    }
    match Rpc::new(coin).call::<Pruning>("getblockchaininfo", &[]) {
        Ok(chain) => Ok(chain.pruneheight.filter(|_| chain.pruned)),
        // Older than pruning.
        Err(RpcError::Daemon { code: -32601, .. } | RpcError::Http { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Starts the daemon from its copied wallet and searches the chain. A daemon that an earlier try left searching is stopped first, which
/// ends that search.
pub(super) fn rescan(keeper: &mut Keeper, coin: &CoinSettings, repair: &RepairRecord) -> Result<String, RepairError> {
    still_whole(&repair.folder)?;
    keeper.stop()?;
    // There is a copy now, so a start may do to the file what it does.
    keeper.trust_wallet()?;
    let no_start = |error| RepairError::NoStart { error, copy: copy_in(&repair.folder) };
    keeper.start(&[]).map_err(no_start)?;
    let wallet = connected(coin)?;
    same_wallet(keeper, &wallet, repair)?;
    rules::prunes_nothing(prune_height(coin)?)?;
    let by_rpc = wallet.abilities().rescan == RescanWay::Rpc;
    let by_option = || Ok::<bool, RepairError>(known_options(&coin.daemon.program)?.contains("rescan"));
    match rules::how_to_rescan(by_rpc, !by_rpc && by_option()?)? {
        Rescan::Call => {
            wallet.rescan(0)?;
            Ok("the whole chain was searched by rescanblockchain".to_owned())
        }
        Rescan::Option => {
            restart_with_rescan(keeper).map_err(no_start)?;
            same_wallet(keeper, &connected(coin)?, repair)?;
            Ok("the whole chain was searched by a start with -rescan".to_owned())
        }
    }
}

/// The wallet of a daemon that answers.
pub(super) fn connected(coin: &CoinSettings) -> Result<RpcWallet, RpcError> {
    let mut wallet = RpcWallet::connect(coin)?;
    wallet.ensure_loaded()?;
    Ok(wallet)
}

fn restart_with_rescan(keeper: &mut Keeper) -> Result<(), KeeperError> {
    keeper.stop()?;
    let began = Instant::now();
    let mut started = keeper.start(&["-rescan"]);
    // It is still at it: waiting on is a start of what runs already.
    while started.as_ref().is_err_and(KeeperError::is_not_ready) && began.elapsed() < RESCAN_TIMEOUT {
        tracing::info!(waited_s = began.elapsed().as_secs(), "the daemon still searches the chain");
        started = keeper.start(&[]);
    }
    started
}

/// A daemon may put another wallet in the place of one that it cannot read: an empty one, or one salvaged without its seed.
fn same_wallet(keeper: &mut Keeper, wallet: &RpcWallet, repair: &RepairRecord) -> Result<(), RepairError> {
    let Some(noted) = &repair.fingerprint else { return Ok(()) };
    let found = wallet.identity()?.fingerprint;
    if found.as_ref() == Some(noted) {
        return Ok(());
    }
    keeper.stop()?;
    let found = found.unwrap_or_else(|| "none".to_owned());
    Err(RepairError::OtherWallet { noted: noted.clone(), found, copy: copy_in(&repair.folder) })
}

/// Whether a running daemon has `rescanblockchain`; none when it does not answer.
pub(super) fn has_rescan_call(coin: &CoinSettings) -> Option<bool> {
    RpcWallet::connect(coin).ok().map(|wallet| wallet.abilities().rescan == RescanWay::Rpc)
}
