//! Backups on real daemons: what was written can be restored, and what cannot is found out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bursar::backup::{self, ArchiveError, BackupError, BackupReport, Manifest, Reason, WalletFormat};
use bursar::coin::Timestamp;
use bursar::config::CoinSettings;
use bursar::daemon::{RpcWallet, Wallet};
use bursar::keeper::ProcessState;
use bursar::ledger;
use bursar::store::{Store, StoreError};
use serde_json::json;
use sha2::{Digest, Sha256};
use support::{FaultProxy, Generation, World};

const NOW: Timestamp = Timestamp(1_767_323_045);

/// A world with some history, a store in step with it, and two places for backups.
fn lived_in(world: &World) -> Store {
    make_places(world.coin());
    let _keeper = world.start_daemon();
    world.fund(&["1.5", "2.25"]);
    world.pay_in(&world.new_address(), "0.5");
    let mut store = Store::open(&world.coin().service_dir()).unwrap();
    ledger::sync(&mut store, &world.wallet(), world.coin(), NOW).unwrap();
    store
}

fn make_places(coin: &CoinSettings) {
    coin.backup.directories.iter().for_each(|directory| fs::create_dir_all(directory).unwrap());
}

fn back_up(world: &World, store: &mut Store, now: Timestamp) -> BackupReport {
    backup::create(store, &world.wallet(), world.coin(), &world.settings.file, now).unwrap()
}

fn identity(world: &World) -> PathBuf {
    world.coin().backup.identity_file.clone().unwrap()
}

fn file_of(world: &World, report: &BackupReport) -> PathBuf {
    world.coin().backup.directories[0].join(&report.archive)
}

/// Files below `folder` whose name starts as those of staging folders do.
fn plaintext_left(coin: &CoinSettings) -> Vec<PathBuf> {
    let in_folder = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_staging = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        ["backup-", "verify-", "drill-"].iter().any(|prefix| name.starts_with(prefix))
    };
    in_folder(coin.handover_dir()).chain(in_folder(coin.service_dir())).filter(is_staging).collect()
}

fn failed_checks(report: &backup::DrillReport) -> Vec<&str> {
    report.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect()
}

/// Opens an archive with nothing of bursar's: what a person does by hand with age, zstd and tar.
fn by_hand(world: &World, archive: &Path) -> Vec<(String, Vec<u8>)> {
    let identities = age::IdentityFile::from_file(identity(world).display().to_string()).unwrap().into_identities().unwrap();
    let decryptor = age::Decryptor::new(File::open(archive).unwrap()).unwrap();
    let plain = decryptor.decrypt(identities.iter().map(|identity| identity.as_ref() as &dyn age::Identity)).unwrap();
    let mut tar = tar::Archive::new(zstd::Decoder::new(plain).unwrap());
    let members = tar.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().display().to_string(), content)
    });
    members.collect()
}

/// Builds an archive from members, with a manifest that fits them: as somebody would who knows the recipient.
fn doctored(world: &World, mut members: Vec<(String, Vec<u8>)>, archive: &Path) {
    let mut manifest: Manifest = serde_json::from_slice(&members[0].1).unwrap();
    for (member, (_, content)) in manifest.members.iter_mut().zip(&members[1..]) {
        member.size_bytes = content.len() as u64;
        member.sha256 = hex::encode(Sha256::digest(content));
    }
    members[0].1 = serde_json::to_vec(&manifest).unwrap();
    let recipient: age::x25519::Recipient = world.coin().backup.recipients[0].parse().unwrap();
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient)).unwrap();
    let encrypted = encryptor.wrap_output(File::create(archive).unwrap()).unwrap();
    let mut tar = tar::Builder::new(zstd::Encoder::new(encrypted, 3).unwrap());
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        tar.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap().finish().unwrap();
}

