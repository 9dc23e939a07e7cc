//! What is due, what an archive is called, and whether a restored wallet is the one that was backed up. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use super::{BackupReport, SUFFIX};
use crate::coin::Timestamp;
use crate::daemon::WalletIdentity;
use crate::ledger::VerifyReport as LedgerReport;

/// Hex digits of the archive's hash in its name.
const HASH_IN_NAME: usize = 8;

/// One comparison of a drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was compared.
    pub name: String,
    /// Whether it agrees.
    pub passed: bool,
    /// What was found, for a person.
    pub detail: String,
}

/// Why a backup should be made now, whatever the schedule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is none yet.
    Never,
    /// The wallet has other keys than the one that was backed up.
    OtherKeys,
    /// The wallet was encrypted since: that may have made a new seed, which no earlier backup holds
    /// (https://github.com/bitcoin/bitcoin/pull/8389).
    Encrypted,
    /// The last backup did not reach every destination.
    Incomplete,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Never => "there is no backup yet",
            Reason::OtherKeys => "the wallet has other keys than the last backup",
            Reason::Encrypted => "the wallet was encrypted after the last backup, which may not hold its new keys",
            Reason::Incomplete => "the last backup did not reach every destination",
        })
    }
}

/// What the last backup knew of the wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LastBackup {
    pub(super) report: BackupReport,
    pub(super) fingerprint: Option<String>,
    pub(super) encrypted: bool,
}

/// Whether a backup is due for another reason than the schedule.
pub(super) fn due(last: Option<&LastBackup>, wallet: &WalletIdentity) -> Option<Reason> {
    let Some(last) = last else { return Some(Reason::Never) };
    if last.fingerprint != wallet.fingerprint {
        return Some(Reason::OtherKeys);
    }
    if wallet.encrypted && !last.encrypted {
        return Some(Reason::Encrypted);
    }
    (!last.report.complete).then_some(Reason::Incomplete)
}

/// `<coin>-<time>-<start of its SHA-256>.bursar.age`: sorts by time, and shows by itself whether the bytes are the ones written.
pub(super) fn archive_name(instance: &str, created: Timestamp, sha256: &str) -> String {
    let start = sha256.get(..HASH_IN_NAME).unwrap_or(sha256);
    format!("{instance}-{}-{start}{SUFFIX}", created.compact())
}

/// Whether a file name is that of an archive of this coin instance. `ltc` and `ltc-2` are two instances.
pub(super) fn is_archive_of(instance: &str, file_name: &str) -> bool {
    let middle = file_name.strip_suffix(SUFFIX).and_then(|rest| rest.strip_prefix(instance)?.strip_prefix('-'));
    let Some((time, hash)) = middle.and_then(|middle| middle.split_once('-')) else { return false };
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    time.len() == "20260102T030405Z".len() && time.ends_with('Z') && hash.len() == HASH_IN_NAME && is_hex(hash)
}

/// Why an archive is not for this coin instance.
pub(super) fn foreign(manifest: &Manifest, instance: &str, coin: &str, chain: crate::coin::Chain) -> Option<String> {
    let other = manifest.coin != coin || manifest.chain != chain || manifest.instance != instance;
    let described = format!("{} ({}, {} chain)", manifest.instance, manifest.coin, manifest.chain);
    other.then(|| format!("it is a backup of {described}, not of {instance} ({coin}, {chain} chain)"))
}

/// What the throwaway daemon and the restored store said.
#[derive(Clone, Debug)]
pub(super) struct Restored {
    pub(super) wallet: WalletIdentity,
    /// Addresses of the manifest whose keys the restored wallet does not hold although the original did.
    pub(super) keys_missing: Vec<String>,
    pub(super) store_id: String,
    pub(super) ledger: LedgerReport,
}

/// The verdict of a drill, comparison by comparison.
pub(super) fn compare(manifest: &Manifest, restored: &Restored) -> Vec<Check> {
    vec![
        fingerprint(manifest, &restored.wallet),
        keys(manifest, restored),
        transactions(manifest, &restored.wallet),
        check("encryption", manifest.wallet.encrypted == restored.wallet.encrypted, || {
            let word = |encrypted| if encrypted { "encrypted" } else { "not encrypted" };
            format!("{} then, {} restored", word(manifest.wallet.encrypted), word(restored.wallet.encrypted))
        }),
        check("store", manifest.store_id == restored.store_id, || format!("id {}", restored.store_id)),
        ledger(&manifest.ledger, &restored.ledger),
    ]
}

