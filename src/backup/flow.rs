//! Making, listing and verifying archives.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::archive::{self, Source};
use super::destination::{Fanout, hash_file};
use super::manifest::{MEMBERS, Manifest, Member, OwnAddress, SCHEMA, SETTINGS, STORE, WALLET, WalletFormat};
use super::rules::{self, Reason};
use super::staging::{io_at, private_dir, remove, sweep};
use super::{ArchiveError, BackupError, BackupReport, Destination, DrillRecord, Listed, VerifyReport, identity, records, unpack};
use crate::coin::Timestamp;
use crate::config::CoinSettings;
use crate::daemon::{Wallet, WalletIdentity};
use crate::ledger::{self, VerifyReport as LedgerReport};
use crate::store::{Store, StoreError, Tx};

/// Start of the names of staging folders.
const STAGING: &str = "backup-";
/// Start of the names of folders in which an archive is verified.
const VERIFYING: &str = "verify-";

/// Makes one encrypted archive and puts it into every configured directory, each on its own.
///
/// The daemon writes the wallet's copy itself (a file copied under a running daemon misses what is in its database logs), after
/// everything that the manifest says of the wallet was asked: so the copy can only know more. Plaintext is in private folders only
/// while this runs. Recorded, whether it succeeds or not; `complete` is false when a directory failed.
pub fn create(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    settings_file: &Path,
    now: Timestamp,
) -> Result<BackupReport, BackupError> {
    let made = make(store, wallet, coin, settings_file, now);
    match &made {
        Ok((report, identity)) => {
            store.write(|tx| records::insert_backup(tx, report, identity))?;
            tracing::info!(coin = coin.name, archive = report.archive, complete = report.complete, "backup written");
        }
        Err(error) => {
            tracing::error!(coin = coin.name, "backup failed: {error}");
            store.write(|tx| records::insert_failure(tx, &error.to_string(), now))?;
        }
    }
    made.map(|(report, _)| report)
}

fn make(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    settings_file: &Path,
    now: Timestamp,
) -> Result<(BackupReport, WalletIdentity), BackupError> {
    configured(coin)?;
    let recipients = archive::recipients(&coin.backup.recipients)?;
    sweep(&coin.handover_dir(), STAGING)?;
    sweep(&coin.service_dir(), STAGING)?;
    // The wallet passes through a folder that the daemon can write to; the store never leaves the service's own.
    let from_daemon = private_dir(&coin.handover_dir(), STAGING)?;
    let own = private_dir(&coin.service_dir(), STAGING)?;
    let result = (|| {
        let mut manifest = describe(store, wallet, coin, now)?;
        let (wallet_file, store_file) = (from_daemon.path().join(WALLET), own.path().join(STORE));
        wallet.backup_to(&wallet_file)?;
        manifest.wallet_format = wallet_format(&wallet_file)?;
        store.copy_to(&store_file)?;
        let sources = [(WALLET, wallet_file.as_path()), (STORE, &store_file), (SETTINGS, settings_file)];
        let sources = sources.map(|(name, file)| Source { name, file });
        manifest.members = sources.iter().map(member).collect::<Result<_, _>>()?;
        let report = publish(&manifest, &sources, &recipients, coin)?;
        Ok((report, manifest.wallet))
    })();
    remove(from_daemon)?;
    remove(own)?;
    result
}

fn configured(coin: &CoinSettings) -> Result<(), BackupError> {
    let empty = |key, hint| Err(BackupError::NotConfigured { coin: coin.name.clone(), key, hint });
    if coin.backup.recipients.is_empty() {
        return empty(
            "recipients",
            "`age-keygen` makes a pair: its public key (age1…) goes there, the private one off this machine",
        );
    }
    if coin.backup.directories.is_empty() {
        return empty("directories", "name at least one, better two on different disks or hosts");
    }
    Ok(())
}

fn describe(store: &mut Store, wallet: &dyn Wallet, coin: &CoinSettings, now: Timestamp) -> Result<Manifest, BackupError> {
    let own = |address: String| -> Result<OwnAddress, BackupError> {
        let is_mine = wallet.address(&address)?.is_mine;
        Ok(OwnAddress { address, is_mine })
    };
    Ok(Manifest {
        schema: SCHEMA,
        bursar_version: env!("CARGO_PKG_VERSION").to_owned(),
        instance: coin.name.clone(),
        coin: coin.profile.name.clone(),
        chain: coin.chain,
        created: now,
        wallet: wallet.identity()?,
        wallet_format: WalletFormat::Bdb,
        tip: wallet.tip()?,
        addresses: wallet.own_addresses()?.into_iter().map(own).collect::<Result<_, _>>()?,
        store_id: store.id().to_owned(),
        ledger: store.read(ledger::verify)?,
        members: vec![],
    })
}

fn wallet_format(file: &Path) -> Result<WalletFormat, BackupError> {
    let mut head = Vec::new();
    File::open(file).and_then(|file| file.take(512).read_to_end(&mut head)).map_err(io_at(file))?;
    WalletFormat::of(&head).map_err(|problem| BackupError::NotAWallet { problem })
}

fn member(source: &Source<'_>) -> Result<Member, BackupError> {
    let (size_bytes, sha256) = hash_file(source.file).map_err(io_at(source.file))?;
    Ok(Member { name: source.name.to_owned(), size_bytes, sha256 })
}

