//! How long chains of unconfirmed transactions may grow.

/// Ancestors, and descendants, of one transaction beyond which mempools take no more, itself included. Wallets of the 0.18 and 0.21
/// generations answer the 26th with a txid that never reaches the mempool.
pub(super) const CHAIN_LIMIT: u64 = 25;
/// Links that are left free: for the halves of a batch that is refused, and for what a person sends.
const CHAIN_MARGIN: u64 = 5;
/// Unconfirmed transactions of one wallet: beyond 500, Knots 29 fails in the middle of a send.
const CROWD: u64 = 400;

/// The wallet's own unconfirmed transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chains {
    /// How many there are.
    pub unconfirmed: u64,
    /// What a transaction that spends all of their change would stand on.
    pub ancestors: u64,
    /// The most that stand on one of them, itself included.
    pub descendants: u64,
}

impl Chains {
    /// Whether their change can be spent before a block, with some links to spare.
    pub fn have_room(&self) -> bool {
        let longest = CHAIN_LIMIT - CHAIN_MARGIN;
        self.ancestors < longest && self.descendants < longest
    }

    /// Whether there are so many that the wallet itself is in danger.
    pub fn are_crowded(&self) -> bool {
        self.unconfirmed >= CROWD
    }
}
