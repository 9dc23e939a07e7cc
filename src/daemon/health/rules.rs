//! What the facts about a daemon mean. Pure.

use super::{Answering, ChainFacts, Condition, ConditionKind, DiskFacts, Facts, Limits, PruneFacts, Severity, WalletFacts};
use crate::coin::{Deadline, Timestamp};

/// The consensus rules let a block's time be two hours ahead of the clock, and no more.
const TIP_AHEAD_S: i64 = 7200;
/// A host that keeps its time is within seconds; from five minutes on something is wrong with it, or with the peers.
const OFFSET_WARNING_S: u64 = 300;
/// Beyond 70 minutes daemons stop following their peers' clocks, and begin to refuse good blocks.
const OFFSET_CRITICAL_S: u64 = 4200;
/// Headers come before blocks: so few missing are a matter of seconds.
const BLOCKS_BEHIND: u64 = 3;
/// An upgrade needs some days of preparation, and more of finding the time.
const NOTICE_DAYS: i64 = 30;
const DAY_S: i64 = 86_400;

/// What a person should know, the worst first. Empty: the daemon is ready, and all that could be found out is well.
pub fn conditions(facts: &Facts, limits: &Limits<'_>, now: Timestamp) -> Vec<Condition> {
    let mut found = Vec::new();
    found.extend(answering(&facts.answering));
    if let Some(chain) = &facts.chain {
        found.extend(syncing(chain, limits).or_else(|| stalled(chain, limits, now)));
    }
    found.extend(isolated(facts.peers, limits));
    found.extend(skew(facts, now));
    found.extend(facts.disks.iter().filter_map(|disk| space(disk, limits.settings.min_free_mib)));
    found.extend(wallet(&facts.wallet));
    found.extend(pruned(facts).or_else(|| about_to_prune(facts)));
    found.extend(version(facts.version, limits, now));
    found.sort_by(|one, other| other.severity.cmp(&one.severity).then(one.kind.cmp(&other.kind)));
    found
}

fn condition(kind: ConditionKind, severity: Severity, words: String, next: &str) -> Condition {
    Condition { kind, severity, words, next: Some(next.to_owned()).filter(|next| !next.is_empty()) }
}

fn answering(answering: &Answering) -> Option<Condition> {
    match answering {
        Answering::Yes => None,
        Answering::WarmingUp(words) => {
            let words = format!("the daemon is starting and says: {words}");
            Some(condition(ConditionKind::WarmingUp, Severity::Warning, words, "wait; its debug.log shows how far it is"))
        }
        Answering::No(why) => {
            let words = format!("the daemon gives no answer: {why}");
            let next = "`bursar daemon status` tells whether it runs; its debug.log tells what it is busy with";
            Some(condition(ConditionKind::Unresponsive, Severity::Critical, words, next))
        }
    }
}

fn syncing(chain: &ChainFacts, limits: &Limits<'_>) -> Option<Condition> {
    let behind = chain.headers.unwrap_or(0).saturating_sub(chain.blocks);
    // A private chain whose last block is a day old counts as being fetched, by a rule meant for public ones.
    let fetching = chain.initial_download == Some(true) && !limits.private_chain;
    if !fetching && behind <= BLOCKS_BEHIND {
        return None;
    }
    let words = match chain.headers {
        Some(headers) if behind > 0 => format!("the daemon fetches the chain: block {} of {headers}", chain.blocks),
        _ => format!("the daemon fetches the chain: block {}", chain.blocks),
    };
    Some(condition(ConditionKind::Syncing, Severity::Warning, words, "wait until it has caught up; payouts stay queued"))
}

fn stalled(chain: &ChainFacts, limits: &Limits<'_>, now: Timestamp) -> Option<Condition> {
    let tip_time = chain.tip_time_s.filter(|_| !limits.private_chain)?;
    let patience_s = limits.block_time_s.saturating_mul(limits.settings.stalled_after_blocks);
    let age_s = now.0.saturating_sub(tip_time);
    if age_s <= i64::try_from(patience_s).unwrap_or(i64::MAX) {
        return None;
    }
    let words = format!(
        "no block for {} minutes, where one is expected every {} s: the last is number {}",
        age_s / 60,
        limits.block_time_s,
        chain.blocks
    );
    let next = "compare the height with another node; look for a full disk, a wrong clock, or peers that are cut off";
    Some(condition(ConditionKind::Stalled, Severity::Critical, words, next))
}

