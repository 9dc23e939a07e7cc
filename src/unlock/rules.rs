//! Whether the keys are to be opened, and whose open keys are whose. Pure.

use super::UnlockError;
use crate::coin::Timestamp;
use crate::daemon::LockState;

/// For how long the keys are opened, in seconds: a send may wait in the daemon's queue until it begins, and needs them from then on.
/// It is closed as soon as the send is over; this is for the crash of bursar in between.
pub(super) const SESSION_S: u32 = 60;

/// The daemon counts from when it has opened, and may make keys before that: so long may the call take.
const CALL_S: i64 = 300;

/// How far from the daemon's timer the next call has to be, in seconds: the call itself takes about one.
const CLEAR_OF_TIMER_S: i64 = 3;

/// The last time that we opened the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    /// When the call was about to be made.
    pub(super) opened: Timestamp,
    /// When it was answered; the same until then.
    pub(super) answered: Timestamp,
    /// Whether it is ours to close them.
    pub(super) is_open: bool,
}

/// What is to be done before a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The wallet is not encrypted.
    Nothing,
    /// Somebody has opened it until then.
    UseOpen {
        /// By the daemon's clock.
        until: Timestamp,
    },
    /// Open it.
    Open,
}

/// What is to be done with a wallet in this state, nothing of ours being open.
pub(super) fn step(state: LockState, has_passphrase: bool) -> Result<Step, UnlockError> {
    match state {
        LockState::Unencrypted => Ok(Step::Nothing),
        LockState::OpenUntil(until) => Ok(Step::UseOpen { until }),
        LockState::ForStakingOnly => Err(UnlockError::ForStakingOnly),
        LockState::Locked if has_passphrase => Ok(Step::Open),
        LockState::Locked => Err(UnlockError::NoPassphrase),
    }
}

/// Whether keys that are open until then are those that we opened: a person opens for hours, or came later.
pub(super) fn is_ours(session: &Session, until: Timestamp) -> bool {
    until.0 <= session.opened.0 + i64::from(SESSION_S) + CALL_S
}

/// How many seconds to wait so that a call does not meet the timer by which the daemon closes what we opened last: closing by hand
/// does not stop it.
pub(super) fn seconds_to_wait(last: &Session, now: Timestamp) -> u64 {
    let session_s = i64::from(SESSION_S);
    let (first, latest) = (last.opened.0 + session_s, last.answered.0 + session_s);
    let clear = latest + CLEAR_OF_TIMER_S;
    let meets = first - CLEAR_OF_TIMER_S <= now.0 && now.0 < clear;
    if meets { u64::try_from(clear - now.0).unwrap_or(0) } else { 0 }
}

/// Whether so few keys are left that more are to be made: half of them.
pub(super) fn keypool_is_low(left: u64, full: u64) -> bool {
    left < full.div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_when_less_than_half_is_left() {
        let low = |left, full| keypool_is_low(left, full);
        assert!(low(0, 1) && low(499, 1000) && low(0, 1000));
        assert!(!low(1, 1) && !low(500, 1000) && !low(1000, 1000) && !low(0, 0));
    }

    fn session(opened: i64, answered: i64) -> Session {
        Session { opened: Timestamp(opened), answered: Timestamp(answered), is_open: true }
    }

    #[test]
    fn only_a_locked_wallet_is_opened_and_what_a_person_opened_is_left_alone() {
        assert_eq!(step(LockState::Unencrypted, false).unwrap(), Step::Nothing);
        assert_eq!(step(LockState::Locked, true).unwrap(), Step::Open);
        assert!(matches!(step(LockState::Locked, false), Err(UnlockError::NoPassphrase)));
        let until = Timestamp(9);
        assert_eq!(step(LockState::OpenUntil(until), true).unwrap(), Step::UseOpen { until });
        for has_passphrase in [true, false] {
            assert!(matches!(step(LockState::ForStakingOnly, has_passphrase), Err(UnlockError::ForStakingOnly)));
        }
    }

    #[test]
    fn a_persons_hours_are_not_taken_for_ours() {
        assert!(is_ours(&session(1000, 1000), Timestamp(1060)));
        assert!(is_ours(&session(1000, 1000), Timestamp(1360)), "the daemon made keys for five minutes before it counted");
        assert!(!is_ours(&session(1000, 1000), Timestamp(1000 + 3600)));
    }

    #[test]
    fn the_next_call_keeps_clear_of_the_daemons_timer() {
        let waits = |now| seconds_to_wait(&session(1000, 1002), Timestamp(now));
        assert_eq!((waits(1010), waits(1056), waits(1065)), (0, 0, 0));
        for now in 1057..1065 {
            assert_eq!(now + i64::try_from(waits(now)).unwrap(), 1065);
        }
        assert!((0..2000).all(|now| waits(now) <= 8), "a wait is a matter of seconds");
    }
}