/// Whether an archive is, to the byte, the one that the store recorded under its name.
pub(super) fn recorded(recorded: Option<&str>, found: &str) -> Check {
    match recorded {
        None => check("archive", true, || "this store did not record it: it proves itself only".to_owned()),
        Some(then) if then == found => check("archive", true, || "as recorded when it was made".to_owned()),
        Some(then) => check("archive", false, || format!("SHA-256 {found}, recorded {then}: it was replaced")),
    }
}

fn check(name: &str, passed: bool, detail: impl FnOnce() -> String) -> Check {
    Check { name: name.to_owned(), passed, detail: detail() }
}

fn fingerprint(manifest: &Manifest, restored: &WalletIdentity) -> Check {
    match (&manifest.wallet.fingerprint, &restored.fingerprint) {
        (Some(then), Some(now)) if then == now => check("fingerprint", true, || format!("{now} as backed up")),
        (None, _) => {
            // Then the keys are the only proof, and there must be some.
            let has_keys = manifest.addresses.iter().any(|own| own.is_mine);
            check("fingerprint", has_keys, || "this daemon names none; the keys are compared instead".to_owned())
        }
        (Some(then), now) => {
            let now = now.as_deref().unwrap_or("none");
            check("fingerprint", false, || format!("backed up {then}, restored {now}: this is another wallet"))
        }
    }
}

fn keys(manifest: &Manifest, restored: &Restored) -> Check {
    let own = manifest.addresses.iter().filter(|own| own.is_mine).count();
    match restored.keys_missing.as_slice() {
        [] => check("keys", true, || format!("all {own} addresses have their keys")),
        [first, ..] => {
            let missing = restored.keys_missing.len();
            check("keys", false, || format!("{missing} of {own} addresses have no key in the restored wallet, such as {first}"))
        }
    }
}

fn transactions(manifest: &Manifest, restored: &WalletIdentity) -> Check {
    let (then, now) = (manifest.wallet.tx_count, restored.tx_count);
    check("transactions", now >= then, || format!("{then} backed up, {now} restored"))
}