fn isolated(peers: Option<u64>, limits: &Limits<'_>) -> Option<Condition> {
    let peers = peers.filter(|peers| *peers < limits.settings.min_peers)?;
    let next = "look at the network and the firewall; health.min_peers sets the limit";
    if peers == 0 {
        let words = "the daemon has no peer: it sees no new block and sends no payment on".to_owned();
        return Some(condition(ConditionKind::Isolated, Severity::Critical, words, next));
    }
    let words = format!("the daemon has {peers} peers, fewer than {}", limits.settings.min_peers);
    Some(condition(ConditionKind::Isolated, Severity::Warning, words, next))
}

fn skew(facts: &Facts, now: Timestamp) -> Option<Condition> {
    let next = "set the host's clock by NTP; daemons refuse good blocks when it is wrong";
    let ahead_s = facts.chain.as_ref().and_then(|chain| chain.tip_time_s).map_or(0, |time| time.saturating_sub(now.0));
    if ahead_s > TIP_AHEAD_S {
        let words = format!("the last block is {} minutes ahead of this host's clock", ahead_s / 60);
        return Some(condition(ConditionKind::ClockSkew, Severity::Critical, words, next));
    }
    let offset_s = facts.time_offset_s.filter(|offset| offset.unsigned_abs() >= OFFSET_WARNING_S)?;
    let severity = if offset_s.unsigned_abs() >= OFFSET_CRITICAL_S { Severity::Critical } else { Severity::Warning };
    let words = format!("the peers' clocks differ from this host's by {offset_s} s");
    Some(condition(ConditionKind::ClockSkew, severity, words, next))
}

fn space(disk: &DiskFacts, min_free_mib: u64) -> Option<Condition> {
    let free = disk.free_mib?;
    let words = format!("{free} MiB free where {} writes ({})", disk.whose, disk.folder);
    let at = |severity, words| Some(condition(ConditionKind::DiskSpace, severity, words, "make room before the daemon stops"));
    if free < min_free_mib {
        at(Severity::Critical, format!("{words}; payouts stop below {min_free_mib}"))
    } else if free < min_free_mib.saturating_mul(2) {
        at(Severity::Warning, format!("{words}; payouts will stop below {min_free_mib}"))
    } else {
        None
    }
}

fn wallet(wallet: &WalletFacts) -> Option<Condition> {
    match wallet {
        WalletFacts::Loaded { locked: Some(true), .. } => {
            let words = "the wallet is locked: nothing can be paid until it is unlocked".to_owned();
            let next =
                "set wallet.passphrase_file, and bursar opens it for each send; or open it by hand, then `bursar pay flush`";
            Some(condition(ConditionKind::WalletLocked, Severity::Remark, words, next))
        }
        WalletFacts::NotLoaded { has_file: Some(false) } => {
            let words = "the wallet has no file".to_owned();
            let next = "bring the wallet's files back, then start the daemon again; see `bursar backup list`";
            Some(condition(ConditionKind::WalletMissing, Severity::Critical, words, next))
        }
        WalletFacts::NotLoaded { .. } => {
            let words = "the daemon has not loaded the wallet".to_owned();
            Some(condition(
                ConditionKind::WalletNotLoaded,
                Severity::Critical,
                words,
                "the next sync loads it: `bursar ledger sync`",
            ))
        }
        WalletFacts::Loaded { .. } | WalletFacts::Unknown => None,
    }
}

fn pruned(facts: &Facts) -> Option<Condition> {
    let WalletFacts::Loaded { born_by_s: Some(born_by), .. } = facts.wallet else { return None };
    let oldest = facts.chain.as_ref()?.pruned_until_s.filter(|oldest| *oldest > born_by)?;
    let words = format!(
        "the daemon has no block from before {}, and the wallet is older: no rescan can find all of its payments",
        Timestamp(oldest)
    );
    let next = "keep more blocks (daemon.prune_mib), or none away; until then a lost transaction comes back only from a backup";
    Some(condition(ConditionKind::PrunedTooFar, Severity::Warning, words, next))
}