#[test]
fn a_backup_of_every_generation_verifies_and_its_drill_passes() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let mut store = lived_in(&world);
        let coin = world.coin();
        assert_eq!(store.read(|tx| backup::due(tx, &world.wallet().identity().unwrap())).unwrap(), Some(Reason::Never));

        let report = back_up(&world, &mut store, NOW);
        assert!(report.complete, "{report:?}");
        assert!(report.archive.starts_with("coin-20260102T030405Z-"), "{}", report.archive);
        let copies: Vec<_> = coin.backup.directories.iter().map(|directory| directory.join(&report.archive)).collect();
        assert_eq!(fs::read(&copies[0]).unwrap(), fs::read(&copies[1]).unwrap());
        assert_eq!(hex::encode(Sha256::digest(fs::read(&copies[0]).unwrap())), report.sha256);
        assert_eq!(fs::metadata(&copies[0]).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(plaintext_left(coin), Vec::<PathBuf>::new());
        assert_eq!(store.read(backup::last_backup).unwrap(), Some(report.clone()));
        assert_eq!(store.read(|tx| backup::due(tx, &world.wallet().identity().unwrap())).unwrap(), None);

        let verified = backup::verify(coin, &copies[1], &identity(&world)).unwrap();
        assert_eq!(verified.sha256, report.sha256);
        let is_sqlite = verified.manifest.wallet_format == WalletFormat::Sqlite;
        assert_eq!(is_sqlite, generation == Generation::Knots, "{generation:?}");
        assert!(verified.manifest.addresses.iter().filter(|own| own.is_mine).count() >= 3, "{:?}", verified.manifest.addresses);
        assert!(verified.manifest.wallet.tx_count >= 2 && verified.manifest.ledger.postings > 0);

        let before = world.daemon_pid();
        let drill = backup::drill(&mut store, coin, &copies[0], &identity(&world), NOW).unwrap();
        assert!(drill.passed, "{generation:?}: {:?}", drill.checks);
        assert_eq!(plaintext_left(coin), Vec::<PathBuf>::new());
        assert_eq!(world.daemon_pid(), before, "the coin's own daemon is another matter");
        assert!(store.read(backup::last_drill).unwrap().is_some_and(|drill| drill.passed));
    }
}

#[test]
fn the_default_wallet_of_an_old_daemon_is_backed_up_and_drilled_too() {
    let world = World::getinfo_standin();
    let mut store = lived_in(&world);
    let report = back_up(&world, &mut store, NOW);
    let drill = backup::drill(&mut store, world.coin(), &file_of(&world, &report), &identity(&world), NOW).unwrap();
    assert!(drill.passed, "{:?}", drill.checks);
}

#[test]
fn an_archive_opens_by_hand_and_holds_no_password() {
    let world = World::new(Generation::Litecoin021);
    let mut store = lived_in(&world);
    let report = back_up(&world, &mut store, NOW);
    let members = by_hand(&world, &file_of(&world, &report));
    let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["manifest.json", "wallet.dat", "bursar.db", "bursar.toml"]);
    let password = world.credentials().split_once(':').unwrap().1.as_bytes().to_vec();
    for (name, content) in &members {
        assert!(!content.windows(password.len()).any(|window| window == password), "{name} holds the RPC password");
    }
    let settings = fs::read(&world.settings.file).unwrap();
    assert_eq!(members[3].1, settings);
}

#[test]
fn a_drill_finds_a_wallet_that_was_swapped_though_every_hash_fits() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        let mut store = lived_in(&world);
        let report = back_up(&world, &mut store, NOW);
        let stranger = World::new(generation);
        let mut other_store = lived_in(&stranger);
        let other = back_up(&stranger, &mut other_store, NOW);

        let mut members = by_hand(&world, &file_of(&world, &report));
        members[1].1 = by_hand(&stranger, &file_of(&stranger, &other)).swap_remove(1).1;
        let archive = world.dir().join("doctored.bursar.age");
        doctored(&world, members, &archive);

        backup::verify(world.coin(), &archive, &identity(&world)).unwrap();
        let drill = backup::drill(&mut store, world.coin(), &archive, &identity(&world), NOW).unwrap();
        assert!(!drill.passed);
        let failed = failed_checks(&drill);
        assert!(failed.contains(&"fingerprint") && failed.contains(&"keys"), "{generation:?}: {:?}", drill.checks);
        let recorded = store.read(backup::last_drill).unwrap().unwrap();
        assert!(!recorded.passed && recorded.problem.contains("fingerprint"), "{}", recorded.problem);
        assert_eq!(plaintext_left(world.coin()), Vec::<PathBuf>::new());

        // Under the name of a recorded archive it does not pass for it either.
        fs::copy(&archive, file_of(&world, &report)).unwrap();
        let drill = backup::drill(&mut store, world.coin(), &file_of(&world, &report), &identity(&world), NOW).unwrap();
        assert!(failed_checks(&drill).contains(&"archive"), "{:?}", drill.checks);
    }
}

#[test]
fn a_drill_fails_when_the_daemon_cannot_read_the_wallet() {
    let world = World::new(Generation::Litecoin021);
    let mut store = lived_in(&world);
    let report = back_up(&world, &mut store, NOW);
    let mut members = by_hand(&world, &file_of(&world, &report));
    let length = members[1].1.len();
    members[1].1.truncate(length / 2);
    let archive = world.dir().join("half.bursar.age");
    doctored(&world, members, &archive);
    let error = backup::drill(&mut store, world.coin(), &archive, &identity(&world), NOW).unwrap_err();
    assert!(matches!(error, BackupError::Keeper(_) | BackupError::Rpc(_)), "{error}");
    assert!(store.read(backup::last_drill).unwrap().is_some_and(|drill| !drill.passed));
    assert_eq!(plaintext_left(world.coin()), Vec::<PathBuf>::new());
}

