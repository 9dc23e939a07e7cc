//! Which of a wallet's payments came back to itself.
//!
//! A wallet lists what it pays to an address of its own twice, as `send` and as `receive`. The two are told by their output or, where it has none on the chain
//! (Litecoin's extension block, MWEB), by address and amount: both lines are of one transaction.

use crate::coin::Amount;
use crate::daemon::{Category, Entry};

/// For each entry of one transaction, in their order: whether it paid an output that the wallet received.
pub(super) fn returned(entries: &[Entry]) -> Vec<bool> {
    let mut received: Vec<&Entry> = entries.iter().filter(|entry| entry.category == Category::Receive).collect();
    let is_received = |send: &Entry| {
        if send.category != Category::Send {
            return false;
        }
        if send.vout.is_some() {
            return received.iter().any(|receipt| receipt.vout == send.vout);
        }
        let back = send.amount.checked_neg();
        let same = |receipt: &&Entry| {
            receipt.vout.is_none() && send.address.is_some() && receipt.address == send.address && Ok(receipt.amount) == back
        };
        // Each receipt answers one payment: somebody else may have an output of the same amount.
        let found = received.iter().position(|receipt| same(receipt) && send.amount < Amount::ZERO);
        found.map(|at| received.swap_remove(at)).is_some()
    };
    entries.iter().map(is_received).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::{Timestamp, Txid};

    fn entry(category: Category, vout: Option<u32>, address: &str, amount: i64) -> Entry {
        Entry {
            txid: Txid::from_bytes([1; 32]),
            vout,
            category,
            address: Some(address.to_owned()).filter(|address| !address.is_empty()),
            amount: Amount::from_base_units(amount),
            fee: None,
            confirmations: 0,
            block: None,
            abandoned: false,
            comment: None,
            time: Timestamp(5),
        }
    }

    fn paid(vout: Option<u32>, address: &str, amount: i64) -> Entry {
        entry(Category::Send, vout, address, -amount)
    }

    fn got(vout: Option<u32>, address: &str, amount: i64) -> Entry {
        entry(Category::Receive, vout, address, amount)
    }

    #[test]
    fn what_came_back_by_its_output_is_within() {
        assert_eq!(returned(&[paid(Some(0), "a", 5), paid(Some(1), "b", 5), got(Some(1), "b", 5)]), [false, true, false]);
    }

    #[test]
    fn without_an_output_address_and_amount_tell_and_each_receipt_once() {
        let [hidden, other] = ["mweb", "other"];
        assert_eq!(returned(&[paid(None, hidden, 5), got(None, hidden, 5)]), [true, false]);
        assert_eq!(returned(&[paid(None, hidden, 5), paid(None, hidden, 5), got(None, hidden, 5)]), [true, false, false]);
        for receipt in [got(None, hidden, 4), got(None, other, 5), got(Some(0), hidden, 5)] {
            assert_eq!(returned(&[paid(None, hidden, 5), receipt.clone()]), [false, false], "{receipt:?}");
        }
        assert_eq!(returned(&[paid(None, "", 5), got(None, "", 5)]), [false, false], "no address");
    }
}
