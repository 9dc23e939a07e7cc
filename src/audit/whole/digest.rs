//! What a listing says, whatever its order, in 40 bytes. Pure.

use sha2::Sha256;

use crate::daemon::Entry;

/// Number of entries, and the sum of their hashes modulo 2²⁵⁶: the listing of a daemon has no order that lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    entries: u64,
    sum: [u64; 4],
}

impl Digest {
    /// Adds an entry. One that is not confirmed may change while the tip stands still, and is left aside.
    pub(super) fn add(&mut self, entry: &Entry) {
        if entry.confirmations == 0 {
            return;
        }
        let hash = <Sha256 as sha2::Digest>::digest(format!("{entry:?}"));
        let mut carry = false;
        for (sum, bytes) in self.sum.iter_mut().zip(hash.chunks_exact(8)) {
            let limb = bytes.iter().fold(0_u64, |limb, byte| limb << 8 | u64::from(*byte));
            let (with_carry, first) = sum.overflowing_add(u64::from(carry));
            let (added, second) = with_carry.overflowing_add(limb);
            (*sum, carry) = (added, first || second);
        }
        self.entries += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::coin::{Amount, Timestamp, Txid};
    use crate::daemon::Category;

    fn entry(vout: u32, confirmations: i64) -> Entry {
        Entry {
            txid: Txid::from_bytes([1; 32]),
            vout: Some(vout),
            category: Category::Receive,
            address: None,
            amount: Amount::from_base_units(1),
            fee: None,
            confirmations,
            block: None,
            abandoned: false,
            comment: None,
            time: Timestamp(5),
        }
    }

    fn of(vouts: &[u32]) -> Digest {
        let mut digest = Digest::default();
        vouts.iter().for_each(|vout| digest.add(&entry(*vout, 1)));
        digest
    }

    proptest! {
        #[test]
        fn order_means_nothing_and_everything_else_does(vouts in prop::collection::vec(0..20_u32, 1..30), at in any::<usize>()) {
            let whole = of(&vouts);
            let mut other: Vec<u32> = vouts.iter().rev().copied().collect();
            prop_assert_eq!(&of(&other), &whole);
            let place = at % other.len();
            other[place] += 20;
            prop_assert_ne!(&of(&other), &whole);
            other.remove(place);
            prop_assert_ne!(&of(&other), &whole);
        }
    }

    #[test]
    fn what_is_not_confirmed_is_left_aside() {
        let mut digest = Digest::default();
        digest.add(&entry(1, 0));
        assert_eq!(digest, Digest::default());
        digest.add(&entry(1, -1));
        assert_ne!(digest, Digest::default());
    }
}
