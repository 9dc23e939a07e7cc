//! Random histories of a wallet.

use proptest::prelude::*;

use super::ModelWallet;

/// Something that happens to the wallet, or a sync at this point.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Deposit(i64),
    Mine { blocks: u64, reward: bool },
    MineEmpty,
    Send { units: i64, more: i64, own: bool, claimed: bool, broadcast: bool },
    Reorg { depth: usize, drop: usize },
    Invalidate(usize),
    DoubleSpend(usize),
    Evict(usize),
    Rebroadcast,
    Abandon(usize),
    Sync,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..1000_i64).prop_map(Step::Deposit),
        4 => (1..4_u64, any::<bool>()).prop_map(|(blocks, reward)| Step::Mine { blocks, reward }),
        1 => Just(Step::Mine { blocks: 9, reward: false }),
        1 => Just(Step::MineEmpty),
        4 => (1..400_i64, 0..50_i64, any::<bool>(), any::<bool>(), prop::bool::weighted(0.7))
            .prop_map(|(units, more, own, claimed, broadcast)| Step::Send { units, more, own, claimed, broadcast }),
        2 => (1..9_usize, 1..4_usize).prop_map(|(depth, drop)| Step::Reorg { depth, drop }),
        1 => (0..9_usize).prop_map(Step::DoubleSpend),
        1 => (0..9_usize).prop_map(Step::Evict),
        1 => Just(Step::Rebroadcast),
        1 => (0..9_usize).prop_map(Step::Abandon),
        6 => Just(Step::Sync),
    ]
}

/// Those of `step`, and blocks that are taken away with none in their place. Coins that were spent may then be immature again, at which
/// an audit is right to freeze.
pub(crate) fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![26 => step(), 1 => (1..9_usize).prop_map(Step::Invalidate)]
}

impl Step {
    /// Whether a claim is left before it.
    pub(crate) fn is_claimed(&self) -> bool {
        matches!(self, Step::Send { claimed: true, .. })
    }

    /// Lets it happen; a payment carries `mark`.
    pub(crate) fn happen(&self, wallet: &ModelWallet, mark: Option<&str>) {
        match self {
            Step::Deposit(units) => _ = wallet.deposit(*units),
            Step::Mine { blocks, reward } => wallet.mine(*blocks, *reward),
            Step::MineEmpty => wallet.mine_empty(),
            Step::Send { units, more, own, broadcast, .. } => {
                _ = wallet.send(&[(*units, *own), (*more, false)], mark, *broadcast);
            }
            Step::Reorg { depth, drop } => wallet.reorg(*depth, |index| index % drop == 1),
            Step::Invalidate(depth) => wallet.invalidate(*depth, |_| false),
            Step::DoubleSpend(pick) => wallet.double_spend(*pick),
            Step::Evict(pick) => wallet.evict(*pick),
            Step::Rebroadcast => wallet.rebroadcast(),
            Step::Abandon(pick) => wallet.abandon(*pick),
            Step::Sync => {}
        }
    }
}
