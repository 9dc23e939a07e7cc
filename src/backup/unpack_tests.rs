//! Archives as they should be, as accidents leave them, and as somebody with ill intent would build them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::archive::{self, Source};
use super::destination::Fanout;
use super::identity::Identities;
use super::manifest::{MANIFEST, MEMBERS, Manifest, Member, SCHEMA, SETTINGS, STORE, WALLET, WalletFormat};
use super::unpack::{ArchiveError, read};
use crate::coin::{BlockHash, Chain, Timestamp};
use crate::daemon::{Tip, WalletIdentity};
use crate::ledger::VerifyReport;

/// Large enough for several of age's chunks of 64 KiB, and not compressible.
fn wallet_bytes() -> Vec<u8> {
    (0_u64..16_384).flat_map(|seed| Sha256::digest(seed.to_le_bytes())).collect()
}

fn member(name: &str, content: &[u8]) -> Member {
    Member { name: name.to_owned(), size_bytes: content.len() as u64, sha256: hex::encode(Sha256::digest(content)) }
}

fn contents() -> [(&'static str, Vec<u8>); 3] {
    [(WALLET, wallet_bytes()), (STORE, b"store".to_vec()), (SETTINGS, b"settings".to_vec())]
}

fn manifest() -> Manifest {
    Manifest {
        schema: SCHEMA,
        bursar_version: "0.1.0".into(),
        instance: "ltc".into(),
        coin: "litecoin".into(),
        chain: Chain::Regtest,
        created: Timestamp(1_767_323_045),
        wallet: WalletIdentity { name: String::new(), fingerprint: None, tx_count: 0, keypool: 0, encrypted: false },
        wallet_format: WalletFormat::Bdb,
        tip: Tip { height: 0, hash: BlockHash::from_bytes([0; 32]) },
        addresses: vec![],
        store_id: "id".into(),
        ledger: VerifyReport {
            postings: 0,
            events: 0,
            head: String::new(),
            checkpoints: 0,
            credits: 0,
            chronicle: 0,
            exported: 0,
            unread: None,
            next: None,
            fault: None,
        },
        members: contents().iter().map(|(name, content)| member(name, content)).collect(),
    }
}

struct Bench {
    dir: tempfile::TempDir,
    key: age::x25519::Identity,
}

impl Bench {
    fn new() -> Bench {
        Bench { dir: tempfile::tempdir().unwrap(), key: age::x25519::Identity::generate() }
    }

    fn identities(&self) -> Identities {
        vec![Box::new(self.key.clone())]
    }

    fn good_archive(&self) -> PathBuf {
        let sources = self.dir.path().join("sources");
        fs::create_dir(&sources).unwrap();
        let files: Vec<_> = contents().into_iter().map(|(name, content)| (name, sources.join(name), content)).collect();
        for (_, file, content) in &files {
            fs::write(file, content).unwrap();
        }
        let sources: Vec<_> = files.iter().map(|(name, file, _)| Source { name, file }).collect();
        let mut fanout = Fanout::begin(&[self.dir.path()], "ltc");
        archive::write(&manifest(), &sources, &[self.key.to_public()], &mut fanout).unwrap();
        let (name, _, _) = fanout.publish(|_| "good".to_owned());
        self.dir.path().join(name)
    }

    /// An archive of any members at all: (type, path, content).
    fn built(&self, members: &[(tar::EntryType, &str, &[u8])], after: &[u8]) -> PathBuf {
        let mut tar = tar::Builder::new(Vec::new());
        for (kind, path, content) in members {
            let mut header = tar::Header::new_ustar();
            // `set_path` refuses to leave the folder; somebody with ill intent does not use it.
            header.as_ustar_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        let mut plain = tar.into_inner().unwrap();
        plain.extend_from_slice(after);
        self.encrypted(&zstd::encode_all(plain.as_slice(), 3).unwrap())
    }

    fn encrypted(&self, plain: &[u8]) -> PathBuf {
        let recipient = self.key.to_public();
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient)).unwrap();
        let file = self.dir.path().join("built");
        let mut writer = encryptor.wrap_output(fs::File::create(&file).unwrap()).unwrap();
        writer.write_all(plain).unwrap();
        writer.finish().unwrap();
        file
    }

    fn read(&self, archive: &Path) -> Result<Manifest, ArchiveError> {
        let folder = tempfile::tempdir_in(self.dir.path()).unwrap();
        let result = read(archive, &self.identities(), &MEMBERS, folder.path());
        assert!(!self.dir.path().join("escaped").exists());
        result
    }

    fn structure_error(&self, members: &[(tar::EntryType, &str, &[u8])]) -> String {
        match self.read(&self.built(members, b"")) {
            Err(ArchiveError::Structure(problem)) => problem,
            other => panic!("{other:?}"),
        }
    }
}

const FILE: tar::EntryType = tar::EntryType::Regular;

#[test]
fn what_goes_in_comes_out_private_and_only_what_was_asked_for() {
    let bench = Bench::new();
    let archive = bench.good_archive();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read(&archive, &bench.identities(), &[WALLET], folder.path()).unwrap(), manifest());
    assert_eq!(fs::read(folder.path().join(WALLET)).unwrap(), wallet_bytes());
    assert_eq!(fs::metadata(folder.path().join(WALLET)).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn another_identity_does_not_open_it() {
    let bench = Bench::new();
    let archive = bench.good_archive();
    let stranger: Identities = vec![Box::new(age::x25519::Identity::generate())];
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(read(&archive, &stranger, &MEMBERS, folder.path()), Err(ArchiveError::WrongIdentity)));
}