fn ledger(then: &LedgerReport, now: &LedgerReport) -> Check {
    // An archive of before there was a chronicle tells of none, and the restored store made one.
    let chronicle = if then.chronicle == 0 { now.chronicle } else { then.chronicle };
    let is_same = LedgerReport { chronicle, ..then.clone() } == *now;
    let detail = match &now.fault {
        Some(fault) => format!("is damaged: {}", fault.words),
        None if is_same => format!("whole, {} entries, ends in {}", now.postings, now.head),
        None => format!(
            "{} entries ending in {} were backed up, {} ending in {} restored",
            then.postings, then.head, now.postings, now.head
        ),
    };
    check("ledger", is_same && now.fault.is_none(), || detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::manifest::{MEMBERS, Member, OwnAddress, SCHEMA, WalletFormat};
    use crate::coin::{BlockHash, Chain};
    use crate::daemon::Tip;

    fn identity() -> WalletIdentity {
        WalletIdentity { name: "hot".into(), fingerprint: Some("seed".into()), tx_count: 3, keypool: 10, encrypted: false }
    }

    fn ledger_of(postings: u64) -> LedgerReport {
        LedgerReport {
            postings,
            events: postings,
            head: format!("head {postings}"),
            checkpoints: 0,
            credits: 0,
            chronicle: 0,
            exported: 0,
            unread: None,
            next: None,
            fault: None,
        }
    }

    fn manifest() -> Manifest {
        let member = |name: &str| Member { name: name.to_owned(), size_bytes: 1, sha256: "00".repeat(32) };
        Manifest {
            schema: SCHEMA,
            bursar_version: "0.1.0".into(),
            instance: "ltc".into(),
            coin: "litecoin".into(),
            chain: Chain::Regtest,
            created: Timestamp(0),
            wallet: identity(),
            wallet_format: WalletFormat::Bdb,
            tip: Tip { height: 1, hash: BlockHash::from_bytes([0; 32]) },
            addresses: vec![OwnAddress { address: "mine".into(), is_mine: true }],
            store_id: "store".into(),
            ledger: ledger_of(7),
            members: MEMBERS.map(member).to_vec(),
        }
    }

    fn restored() -> Restored {
        Restored { wallet: identity(), keys_missing: vec![], store_id: "store".into(), ledger: ledger_of(7) }
    }

    fn failed(manifest: &Manifest, restored: &Restored) -> Vec<String> {
        compare(manifest, restored).into_iter().filter(|check| !check.passed).map(|check| check.name).collect()
    }

    #[test]
    fn a_restored_wallet_may_know_more_but_nothing_less_and_nothing_else() {
        assert_eq!(failed(&manifest(), &restored()), Vec::<String>::new());
        let mut more = restored();
        more.wallet.tx_count = 4;
        assert_eq!(failed(&manifest(), &more), Vec::<String>::new());
        let mut other = restored();
        other.wallet.fingerprint = Some("another seed".into());
        other.wallet.tx_count = 0;
        other.keys_missing = vec!["mine".into()];
        assert_eq!(failed(&manifest(), &other), ["fingerprint", "keys", "transactions"]);
        let mut old_store = restored();
        old_store.store_id = "another".into();
        old_store.ledger = ledger_of(6);
        assert_eq!(failed(&manifest(), &old_store), ["store", "ledger"]);
    }

    #[test]
    fn without_a_fingerprint_only_keys_prove_anything() {
        let mut nameless = manifest();
        nameless.wallet.fingerprint = None;
        assert_eq!(failed(&nameless, &restored()), Vec::<String>::new());
        nameless.addresses.clear();
        assert_eq!(failed(&nameless, &restored()), ["fingerprint"]);
    }

    #[test]
    fn an_archive_that_was_replaced_does_not_pass() {
        assert!(recorded(None, "aa").passed);
        assert!(recorded(Some("aa"), "aa").passed);
        assert!(!recorded(Some("bb"), "aa").passed);
    }

    #[test]
    fn a_backup_is_due_when_the_last_one_may_miss_keys() {
        let report = BackupReport {
            archive: "a".into(),
            created: Timestamp(0),
            sha256: String::new(),
            size_bytes: 0,
            destinations: vec![],
            complete: true,
        };
        let last = LastBackup { report, fingerprint: Some("seed".into()), encrypted: false };
        assert_eq!(due(None, &identity()), Some(Reason::Never));
        assert_eq!(due(Some(&last), &identity()), None);
        assert_eq!(due(Some(&last), &WalletIdentity { encrypted: true, ..identity() }), Some(Reason::Encrypted));
        assert_eq!(due(Some(&last), &WalletIdentity { fingerprint: None, ..identity() }), Some(Reason::OtherKeys));
        let mut partly = last;
        partly.report.complete = false;
        assert_eq!(due(Some(&partly), &identity()), Some(Reason::Incomplete));
    }

    #[test]
    fn names_sort_by_time_and_do_not_mix_instances() {
        let name = archive_name("ltc", Timestamp(1_767_323_045), &"ab12cd34".repeat(8));
        assert_eq!(name, "ltc-20260102T030405Z-ab12cd34.bursar.age");
        assert!(is_archive_of("ltc", &name));
        assert!(!is_archive_of("ltc", "ltc-2-20260102T030405Z-ab12cd34.bursar.age"));
        assert!(is_archive_of("ltc-2", "ltc-2-20260102T030405Z-ab12cd34.bursar.age"));
        assert!(!is_archive_of("ltc", ".ltc-x.partial"));
        assert!(!is_archive_of("ltc", "ltc-20260102T030405Z-ab12cd34.bursar.age.tmp"));
    }

    #[test]
    fn an_archive_of_another_coin_chain_or_instance_is_foreign() {
        assert_eq!(foreign(&manifest(), "ltc", "litecoin", Chain::Regtest), None);
        assert!(foreign(&manifest(), "ltc", "litecoin", Chain::Main).is_some());
        assert!(foreign(&manifest(), "ltc", "dogecoin", Chain::Regtest).is_some());
        assert!(foreign(&manifest(), "ltc-2", "litecoin", Chain::Regtest).is_some());
    }
}