#[test]
fn every_kind_of_bad_archive_and_identity_has_an_error_of_its_own() {
    let world = World::new(Generation::Litecoin018);
    let mut store = lived_in(&world);
    let report = back_up(&world, &mut store, NOW);
    let (coin, good, key) = (world.coin(), file_of(&world, &report), identity(&world));
    let whole = fs::read(&good).unwrap();
    let bad = world.dir().join("bad.bursar.age");
    let verify_bytes = |bytes: &[u8]| {
        fs::write(&bad, bytes).unwrap();
        match backup::verify(coin, &bad, &key) {
            Err(BackupError::Archive { error, .. }) => error,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(verify_bytes(&whole[..whole.len() - 1000]), ArchiveError::CutShort { .. }));
    assert!(matches!(verify_bytes(&whole[..whole.len() / 2]), ArchiveError::CutShort { .. }));
    let mut flipped = whole.clone();
    flipped[whole.len() / 3] ^= 0x20;
    assert!(matches!(verify_bytes(&flipped), ArchiveError::Altered { .. }));
    assert!(matches!(verify_bytes(b"just some text, longer than the first line of an age file"), ArchiveError::NotAnArchive));
    let mut members = by_hand(&world, &good);
    members[2].1 = vec![b'x'; 20_000];
    doctored(&world, members, &bad);
    let error = backup::verify(coin, &bad, &key).unwrap_err();
    assert!(matches!(error, BackupError::Archive { error: ArchiveError::Store(_), .. }), "{error}");

    let other_world = World::new(Generation::Litecoin018);
    let error = backup::verify(coin, &good, &identity(&other_world)).unwrap_err();
    assert!(matches!(error, BackupError::Archive { error: ArchiveError::WrongIdentity, .. }), "{error}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(backup::verify(coin, &good, &key), Err(BackupError::Identity { .. })));
    assert!(matches!(backup::drill(&mut store, coin, &good, &key, NOW), Err(BackupError::Identity { .. })));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let mut other_coin = coin.clone();
    other_coin.name = "other".to_owned();
    assert!(matches!(backup::verify(&other_coin, &good, &key), Err(BackupError::Foreign { .. })));
    let error = backup::verify(coin, &world.dir().join("missing"), &key).unwrap_err();
    assert!(matches!(error, BackupError::Archive { error: ArchiveError::Io(_), .. }), "{error}");
    assert_eq!(plaintext_left(coin), Vec::<PathBuf>::new());
}

#[test]
fn one_bad_destination_makes_a_backup_partly_done_and_none_left_is_an_error() {
    let world = World::new(Generation::Knots);
    let mut store = lived_in(&world);
    let mut coin = world.coin().clone();
    File::create(world.dir().join("a-file")).unwrap();
    let below_a_file = world.dir().join("a-file/backups");
    coin.backup.directories = vec![below_a_file.clone(), coin.backup.directories[0].clone(), world.dir().join("not-mounted")];
    let wallet = world.wallet();
    let file = &world.settings.file;
    let report = backup::create(&mut store, &wallet, &coin, file, NOW).unwrap();
    assert!(!report.complete);
    let errors: Vec<bool> = report.destinations.iter().map(|at| at.error.is_some()).collect();
    assert_eq!(errors, [true, false, true]);
    backup::verify(&coin, &coin.backup.directories[1].join(&report.archive), &identity(&world)).unwrap();
    let due = store.read(|tx| backup::due(tx, &wallet.identity().unwrap())).unwrap();
    assert_eq!(due, Some(Reason::Incomplete));

    coin.backup.directories = vec![below_a_file];
    let error = backup::create(&mut store, &wallet, &coin, file, NOW).unwrap_err();
    assert!(matches!(error, BackupError::NoDestination { .. }), "{error}");
    coin.backup.directories.clear();
    let error = backup::create(&mut store, &wallet, &coin, file, NOW).unwrap_err();
    assert!(matches!(error, BackupError::NotConfigured { key: "directories", .. }), "{error}");
    coin.backup.recipients.clear();
    let error = backup::create(&mut store, &wallet, &coin, file, NOW).unwrap_err();
    assert!(matches!(error, BackupError::NotConfigured { key: "recipients", .. }), "{error}");
    coin.backup.recipients = vec!["age1nonsense".to_owned()];
    coin.backup.directories = world.coin().backup.directories.clone();
    let error = backup::create(&mut store, &wallet, &coin, file, NOW).unwrap_err();
    assert!(matches!(error, BackupError::BadRecipient { .. }), "{error}");
    assert_eq!(store.read(backup::last_backup).unwrap(), Some(report), "the last good one stays the last good one");
    assert_eq!(plaintext_left(&coin), Vec::<PathBuf>::new());
}

#[test]
fn an_empty_file_from_a_failing_daemon_is_no_backup() {
    let world = World::new(Generation::Litecoin018);
    let mut store = lived_in(&world);
    // A daemon whose disk is full leaves an empty file; this one says nothing about it either.
    let proxy = FaultProxy::start_rewriting(
        world.coin().daemon.rpc_connect,
        Box::new(|call, _| {
            let file = call.params[0].as_str().filter(|_| call.method == "backupwallet")?;
            File::create(file).unwrap();
            Some((200, json!({"result": null, "error": null, "id": call.id}).to_string()))
        }),
    );
    let mut coin = world.coin().clone();
    coin.daemon.rpc_connect = proxy.address();
    let wallet = RpcWallet::connect(&coin).unwrap();
    let error = backup::create(&mut store, &wallet, &coin, &world.settings.file, NOW).unwrap_err();
    assert!(matches!(&error, BackupError::NotAWallet { problem } if problem.contains("empty")), "{error}");
    assert!(backup::list(&mut store, &coin).unwrap().is_empty());
    assert_eq!(plaintext_left(&coin), Vec::<PathBuf>::new());
}

#[test]
fn archives_are_listed_from_places_and_from_records() {
    let world = World::new(Generation::Litecoin018);
    let mut store = lived_in(&world);
    let first = back_up(&world, &mut store, NOW);
    let second = back_up(&world, &mut store, Timestamp(NOW.0 + 60));
    let places = &world.coin().backup.directories;
    fs::remove_file(places[0].join(&first.archive)).unwrap();
    fs::copy(places[0].join(&second.archive), places[0].join("coin-20270101T000000Z-0123abcd.bursar.age")).unwrap();
    fs::write(places[0].join("notes.txt"), "not an archive").unwrap();
    let listed = backup::list(&mut store, world.coin()).unwrap();
    let names: Vec<_> =
        listed.iter().map(|listed| (listed.archive.as_str(), listed.record.is_some(), listed.found_in.len())).collect();
    let strange = "coin-20270101T000000Z-0123abcd.bursar.age";
    assert_eq!(names, [(strange, false, 1), (second.archive.as_str(), true, 2), (first.archive.as_str(), true, 1)]);
    fs::remove_dir_all(&places[1]).unwrap();
    assert_eq!(backup::list(&mut store, world.coin()).unwrap()[2].found_in.len(), 0);
}

#[test]
fn what_a_killed_run_left_is_swept_and_its_throwaway_daemon_ended() {
    let world = World::new(Generation::Litecoin021);
    let mut store = lived_in(&world);
    let coin = world.coin();
    for folder in
        [coin.handover_dir().join("backup-left"), coin.service_dir().join("backup-left"), coin.service_dir().join("verify-left")]
    {
        fs::create_dir_all(&folder).unwrap();
        File::create(folder.join("wallet.dat")).unwrap().write_all(b"keys").unwrap();
    }
    let report = back_up(&world, &mut store, NOW);
    let archive = file_of(&world, &report);
    backup::verify(coin, &archive, &identity(&world)).unwrap();
    assert_eq!(plaintext_left(coin), Vec::<PathBuf>::new());

    // A drill that was killed: its folder and its daemon are still there.
    let mut left = coin.clone();
    left.state_dir = coin.service_dir().join("drill-left");
    left.daemon.rpc_port = support::free_port();
    left.daemon.rpc_connect.set_port(left.daemon.rpc_port);
    left.daemon.p2p_port = support::free_port();
    let mut keeper = bursar::keeper::Keeper::new(&left);
    keeper.start(&[]).unwrap();
    assert!(matches!(keeper.state(), ProcessState::Running { .. }));
    assert!(backup::drill(&mut store, coin, &archive, &identity(&world), NOW).unwrap().passed);
    assert!(!matches!(keeper.state(), ProcessState::Running { .. }));
    assert_eq!(plaintext_left(coin), Vec::<PathBuf>::new());
}

#[test]
fn the_restored_store_is_the_one_that_was_backed_up() {
    let world = World::new(Generation::Litecoin018);
    let mut store = lived_in(&world);
    let report = back_up(&world, &mut store, NOW);
    let members = by_hand(&world, &file_of(&world, &report));
    let restored = tempfile::tempdir().unwrap();
    fs::write(restored.path().join("bursar.db"), &members[2].1).unwrap();
    let mut copy = Store::open(restored.path()).unwrap();
    assert_eq!(copy.id(), store.id());
    let balances = |store: &mut Store| store.read::<_, StoreError>(|tx| ledger::balances(tx, world.coin())).unwrap();
    assert_eq!(format!("{:?}", balances(&mut copy)), format!("{:?}", balances(&mut store)));
    assert!(copy.read(ledger::verify).unwrap().fault.is_none());
}