#[test]
fn wherever_it_is_cut_it_is_cut_short_and_without_a_header_it_is_no_archive() {
    let bench = Bench::new();
    let archive = bench.good_archive();
    let whole = fs::read(&archive).unwrap();
    let cut = bench.dir.path().join("cut");
    for length in [whole.len() - 1, whole.len() / 2, 70_000, 65_552, 300, 100, 40] {
        fs::write(&cut, &whole[..length]).unwrap();
        assert!(matches!(bench.read(&cut), Err(ArchiveError::CutShort { .. })), "{length}: {:?}", bench.read(&cut));
    }
    for no_archive in [&whole[..10], b"", b"PK\x03\x04 something else entirely, longer than a header"] {
        fs::write(&cut, no_archive).unwrap();
        assert!(matches!(bench.read(&cut), Err(ArchiveError::NotAnArchive)));
    }
}

#[test]
fn a_cut_exactly_between_two_chunks_is_found_too() {
    let bench = Bench::new();
    let archive = bench.good_archive();
    let whole = fs::read(&archive).unwrap();
    let marker = b"\n--- ";
    let mac = whole.windows(marker.len()).position(|window| window == marker).unwrap();
    let line_end = whole[mac + 1..].iter().position(|byte| *byte == b'\n').unwrap() + mac + 2;
    let payload = line_end + 16;
    fs::write(&archive, &whole[..payload + 2 * 65_552]).unwrap();
    assert!(matches!(bench.read(&archive), Err(ArchiveError::CutShort { .. })));
}

#[test]
fn one_altered_byte_anywhere_is_found() {
    let bench = Bench::new();
    let archive = bench.good_archive();
    let whole = fs::read(&archive).unwrap();
    let altered = bench.dir.path().join("altered");
    for at in [60, 150, 5_000, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&altered, &bytes).unwrap();
        let result = bench.read(&altered);
        // In the header it may look like another recipient's.
        assert!(matches!(result, Err(ArchiveError::Altered { .. } | ArchiveError::WrongIdentity)), "{at}: {result:?}");
        assert!(at < 1_000 || matches!(result, Err(ArchiveError::Altered { .. })), "{at}");
    }
}

#[test]
fn nothing_is_written_outside_its_folder() {
    let bench = Bench::new();
    let text = serde_json::to_vec(&manifest()).unwrap();
    for path in ["../escaped", "/escaped", "a/../../escaped", "./wallet.dat"] {
        bench.structure_error(&[(FILE, MANIFEST, &text), (FILE, path, b"x")]);
    }
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Directory, tar::EntryType::Char] {
        bench.structure_error(&[(FILE, MANIFEST, &text), (kind, WALLET, b"")]);
    }
    let mut hostile = manifest();
    hostile.members[0].name = "../escaped".to_owned();
    let text = serde_json::to_vec(&hostile).unwrap();
    bench.structure_error(&[(FILE, MANIFEST, &text), (FILE, "../escaped", b"x")]);
}

#[test]
fn missing_extra_repeated_and_changed_members_are_refused() {
    let bench = Bench::new();
    let text = serde_json::to_vec(&manifest()).unwrap();
    let [(_, wallet), (_, store), (_, settings)] = contents();
    let all: [(tar::EntryType, &str, &[u8]); 4] =
        [(FILE, MANIFEST, &text), (FILE, WALLET, &wallet), (FILE, STORE, &store), (FILE, SETTINGS, &settings)];
    assert!(bench.read(&bench.built(&all, &[0; 512])).is_ok());
    assert!(bench.structure_error(&all[..3]).contains("bursar.toml' is missing"));
    assert!(bench.structure_error(&all[1..]).contains("first"));
    let with = |extra| all.iter().copied().chain([extra]).collect::<Vec<_>>();
    bench.structure_error(&with((FILE, "extra", b"x")));
    bench.structure_error(&with(all[3]));
    bench.structure_error(&[all[0], all[2], all[1], all[3]]);
    let changed = [all[0], all[1], (FILE, STORE, b"other"), all[3]];
    let result = bench.read(&bench.built(&changed, b""));
    assert!(matches!(result, Err(ArchiveError::Member { ref name, .. }) if name == STORE), "{result:?}");
    let result = bench.read(&bench.built(&all, b"something more"));
    assert!(matches!(result, Err(ArchiveError::Structure(_))), "{result:?}");
}

#[test]
fn a_manifest_from_the_future_says_so() {
    let bench = Bench::new();
    let mut newer = manifest();
    newer.schema = SCHEMA + 1;
    let text = serde_json::to_vec(&newer).unwrap();
    assert!(matches!(bench.read(&bench.built(&[(FILE, MANIFEST, &text)], b"")), Err(ArchiveError::TooNew { .. })));
    bench.structure_error(&[(FILE, MANIFEST, b"{}")]);
    bench.structure_error(&[]);
    let result = bench.read(&bench.encrypted(b"not compressed, not a tar"));
    assert!(result.is_err(), "{result:?}");
}
