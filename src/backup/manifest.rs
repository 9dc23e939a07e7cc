//! What an archive says about itself: enough to tell, years later and on another machine, whether a restored wallet is the right one.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::coin::{Chain, Timestamp};
use crate::daemon::{Tip, WalletIdentity};
use crate::ledger::VerifyReport as LedgerReport;

/// Version of this description.
pub(super) const SCHEMA: u32 = 1;
/// The manifest's own name; the first member of every archive.
pub(super) const MANIFEST: &str = "manifest.json";
/// The wallet, as the daemon's `backupwallet` wrote it.
pub(super) const WALLET: &str = "wallet.dat";
/// The store, as SQLite's backup API wrote it.
pub(super) const STORE: &str = "bursar.db";
/// The settings file.
pub(super) const SETTINGS: &str = "bursar.toml";
/// What an archive holds besides its manifest, in this order.
pub(super) const MEMBERS: [&str; 3] = [WALLET, STORE, SETTINGS];

/// How a wallet is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WalletFormat {
    /// Berkeley DB: every daemon until about 2021, many until today.
    Bdb,
    /// SQLite: descriptor wallets.
    Sqlite,
}

/// One file in the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name, without any folder.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
}

/// An address that the wallet gave out or received on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnAddress {
    /// The address.
    pub address: String,
    /// Whether the wallet held its key.
    pub is_mine: bool,
}

/// The description of one archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this description.
    pub schema: u32,
    /// The bursar that made it.
    pub bursar_version: String,
    /// The coin instance, such as `ltc`.
    pub instance: String,
    /// The coin, such as `litecoin`.
    pub coin: String,
    /// Which chain.
    pub chain: Chain,
    /// When it was begun.
    pub created: Timestamp,
    /// The wallet just before it was copied: a copy can only know more.
    pub wallet: WalletIdentity,
    /// How the copy is stored.
    pub wallet_format: WalletFormat,
    /// The chain's tip at that time.
    pub tip: Tip,
    /// Every address whose key a restored wallet must know.
    pub addresses: Vec<OwnAddress>,
    /// The store's id.
    pub store_id: String,
    /// The ledger, read through just before it was copied: how long it is, and the hash of its newest entry.
    pub ledger: LedgerReport,
    /// Every other file in the archive.
    pub members: Vec<Member>,
}

impl WalletFormat {
    /// Reads the format off the first bytes of a wallet file; the problem in words when they are of no wallet.
    ///
    /// Berkeley DB: magic 0x00053162 at offset 12, in the byte order of the machine that wrote it.
    pub fn of(head: &[u8]) -> Result<WalletFormat, String> {
        if head.is_empty() {
            return Err("the file is empty (disk full, or a folder that the daemon may not write to)".to_owned());
        }
        match (head.starts_with(b"SQLite format 3\0"), head.get(12..16)) {
            (true, _) => Ok(WalletFormat::Sqlite),
            (false, Some([0x62, 0x31, 0x05, 0x00] | [0x00, 0x05, 0x31, 0x62])) => Ok(WalletFormat::Bdb),
            _ => Err("the file starts like neither a Berkeley DB nor an SQLite wallet".to_owned()),
        }
    }
}

/// Where a wallet of this name is loaded from, below the chain's folder.
pub(super) fn wallet_file_in(chain_dir: &Path, wallet_name: &str) -> std::path::PathBuf {
    chain_dir.join("wallets").join(wallet_name).join(WALLET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_is_known_by_its_first_bytes_and_an_empty_file_is_none() {
        let mut bdb = vec![0; 512];
        bdb[12..16].copy_from_slice(&[0x62, 0x31, 0x05, 0x00]);
        assert_eq!(WalletFormat::of(&bdb), Ok(WalletFormat::Bdb));
        bdb[12..16].copy_from_slice(&[0x00, 0x05, 0x31, 0x62]);
        assert_eq!(WalletFormat::of(&bdb), Ok(WalletFormat::Bdb));
        assert_eq!(WalletFormat::of(b"SQLite format 3\0rest"), Ok(WalletFormat::Sqlite));
        assert!(WalletFormat::of(b"").unwrap_err().contains("empty"));
        assert!(WalletFormat::of(&[0; 512]).is_err());
        assert!(WalletFormat::of(b"short").is_err());
    }

    #[test]
    fn the_default_wallet_lies_in_the_wallets_folder_itself() {
        assert_eq!(wallet_file_in(Path::new("/c/regtest"), ""), Path::new("/c/regtest/wallets/wallet.dat"));
        assert_eq!(wallet_file_in(Path::new("/c"), "hot"), Path::new("/c/wallets/hot/wallet.dat"));
    }
}