/// Pruning that is to be switched on, as long as it can still be left.
pub fn about_to_prune(facts: &Facts) -> Option<Condition> {
    let PruneFacts { mib, kept_from_s } = facts.about_to_prune?;
    let born_by_s = if let WalletFacts::Loaded { born_by_s, .. } = facts.wallet { born_by_s } else { None };
    if let (Some(born), Some(kept)) = (born_by_s, kept_from_s)
        && born >= kept
    {
        return None;
    }
    let date = |time: Option<i64>| time.map(|time| Timestamp(time).to_string());
    let kept = date(kept_from_s).unwrap_or_else(|| "a time that could not be read".to_owned());
    let born = date(born_by_s).map_or_else(|| "its age is not known now".to_owned(), |born| format!("it was made by {born}"));
    let words = format!(
        "with daemon.prune_mib = {mib} the daemon's next start deletes all blocks from before {kept}, and the wallet may be older ({born}): \
         no rescan could find all of its payments then"
    );
    let next = "leave daemon.prune_mib out or set more, unless the wallet is younger than what is kept; only a new download brings blocks back";
    Some(condition(ConditionKind::PrunedTooFar, Severity::Warning, words, next))
}

fn version(version: Option<u64>, limits: &Limits<'_>, now: Timestamp) -> Option<Condition> {
    let version = version.filter(|version| *version > 0)?;
    let due = limits.versions.deadlines.iter().filter(|deadline| version < deadline.below);
    let due = due.filter_map(|deadline| upgrade(deadline, version, now)).max_by_key(|condition| condition.severity);
    due.or_else(|| {
        let oldest = limits.versions.oldest_supported.filter(|oldest| version < *oldest)?;
        let words = format!("the daemon's version {version} gets no fixes any more; the oldest that does is {oldest}");
        Some(condition(ConditionKind::OldVersion, Severity::Warning, words, "plan an upgrade of the daemon"))
    })
}

