//! When a wallet holds less than it did. Pure.

use super::Holdings;

/// What is wrong, in one sentence; none: it holds at least what it held. `vanished`: transactions that it may have forgotten rightly.
pub(super) fn loss(wallet: &str, known: &Holdings, found: &Holdings, vanished: u64) -> Option<String> {
    let fewer = |what: &str, found: u64, known: u64| (found < known).then(|| format!("{found} {what}, and had {known}"));
    let lost_transactions = found.tx_count.saturating_add(vanished) < known.tx_count;
    let transactions = fewer("transactions", found.tx_count, known.tx_count).filter(|_| lost_transactions);
    let addresses = fewer("addresses", found.addresses, known.addresses);
    let lost: Vec<String> = transactions.into_iter().chain(addresses).collect();
    if lost.is_empty() {
        return None;
    }
    Some(format!(
        "wallet '{wallet}' has lost what it knew: it has {}; the daemon may have put a new, a partial or an older file in its place",
        lost.join(", and it has ")
    ))
}

/// The record after a comparison that found no loss: it grows, and follows what rightly went.
pub(super) fn grown(known: &Holdings, found: &Holdings, vanished: u64) -> Holdings {
    Holdings {
        tx_count: found.tx_count.max(known.tx_count.saturating_sub(vanished)),
        addresses: found.addresses.max(known.addresses),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(tx_count: u64, addresses: u64) -> Holdings {
        Holdings { tx_count, addresses }
    }

    #[test]
    fn fewer_are_a_loss_and_both_numbers_are_told() {
        assert_eq!(loss("w", &of(5, 9), &of(5, 9), 0), None);
        assert_eq!(loss("w", &of(5, 9), &of(8, 9), 0), None);
        let words = loss("hot", &of(57, 20), &of(12, 3), 0).unwrap();
        assert!(words.contains("'hot'") && words.contains("12 transactions, and had 57"), "{words}");
        assert!(words.contains("it has 3 addresses, and had 20"), "{words}");
        assert!(loss("w", &of(5, 9), &of(50, 8), 0).is_some_and(|words| !words.contains("transactions")));
    }

    #[test]
    fn a_stranger_that_takes_back_what_never_confirmed_freezes_nobody() {
        assert_eq!(loss("w", &of(5, 9), &of(4, 9), 1), None);
        assert_eq!(grown(&of(5, 9), &of(4, 9), 1), of(4, 9));
        assert!(loss("w", &of(5, 9), &of(3, 9), 1).is_some());
    }

    proptest! {
        #[test]
        fn what_is_no_loss_is_none_after_it_was_recorded(
            known in any::<(u64, u64)>(), found in any::<(u64, u64)>(), vanished in any::<u64>(),
        ) {
            let (known, found) = (of(known.0, known.1), of(found.0, found.1));
            if loss("w", &known, &found, vanished).is_none() {
                let next = grown(&known, &found, vanished);
                prop_assert!(next.addresses >= known.addresses && next.tx_count >= known.tx_count.saturating_sub(vanished));
                prop_assert!(next.tx_count >= found.tx_count);
                prop_assert_eq!(loss("w", &next, &found, vanished), None);
            }
        }
    }
}
