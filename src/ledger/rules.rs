//! What the wallet's entries mean, and what follows for the ledger.

use serde::{Deserialize, Serialize};

use super::{Account, Followed, TxState, within};
use crate::coin::{Amount, AmountError, BlockHash, Timestamp};
use crate::daemon::{Category, Entry, Tip};

/// What the entries of one transaction say by themselves, before chain and mempool are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// It spends our coins.
    pub own: bool,
    /// What it does, or would do, to the wallet: its entries and, once, its fee.
    pub net: Amount,
    /// Where the wallet says that it stands.
    pub standing: Standing,
    /// The comment it was sent with. A receipt's comment is the sender's and means nothing.
    pub comment: Option<String>,
    /// When the wallet saw it.
    pub time: Timestamp,
    /// It has an entry of a category that this version does not know; such entries are not counted.
    pub puzzling: bool,
}

/// Where the wallet says that a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Abandoned, orphaned or conflicted; the blocks on top of what conflicts with it, where it says so.
    Dead {
        /// Depth of the conflict.
        buried: u64,
    },
    /// Mined or staked, not mature.
    Immature(BlockHash),
    /// In a block.
    Block(BlockHash),
    /// Not in a block.
    Unconfirmed,
}

/// Reads the entries of one transaction; there is at least one.
///
/// Tried on daemons: the fee is repeated in every `send` entry; only `send` entries say `abandoned` though it holds for the whole
/// transaction; conflicted ones have negative confirmations.
pub(super) fn read(entries: &[Entry]) -> Result<Seen, AmountError> {
    let sends = || entries.iter().filter(|entry| entry.category == Category::Send);
    let known = entries.iter().filter(|entry| !matches!(entry.category, Category::Other(_)));
    let fee = entries.iter().find_map(|entry| entry.fee);
    let net = Amount::sum(known.map(|entry| entry.amount).chain(fee))?;
    Ok(Seen {
        own: sends().next().is_some(),
        net,
        standing: standing(entries),
        comment: sends().find_map(|entry| entry.comment.clone()),
        time: entries.iter().map(|entry| entry.time).min().unwrap_or_default(),
        puzzling: entries.iter().any(|entry| matches!(entry.category, Category::Other(_))),
    })
}

/// The same for a transaction that lost to another one in a block, and has no entries left: its amount is what it was.
pub(super) fn conflicted(old: &Followed, confirmations: i64) -> Seen {
    Seen {
        own: old.own,
        net: old.seen_net,
        standing: Standing::Dead { buried: confirmations.unsigned_abs() },
        comment: None,
        time: Timestamp::default(),
        puzzling: false,
    }
}

fn standing(entries: &[Entry]) -> Standing {
    let has = |category: Category| entries.iter().any(|entry| entry.category == category);
    let confirmations = entries.iter().map(|entry| entry.confirmations).min().unwrap_or(0);
    let block = entries.iter().find_map(|entry| entry.block);
    let abandoned = entries.iter().any(|entry| entry.abandoned);
    match block {
        _ if confirmations < 0 || has(Category::Orphan) => Standing::Dead { buried: confirmations.min(0).unsigned_abs() },
        Some(block) if has(Category::Immature) => Standing::Immature(block),
        Some(block) => Standing::Block(block),
        None if abandoned || has(Category::Immature) || has(Category::Generate) => Standing::Dead { buried: 0 },
        None => Standing::Unconfirmed,
    }
}

/// Whether a transaction in this state is posted.
pub(super) fn is_money(state: &TxState) -> bool {
    matches!(state, TxState::Confirmed { .. } | TxState::Mempool | TxState::Limbo)
}

/// One posting against `Account::Wallet`, or the wallet's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leg {
    /// The account.
    pub(super) account: Account,
    /// The output, where one is meant.
    pub(super) vout: Option<u32>,
    /// The wallet's word for it.
    pub(super) category: Option<&'static str>,
    /// Signed.
    pub(super) amount: Amount,
}

/// The category of what the wallet calls a fee and the ledger doubts.
pub(super) const DOUBTFUL_FEE: &str = "doubtful_fee";

/// What the postings of a transaction are for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purpose {
    /// The account of the order that it fulfils, or of what a person said of it; none: nobody ordered it, or said anything.
    pub(super) claimed: Option<Account>,
    /// Whether `claimed` is what a person said. That is about what left the wallet, as it was when it was said.
    pub(super) by_word: bool,
    /// Where mined or staked coins come from.
    pub(super) minted: Account,
    /// The highest fee that is believed without an order.
    pub(super) most_fee: Amount,
}

impl Purpose {
    /// Of what is paid to nobody of ours.
    fn spent(&self) -> Account {
        self.claimed.unwrap_or(Account::Unexplained)
    }