fn upgrade(deadline: &Deadline, version: u64, now: Timestamp) -> Option<Condition> {
    let Deadline { below, date, reason } = deadline;
    let words = format!("the daemon's version {version} must be replaced by {below} or newer until {date}: {reason}");
    let next = "upgrade the daemon; `bursar backup create` first";
    let day = date.parse::<jiff::civil::Date>().ok().and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    let left_s = day.map(|day| day.timestamp().as_second().saturating_sub(now.0));
    match left_s {
        Some(left_s) if left_s <= 0 => Some(condition(ConditionKind::OldVersion, Severity::Critical, words, next)),
        Some(left_s) if left_s > NOTICE_DAYS * DAY_S => None,
        // A date that cannot be read is said rather than passed over.
        _ => Some(condition(ConditionKind::OldVersion, Severity::Warning, words, next)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::coin::Versions;
    use crate::config::HealthSettings;

    const NOW: Timestamp = Timestamp(1_800_000_000);
    const SETTINGS: HealthSettings = HealthSettings { min_peers: 3, stalled_after_blocks: 16, min_free_mib: 1000 };

    fn well() -> Facts {
        Facts {
            answering: Answering::Yes,
            chain: Some(ChainFacts {
                blocks: 100,
                tip: None,
                headers: Some(100),
                initial_download: Some(false),
                tip_time_s: Some(NOW.0 - 60),
                pruned_until_s: None,
            }),
            peers: Some(8),
            time_offset_s: Some(-1),
            version: Some(210_200),
            wallet: WalletFacts::Loaded { locked: None, born_by_s: Some(NOW.0 - 1000), keypool: Some(1000) },
            about_to_prune: None,
            disks: vec![DiskFacts { whose: "the daemon", folder: "/d".to_owned(), free_mib: Some(5000) }],
        }
    }

    fn versions() -> Versions {
        let deadline = Deadline { below: 220_000, date: "2027-02-01".to_owned(), reason: "a fork".to_owned() };
        Versions { oldest_supported: Some(200_000), deadlines: vec![deadline] }
    }

    fn judged(facts: &Facts, now: Timestamp) -> Vec<(ConditionKind, Severity)> {
        let versions = versions();
        let limits = Limits { settings: &SETTINGS, versions: &versions, block_time_s: 150, private_chain: false };
        conditions(facts, &limits, now).into_iter().map(|found| (found.kind, found.severity)).collect()
    }

    fn in_chain(change: impl FnOnce(&mut ChainFacts)) -> Vec<(ConditionKind, Severity)> {
        let mut facts = well();
        change(facts.chain.as_mut().unwrap());
        judged(&Facts { version: None, ..facts }, NOW)
    }

    use ConditionKind::*;
    use Severity::*;

    #[test]
    fn a_daemon_that_is_well_has_no_condition_and_what_is_unknown_is_not_wrong() {
        assert_eq!(in_chain(|_| ()), []);
        let silent = Facts {
            chain: None,
            peers: None,
            time_offset_s: None,
            version: None,
            wallet: WalletFacts::Unknown,
            disks: vec![DiskFacts { whose: "x", folder: String::new(), free_mib: None }],
            ..well()
        };
        assert_eq!(judged(&silent, NOW), []);
        let old = ChainFacts { blocks: 7, ..ChainFacts::default() };
        assert_eq!(judged(&Facts { chain: Some(old), ..silent }, NOW), []);
    }

    #[test]
    fn the_chain_is_fetched_or_stalls_or_is_ahead_of_our_clock() {
        assert_eq!(in_chain(|chain| chain.initial_download = Some(true)), [(Syncing, Warning)]);
        assert_eq!(in_chain(|chain| chain.headers = Some(104)), [(Syncing, Warning)]);
        assert_eq!(in_chain(|chain| chain.headers = Some(103)), []);
        assert_eq!(in_chain(|chain| chain.tip_time_s = Some(NOW.0 - 2400)), []);
        assert_eq!(in_chain(|chain| chain.tip_time_s = Some(NOW.0 - 2401)), [(Stalled, Critical)]);
        assert_eq!(in_chain(|chain| chain.tip_time_s = Some(NOW.0 + 7201)), [(ClockSkew, Critical)]);
        let syncing = in_chain(|chain| (chain.headers, chain.tip_time_s) = (Some(900), Some(0)));
        assert_eq!(syncing, [(Syncing, Warning)], "old blocks are no stall while it catches up");
    }

    #[test]
    fn a_private_chain_neither_stalls_nor_is_fetched_for_its_age() {
        let mut facts = well();
        facts.chain = Some(ChainFacts { initial_download: Some(true), tip_time_s: Some(1), ..ChainFacts::default() });
        let (settings, versions) = (HealthSettings { min_peers: 0, ..SETTINGS }, Versions::default());
        let limits = Limits { settings: &settings, versions: &versions, block_time_s: 150, private_chain: true };
        assert_eq!(conditions(&Facts { peers: Some(0), ..facts }, &limits, NOW), []);
    }

    #[test]
    fn peers_and_clocks_have_two_limits() {
        assert_eq!(judged(&Facts { peers: Some(3), version: None, ..well() }, NOW), []);
        assert_eq!(judged(&Facts { peers: Some(2), version: None, ..well() }, NOW), [(Isolated, Warning)]);
        assert_eq!(judged(&Facts { peers: Some(0), version: None, ..well() }, NOW), [(Isolated, Critical)]);
        assert_eq!(judged(&Facts { time_offset_s: Some(-300), version: None, ..well() }, NOW), [(ClockSkew, Warning)]);
        assert_eq!(judged(&Facts { time_offset_s: Some(4200), version: None, ..well() }, NOW), [(ClockSkew, Critical)]);
    }

    #[test]
    fn a_daemon_that_does_not_answer_says_why() {
        let loading = Answering::WarmingUp("Loading wallet...".to_owned());
        let silent =
            Facts { chain: None, peers: None, time_offset_s: None, version: None, wallet: WalletFacts::Unknown, ..well() };
        assert_eq!(judged(&Facts { answering: loading, ..silent.clone() }, NOW), [(WarmingUp, Warning)]);
        assert_eq!(judged(&Facts { answering: Answering::No("x".to_owned()), ..silent }, NOW), [(Unresponsive, Critical)]);
    }

    #[test]
    fn a_wallet_is_missing_unloaded_locked_or_older_than_the_blocks() {
        let wallet = |wallet| judged(&Facts { wallet, version: None, ..well() }, NOW);
        assert_eq!(wallet(WalletFacts::NotLoaded { has_file: Some(false) }), [(WalletMissing, Critical)]);
        assert_eq!(wallet(WalletFacts::NotLoaded { has_file: Some(true) }), [(WalletNotLoaded, Critical)]);
        assert_eq!(wallet(WalletFacts::NotLoaded { has_file: None }), [(WalletNotLoaded, Critical)]);
        assert_eq!(wallet(WalletFacts::Loaded { locked: Some(true), born_by_s: None, keypool: None }), [(WalletLocked, Remark)]);
        assert_eq!(in_chain(|chain| chain.pruned_until_s = Some(NOW.0 - 999)), [(PrunedTooFar, Warning)]);
        assert_eq!(in_chain(|chain| chain.pruned_until_s = Some(NOW.0 - 1000)), []);
    }

    #[test]
    fn pruning_that_would_delete_blocks_of_the_wallets_time_is_told_before() {
        let with = |kept_from_s, facts: Facts| Facts { about_to_prune: Some(PruneFacts { mib: 550, kept_from_s }), ..facts };
        let told = |facts: &Facts| about_to_prune(facts).map(|condition| condition.words);
        let words = told(&with(Some(NOW.0 - 999), well())).unwrap();
        assert!(words.contains(&Timestamp(NOW.0 - 999).to_string()), "{words}");
        assert!(words.contains(&Timestamp(NOW.0 - 1000).to_string()), "{words}");
        assert_eq!(told(&with(Some(NOW.0 - 1000), well())), None);
        let silent = Facts { wallet: WalletFacts::Unknown, ..well() };
        assert!(told(&with(Some(NOW.0), silent)).unwrap().contains("not known"));
        assert!(told(&with(None, well())).unwrap().contains("could not be read"));
        assert_eq!(told(&well()), None);
    }

    #[test]
    fn an_upgrade_is_announced_thirty_days_ahead() {
        // 2027-02-01T00:00:00Z
        let day = 1_801_440_000;
        let at = |seconds| {
            let facts = Facts { chain: None, ..well() };
            judged(&facts, Timestamp(day + seconds))
        };
        assert_eq!(at(-30 * DAY_S - 1), []);
        assert_eq!(at(-30 * DAY_S), [(OldVersion, Warning)]);
        assert_eq!(at(-1), [(OldVersion, Warning)]);
        assert_eq!(at(0), [(OldVersion, Critical)]);
        let old = Facts { version: Some(190_000), chain: None, ..well() };
        assert_eq!(judged(&old, Timestamp(day - 90 * DAY_S)), [(OldVersion, Warning)], "no longer supported");
        let new = Facts { version: Some(220_000), chain: None, ..well() };
        assert_eq!(judged(&new, Timestamp(day)), []);
    }

    proptest! {
        #[test]
        fn less_room_is_never_better(free in 0_u64..3000, less in 0_u64..3000) {
            let worst = |free| {
                let disk = DiskFacts { whose: "x", folder: String::new(), free_mib: Some(free) };
                space(&disk, 1000).map(|condition| condition.severity)
            };
            prop_assert!(worst(free.min(less)) >= worst(free.max(less)));
            prop_assert_eq!(worst(free) == Some(Critical), free < 1000);
        }

        #[test]
        fn no_number_breaks_the_rules(
            numbers in proptest::array::uniform4(any::<i64>()),
            counts in proptest::array::uniform4(any::<u64>()),
        ) {
            let [tip_time, pruned, offset, now] = numbers;
            let [blocks, headers, peers, version] = counts;
            let chain = ChainFacts {
                blocks, tip: None, headers: Some(headers), initial_download: None,
                tip_time_s: Some(tip_time), pruned_until_s: Some(pruned),
            };
            let facts = Facts {
                chain: Some(chain), peers: Some(peers), time_offset_s: Some(offset), version: Some(version), ..well()
            };
            let found = judged(&facts, Timestamp(now));
            prop_assert!(found.windows(2).all(|pair| pair[0].1 >= pair[1].1), "the worst comes first");
        }
    }
}