fn publish(
    manifest: &Manifest,
    sources: &[Source<'_>],
    recipients: &[age::x25519::Recipient],
    coin: &CoinSettings,
) -> Result<BackupReport, BackupError> {
    let name = |sha256: &str| rules::archive_name(&coin.name, manifest.created, sha256);
    let nowhere = |destinations: &[Destination], archive| {
        let reason = |at: &Destination| Some(format!("{}: {}", at.directory.display(), at.error.as_ref()?));
        let failures = destinations.iter().filter_map(reason).collect::<Vec<_>>().join("; ");
        BackupError::NoDestination { archive, failures }
    };
    let mut fanout = Fanout::begin(&coin.backup.directories, &coin.name);
    if let Err(error) = archive::write(manifest, sources, recipients, &mut fanout) {
        let destinations = fanout.destinations();
        let all_failed = destinations.iter().all(|at| at.error.is_some());
        return Err(if all_failed { nowhere(&destinations, name("")) } else { error });
    }
    let (archive, written, destinations) = fanout.publish(name);
    if destinations.iter().all(|at| at.error.is_some()) {
        return Err(nowhere(&destinations, archive));
    }
    let complete = destinations.iter().all(|at| at.error.is_none());
    Ok(BackupReport {
        archive,
        created: manifest.created,
        sha256: written.sha256,
        size_bytes: written.size_bytes,
        destinations,
        complete,
    })
}

/// Every archive of this coin: found in a destination, recorded, or both. Newest first. A destination that cannot be read (a disk
/// that is not mounted) shows as archives that are not found there.
pub fn list(store: &mut Store, coin: &CoinSettings) -> Result<Vec<Listed>, BackupError> {
    let recorded = store.read(records::backups)?;
    let listed = |report: BackupReport| Listed {
        archive: report.archive.clone(),
        record: Some(report),
        found_in: vec![],
        size_bytes: None,
    };
    let mut all: Vec<Listed> = recorded.into_iter().map(listed).collect();
    for directory in &coin.backup.directories {
        for (archive, size_bytes) in archives_in(directory, &coin.name) {
            let known = all.iter().position(|listed| listed.archive == archive);
            let at = known.unwrap_or_else(|| {
                all.push(Listed { archive, record: None, found_in: vec![], size_bytes: None });
                all.len() - 1
            });
            all[at].found_in.push(directory.clone());
            all[at].size_bytes.get_or_insert(size_bytes);
        }
    }
    all.sort_by(|a, b| b.archive.cmp(&a.archive));
    Ok(all)
}

fn archives_in(directory: &Path, instance: &str) -> Vec<(String, u64)> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(directory = %directory.display(), "cannot list backups: {error}");
            return vec![];
        }
    };
    let archive = |entry: fs::DirEntry| {
        let name = entry.file_name().to_str()?.to_owned();
        let metadata = entry.metadata().ok()?;
        (metadata.is_file() && rules::is_archive_of(instance, &name)).then_some((name, metadata.len()))
    };
    entries.flatten().filter_map(archive).collect()
}

/// Decrypts `archive` to its end, compares every member with the manifest, and checks every page of the store in it. The wallet
/// only passes through memory.
pub fn verify(coin: &CoinSettings, archive: &Path, identity_file: &Path) -> Result<VerifyReport, BackupError> {
    let identities = identity::read(identity_file)?;
    sweep(&coin.service_dir(), VERIFYING)?;
    let folder = private_dir(&coin.service_dir(), VERIFYING)?;
    let result = (|| {
        let manifest = opened(coin, archive, &identities, &[STORE], folder.path())?;
        restored_store(archive, folder.path())?;
        let (size_bytes, sha256) = hash_file(archive).map_err(io_at(archive))?;
        Ok(VerifyReport { file: archive.to_owned(), sha256, size_bytes, manifest })
    })();
    remove(folder)?;
    result
}

/// Unpacks the members named in `keep` into `folder`; refuses archives of other coins.
pub(super) fn opened(
    coin: &CoinSettings,
    archive: &Path,
    identities: &identity::Identities,
    keep: &[&str],
    folder: &Path,
) -> Result<Manifest, BackupError> {
    debug_assert!(keep.iter().all(|name| MEMBERS.contains(name)));
    let bad = |error| BackupError::Archive { file: archive.to_owned(), error };
    let manifest = unpack::read(archive, identities, keep, folder).map_err(bad)?;
    match rules::foreign(&manifest, &coin.name, &coin.profile.name, coin.chain) {
        Some(problem) => Err(BackupError::Foreign { file: archive.to_owned(), problem }),
        None => Ok(manifest),
    }
}

/// Opens the unpacked store and reads all of it. Gives its id and what its ledger is worth.
pub(super) fn restored_store(archive: &Path, folder: &Path) -> Result<(String, LedgerReport), BackupError> {
    let check = || -> Result<(String, LedgerReport), StoreError> {
        let mut store = Store::open_existing(folder)?;
        store.check_integrity()?;
        Ok((store.id().to_owned(), store.read(ledger::verify)?))
    };
    check().map_err(|error| BackupError::Archive { file: archive.to_owned(), error: ArchiveError::Store(error.to_string()) })
}

/// The last backup that a destination took.
pub fn last_backup(tx: &Tx<'_>) -> Result<Option<BackupReport>, StoreError> {
    Ok(records::last_backup(tx)?.map(|last| last.report))
}

/// The last drill, passed or not.
pub fn last_drill(tx: &Tx<'_>) -> Result<Option<DrillRecord>, StoreError> {
    records::last_drill(tx)
}

/// When a drill last passed; one that failed since does not take that away.
pub fn last_passed_drill(tx: &Tx<'_>) -> Result<Option<Timestamp>, StoreError> {
    records::last_passed_drill(tx)
}

/// Why a backup should be made now, whatever the schedule says; none when nothing asks for one.
pub fn due(tx: &Tx<'_>, wallet: &WalletIdentity) -> Result<Option<Reason>, StoreError> {
    Ok(rules::due(records::last_backup(tx)?.as_ref(), wallet))
}