    /// Of what is paid to the wallet itself. What came back is nobody's deposit, whatever a person said of the rest.
    fn within(&self) -> Account {
        self.claimed.filter(|_| !self.by_word).unwrap_or(Account::Internal)
    }

    /// The fee's account, and the word for it. What an order of ours costs, payouts judge by their own ceilings. Below zero it is none: the wallet takes
    /// what its own coins were worth less all outputs, and others put coins in, too.
    fn fee(&self, paid: Amount) -> (Account, &'static str) {
        let ordered = self.claimed.is_some() && !self.by_word;
        if ordered || (Amount::ZERO..=self.most_fee).contains(&paid) {
            return (Account::Fee, "fee");
        }
        let takes = paid > Amount::ZERO || !is_spending(self.spent());
        (if takes { self.spent() } else { Account::Unexplained }, DOUBTFUL_FEE)
    }
}

/// Whether an account is for what leaves us, and never for what comes in.
pub(super) fn is_spending(account: Account) -> bool {
    matches!(account, Account::Payout | Account::Fee)
}

/// The postings of one transaction: the wallet's net effect, and per entry where it came from or went. They sum to zero. A receipt is a deposit whatever
/// mark it carries: batches also pay to addresses of our own customers.
pub(super) fn legs(entries: &[Entry], purpose: &Purpose) -> Result<Vec<Leg>, AmountError> {
    let mut legs = vec![Leg { account: Account::Wallet, vout: None, category: None, amount: read(entries)?.net }];
    for (entry, returned) in entries.iter().zip(within::returned(entries)) {
        let (account, category) = match entry.category {
            Category::Receive => (Account::Deposit, "receive"),
            Category::Send if returned => (purpose.within(), "send"),
            Category::Send => (purpose.spent(), "send"),
            Category::Generate | Category::Immature | Category::Orphan => (purpose.minted, "generate"),
            Category::Other(_) => continue,
        };
        legs.push(Leg { account, vout: entry.vout, category: Some(category), amount: entry.amount.checked_neg()? });
    }
    if let Some(fee) = entries.iter().find_map(|entry| entry.fee) {
        let paid = fee.checked_neg()?;
        let (account, category) = purpose.fee(paid);
        legs.push(Leg { account, vout: None, category: Some(category), amount: paid });
    }
    Ok(legs)
}

/// Whether `account` can be what a transaction was for: of a payment of ours (`own`), or of what others paid. Where something of it stands there already
/// (`stands`), less or more of that can be meant; but what a payment paid to its own wallet makes no deposit of the rest. Of a payment of ours into which
/// others put more than it paid them (`brought`), it says where that came from.
pub(super) fn may_explain(account: Account, own: bool, stands: bool, brought: bool) -> Result<(), &'static str> {
    match account {
        _ if own && brought && is_spending(account) => Err("others put coins into it, too: deposit, internal or opening"),
        Account::Deposit if own && !brought => Err("it is a payment of this wallet: payout, fee, internal or opening"),
        _ if stands => Ok(()),
        Account::Mined | Account::Staked if own => Err("it is a payment of this wallet: payout, fee, internal or opening"),
        Account::Payout | Account::Fee if !own => {
            Err("it is no payment of this wallet, others paid it: deposit, mined, staked, internal or opening")
        }
        _ => Ok(()),
    }
}

/// Whether it is our own payment. One whose inputs the wallet forgot looks like a stranger's; the ledger knows better.
pub(super) fn is_ours(old: Option<&Followed>, seen: &Seen) -> bool {
    seen.own || old.is_some_and(|old| old.own && old.event.is_some())
}

/// What a sighting leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Post it.
    Post,
    /// Take back what is posted for it.
    Reverse,
    /// Nothing to post; its state may be new.
    Note,
    /// The wallet contradicts what is posted, without proof: what is posted and its state stay, the audit names it.
    Keep,
}

/// Decides about a transaction that the wallet shows in `state`, whose entries now sum to `net`.
///
/// What is posted is taken back only with proof that it is not money: it lost its block, or the wallet calls it dead, and its old
/// block is not on the active chain (`ground_held`). Other amounts than were posted are never followed. A mere change of block posts
/// nothing: an event keeps the block it was posted from, `transactions` has the present one.
pub(super) fn decide(old: Option<&Followed>, state: &TxState, ground_held: bool) -> Decision {
    if old.is_none_or(|old| old.event.is_none()) {
        return if is_money(state) { Decision::Post } else { Decision::Note };
    }
    match state {
        TxState::Confirmed { .. } | TxState::Mempool | TxState::Limbo => Decision::Note,
        TxState::Pending | TxState::Dead if ground_held => Decision::Keep,
        TxState::Pending | TxState::Dead | TxState::Immature { .. } => Decision::Reverse,
    }
}

/// Blocks from the one that holds it to the tip, both counted.
pub(super) fn depth(height: u64, tip: &Tip) -> u64 {
    (tip.height + 1).saturating_sub(height)
}

