//! The verified copy of the whole wallet folder: every file, the database's logs included, because data can be in those alone
//! (https://github.com/bitcoin/bitcoin/pull/21760).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::RepairError;
use crate::config::CoinSettings;
use crate::keeper;

/// List of hashes beside the copy; `sha256sum --check` reads it. It is written last: a copy without it is unfinished.
const SUMS: &str = "SHA256SUMS";

/// What an old layout has beside the wallet in the chain's folder, and can be large. Everything that is not named here is copied.
const CHAIN_DATA: [&str; 4] = ["blocks", "chainstate", "debug.log", "indexes"];

/// One file of the wallet folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WalletFile {
    /// Below the wallet folder.
    pub(super) name: PathBuf,
    /// Its size.
    pub(super) bytes: u64,
}

pub(super) fn io_at(path: &Path) -> impl FnOnce(io::Error) -> RepairError + use<> {
    let path: PathBuf = path.to_owned();
    move |error| RepairError::Io { path, error }
}

/// Every file of the wallet folder; none when there is no such folder.
pub(super) fn files(coin: &CoinSettings) -> Result<Vec<WalletFile>, RepairError> {
    let folder = keeper::wallet_dir(coin);
    let mut found = Vec::new();
    if folder.is_dir() {
        let beside_chain = folder == coin.chain_dir();
        collect(&folder, Path::new(""), beside_chain, &mut found)?;
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn collect(folder: &Path, below: &Path, beside_chain: bool, found: &mut Vec<WalletFile>) -> Result<(), RepairError> {
    let here = folder.join(below);
    for entry in fs::read_dir(&here).map_err(io_at(&here))? {
        let entry = entry.map_err(io_at(&here))?;
        let name = below.join(entry.file_name());
        if beside_chain && below == Path::new("") && CHAIN_DATA.iter().any(|data| entry.file_name() == *data) {
            continue;
        }
        let kind = entry.file_type().map_err(io_at(&entry.path()))?;
        // A link to a file is a wallet kept elsewhere: what it leads to is copied.
        let metadata = fs::metadata(entry.path()).map_err(io_at(&entry.path()))?;
        if kind.is_dir() {
            collect(folder, &name, beside_chain, found)?;
        } else if metadata.is_file() {
            found.push(WalletFile { name, bytes: metadata.len() });
        } else if kind.is_symlink() {
            let problem = "a symbolic link to a folder: copy what it leads to by hand, and put it in the link's place".to_owned();
            return Err(RepairError::Uncopied { path: entry.path(), problem });
        }
        // Sockets and pipes hold no data.
    }
    Ok(())
}

/// Free bytes where `folder` is, or will be.
pub(super) fn free_bytes(folder: &Path) -> Result<u64, RepairError> {
    let existing = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    let facts = rustix::fs::statvfs(existing).map_err(|error| io_at(existing)(error.into()))?;
    Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
}

/// Makes a folder (0700) with those above it.
pub(super) fn private_dir(folder: &Path) -> Result<(), RepairError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_at(folder))
}

/// Copies every file of the stopped daemon's wallet folder into `folder/wallet-copy`, syncs it, reads both sides again and compares.
/// An earlier, unfinished copy is replaced; a finished one is never touched.
pub(super) fn make(coin: &CoinSettings, folder: &Path) -> Result<String, RepairError> {
    let (source, copy) = (keeper::wallet_dir(coin), copy_in(folder));
    if folder.join(SUMS).exists() {
        return still_whole(folder).map(|count| format!("{count} files are in {} already", copy.display()));
    }
    if copy.exists() {
        fs::remove_dir_all(&copy).map_err(io_at(&copy))?;
    }
    private_dir(&copy)?;
    let files = files(coin)?;
    for file in &files {
        let target = copy.join(&file.name);
        private_dir(target.parent().unwrap_or(&copy))?;
        copy_file(&source.join(&file.name), &target)?;
    }
    let mut sums = String::new();
    for file in &files {
        let target = copy.join(&file.name);
        let sha256 = hash(&target)?;
        // Both sides are read again: a file that changed meanwhile means that somebody still writes to the wallet.
        if hash(&source.join(&file.name))? != sha256 {
            return Err(RepairError::CopyDiffers(target));
        }
        sums.push_str(&format!("{sha256}  wallet-copy/{}\n", file.name.display()));
    }
    sync_folders(&copy)?;
    write_synced(&folder.join(SUMS), sums.as_bytes())?;
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    Ok(format!("{} files, {bytes} bytes, in {}, each compared with the original", files.len(), copy.display()))
}

/// Where the copy is, in a repair's folder.
pub(super) fn copy_in(folder: &Path) -> PathBuf {
    folder.join("wallet-copy")
}

/// Reads a finished copy again and counts its files. Before the wallet is touched in a later run the copy must still be there.
pub(super) fn still_whole(folder: &Path) -> Result<usize, RepairError> {
    let list = folder.join(SUMS);
    let sums = fs::read_to_string(&list).map_err(io_at(&list))?;
    for line in sums.lines() {
        let (sha256, name) = line.split_once("  ").unwrap_or((line, ""));
        let file = folder.join(name);
        if hash(&file)? != sha256 {
            return Err(RepairError::CopyDiffers(file));
        }
    }
    Ok(sums.lines().count())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), RepairError> {
    let mut source = File::open(from).map_err(io_at(from))?;
    let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let mut target = target.map_err(io_at(to))?;
    io::copy(&mut source, &mut target).map_err(io_at(to))?;
    target.sync_all().map_err(io_at(to))
}

/// Writes a new file (0600) that is whole or not there: synced under another name, then renamed.
pub(super) fn write_synced(file: &Path, content: &[u8]) -> Result<(), RepairError> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let put = || -> io::Result<()> {
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        temporary.write_all(content)?;
        temporary.as_file().sync_all()?;
        temporary.persist(file)?;
        File::open(folder)?.sync_all()
    };
    put().map_err(io_at(file))
}

fn sync_folders(folder: &Path) -> Result<(), RepairError> {
    for entry in fs::read_dir(folder).map_err(io_at(folder))? {
        let entry = entry.map_err(io_at(folder))?;
        if entry.file_type().map_err(io_at(&entry.path()))?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_at(folder))
}

fn hash(file: &Path) -> Result<String, RepairError> {
    let mut opened = File::open(file).map_err(io_at(file))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match opened.read(&mut buffer).map_err(io_at(file))? {
            0 => return Ok(hex::encode(hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}