/// Whether nothing but a reorg deeper than `final_depth` can change it any more. Immature coins are awaited, unconfirmed ones too.
pub(super) fn is_final(state: &TxState, seen: &Seen, tip: &Tip, final_depth: u64) -> bool {
    match (state, seen.standing) {
        (TxState::Confirmed { height, .. }, _) => depth(*height, tip) >= final_depth,
        (TxState::Dead, Standing::Dead { buried }) => buried >= final_depth,
        _ => false,
    }
}

/// What becomes of a followed transaction that the wallet does not know any more.
///
/// What is posted stays posted: a wallet that forgets is no proof. But a payment whose block is gone is confirmed no more: its depth
/// would grow on the branch that took its place. A memo ends when nothing is left that it could wait for.
pub(super) fn forgotten(old: &Followed, ground_held: bool, in_mempool: bool) -> TxState {
    let lost_its_block = matches!(old.state, TxState::Confirmed { .. }) && old.own && old.event.is_some() && !ground_held;
    match old.state {
        TxState::Mempool | TxState::Limbo if in_mempool => TxState::Mempool,
        TxState::Mempool | TxState::Limbo => TxState::Limbo,
        _ if lost_its_block && in_mempool => TxState::Mempool,
        _ if lost_its_block => TxState::Limbo,
        kept if old.event.is_some() => kept,
        TxState::Immature { .. } if ground_held => old.state,
        _ => TxState::Dead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::Txid;

    fn entry(category: Category, vout: u32, amount: i64) -> Entry {
        Entry {
            txid: Txid::from_bytes([1; 32]),
            vout: Some(vout),
            category,
            address: None,
            amount: Amount::from_base_units(amount),
            fee: None,
            confirmations: 0,
            block: None,
            abandoned: false,
            comment: None,
            time: Timestamp(5),
        }
    }

    fn send(vout: u32, amount: i64, fee: i64) -> Entry {
        let comment = Some("mark".to_owned());
        Entry { fee: Some(Amount::from_base_units(fee)), comment, ..entry(Category::Send, vout, -amount) }
    }

    fn unordered() -> Purpose {
        Purpose { claimed: None, by_word: false, minted: Account::Mined, most_fee: Amount::from_base_units(100) }
    }

    fn ordered() -> Purpose {
        Purpose { claimed: Some(Account::Payout), ..unordered() }
    }

    fn said(account: Account) -> Purpose {
        Purpose { claimed: Some(account), by_word: true, ..unordered() }
    }

    fn accounts(legs: &[Leg]) -> Vec<(Account, i64)> {
        legs.iter().map(|leg| (leg.account, leg.amount.base_units())).collect()
    }

    #[test]
    fn the_fee_of_a_batch_counts_once() {
        let entries = [send(0, 100, -7), send(1, 50, -7)];
        assert_eq!(read(&entries).unwrap().net, Amount::from_base_units(-157));
        let legs = legs(&entries, &ordered()).unwrap();
        assert_eq!(accounts(&legs), [(Account::Wallet, -157), (Account::Payout, 100), (Account::Payout, 50), (Account::Fee, 7)]);
    }

    #[test]
    fn an_unordered_spend_is_unexplained_unless_it_pays_ourselves() {
        let entries = [send(0, 100, -7), send(1, 50, -7), entry(Category::Receive, 1, 50)];
        let legs = legs(&entries, &unordered()).unwrap();
        assert_eq!(
            accounts(&legs),
            [
                (Account::Wallet, -107),
                (Account::Unexplained, 100),
                (Account::Internal, 50),
                (Account::Deposit, -50),
                (Account::Fee, 7)
            ]
        );
    }

    /// Of a transaction that pays ourselves alone, or nobody at all, the fee is all that leaves the wallet.
    #[test]
    fn a_fee_above_the_ceiling_is_unexplained_as_a_whole_where_nobody_ordered_it() {
        let lavish = [send(0, 5, -101), entry(Category::Receive, 0, 5)];
        let of = |purpose: &Purpose| accounts(&legs(&lavish, purpose).unwrap())[3];
        assert_eq!(of(&unordered()), (Account::Unexplained, 101));
        assert_eq!(of(&ordered()), (Account::Fee, 101));
        assert_eq!(of(&said(Account::Opening)), (Account::Opening, 101));
        let burnt = legs(&[send(0, 0, -101)], &unordered()).unwrap();
        assert_eq!(accounts(&burnt)[1..], [(Account::Unexplained, 0), (Account::Unexplained, 101)]);
        assert_eq!(burnt[2].category, Some(DOUBTFUL_FEE));
        let usual = legs(&[send(0, 5, -100)], &unordered()).unwrap();
        assert_eq!((usual[2].account, usual[2].category), (Account::Fee, Some("fee")));
    }

    /// The wallet tells a fee of its own coins less all outputs: where others put coins in, it is less than nothing.
    #[test]
    fn a_fee_below_zero_is_what_others_put_in_and_no_fee() {
        let joint = [send(0, 500, 400), entry(Category::Receive, 0, 500)];
        let of = |purpose: &Purpose| accounts(&legs(&joint, purpose).unwrap());
        let [wallet, internal, deposit] = [(Account::Wallet, 400), (Account::Internal, 500), (Account::Deposit, -500)];
        assert_eq!(of(&unordered()), [wallet, internal, deposit, (Account::Unexplained, -400)]);
        assert_eq!(of(&said(Account::Deposit))[3], (Account::Deposit, -400));
        assert_eq!(of(&said(Account::Fee))[3], (Account::Unexplained, -400));
        assert!(may_explain(Account::Deposit, true, false, true).is_ok());
        assert!(may_explain(Account::Fee, true, true, true).is_err());
    }

    #[test]
    fn a_receipt_with_our_own_mark_is_a_deposit() {
        let receipt = Entry { comment: Some("mark".to_owned()), ..entry(Category::Receive, 0, 30) };
        let legs = legs(&[send(0, 30, -1), receipt], &ordered()).unwrap();
        assert_eq!(accounts(&legs), [(Account::Wallet, -1), (Account::Payout, 30), (Account::Deposit, -30), (Account::Fee, 1)]);
    }

    #[test]
    fn one_abandoned_entry_kills_the_whole_transaction() {
        let entries = [Entry { abandoned: true, ..send(0, 100, -7) }, entry(Category::Receive, 0, 100)];
        assert_eq!(standing(&entries), Standing::Dead { buried: 0 });
    }

    #[test]
    fn conflicts_and_orphans_are_dead_and_immature_coins_wait() {
        let block = Some(BlockHash::from_bytes([2; 32]));
        assert_eq!(standing(&[Entry { confirmations: -3, ..send(0, 1, 0) }]), Standing::Dead { buried: 3 });
        assert_eq!(standing(&[entry(Category::Orphan, 0, 5)]), Standing::Dead { buried: 0 });
        let immature = Entry { block, confirmations: 1, ..entry(Category::Immature, 0, 5) };
        assert_eq!(standing(&[immature]), Standing::Immature(BlockHash::from_bytes([2; 32])));
    }

    fn posted(own: bool) -> Followed {
        Followed {
            txid: Txid::from_bytes([1; 32]),
            state: TxState::Mempool,
            net: Amount::from_base_units(5),
            seen_net: Amount::from_base_units(5),
            own,
            event: Some(1),
            is_final: false,
            comment: None,
        }
    }

    #[test]
    fn an_own_payment_whose_inputs_the_wallet_forgot_stays_posted() {
        let seen = read(&[entry(Category::Receive, 0, 5)]).unwrap();
        assert!(is_ours(Some(&posted(true)), &seen));
        assert!(!is_ours(Some(&posted(false)), &seen));
        assert_eq!(decide(Some(&posted(true)), &TxState::Limbo, false), Decision::Note);
        assert_eq!(decide(Some(&posted(false)), &TxState::Pending, false), Decision::Reverse);
    }

    #[test]
    fn nothing_is_taken_back_while_its_block_stands() {
        assert_eq!(decide(Some(&posted(false)), &TxState::Dead, true), Decision::Keep);
        assert_eq!(decide(Some(&posted(false)), &TxState::Dead, false), Decision::Reverse);
        assert_eq!(decide(None, &TxState::Dead, false), Decision::Note);
    }

    #[test]
    fn a_wallet_that_forgets_is_no_proof() {
        assert_eq!(forgotten(&posted(true), false, true), TxState::Mempool);
        assert_eq!(forgotten(&posted(true), false, false), TxState::Limbo);
        let block = BlockHash::from_bytes([2; 32]);
        let confirmed = TxState::Confirmed { height: 1, block };
        assert_eq!(forgotten(&Followed { state: confirmed, ..posted(false) }, false, false), confirmed);
        let payment = Followed { state: confirmed, ..posted(true) };
        assert_eq!(forgotten(&payment, true, false), confirmed);
        assert_eq!(
            forgotten(&payment, false, false),
            TxState::Limbo,
            "its block is gone: a branch that grows does not make it final"
        );
        assert_eq!(forgotten(&payment, false, true), TxState::Mempool);
        let immature = TxState::Immature { height: 1, block };
        let memo = Followed { event: None, state: immature, ..posted(false) };
        assert_eq!(forgotten(&memo, true, false), immature);
        assert_eq!(forgotten(&memo, false, false), TxState::Dead);
        assert_eq!(forgotten(&Followed { state: TxState::Pending, ..memo }, false, false), TxState::Dead);
    }
}
