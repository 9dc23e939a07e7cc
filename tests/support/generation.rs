//! The daemons that tests run, and where they are found.

use std::env;
use std::path::PathBuf;

/// A generation of wallet daemons, by the real daemon that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Litecoin Core 0.18: Berkeley DB wallets, a default wallet of its own, salvage in the daemon, no `getbalances`.
    Litecoin018,
    /// Litecoin Core 0.21: Berkeley DB wallets, `settings.json`, no salvage in the daemon. Regtest chains stay below 400 blocks.
    Litecoin021,
    /// Bitcoin Knots: SQLite descriptor wallets, full replacement in the mempool, no fallback fee.
    Knots,
}

impl Generation {
    /// All of them.
    pub const ALL: [Generation; 3] = [Generation::Litecoin018, Generation::Litecoin021, Generation::Knots];

    /// The daemon program.
    ///
    /// # Panics
    /// With the command that brings it, when it is missing: a test is never silently skipped.
    pub fn program(self) -> PathBuf {
        let (variable, folder, program) = match self {
            Generation::Litecoin018 => ("BURSAR_LITECOIND_018", "litecoin-0.18", "litecoind"),
            Generation::Litecoin021 => ("BURSAR_LITECOIND_021", "litecoin-0.21", "litecoind"),
            Generation::Knots => ("BURSAR_BITCOIND", "bitcoin-knots", "bitcoind"),
        };
        let path = match env::var_os(variable) {
            Some(path) => PathBuf::from(path),
            None => daemons_dir().join(folder).join("bin").join(program),
        };
        assert!(path.is_file(), "{} is missing: run scripts/daemons, or set {variable}", path.display());
        path
    }

    /// Its command line client, which lies beside it.
    pub fn cli(self) -> PathBuf {
        let name = match self {
            Generation::Litecoin018 | Generation::Litecoin021 => "litecoin-cli",
            Generation::Knots => "bitcoin-cli",
        };
        let path = self.program().with_file_name(name);
        assert!(path.is_file(), "{} is missing: run scripts/daemons", path.display());
        path
    }

    /// The coin profile that fits it.
    pub fn profile(self) -> &'static str {
        match self {
            Generation::Litecoin018 | Generation::Litecoin021 => "litecoin",
            Generation::Knots => "bitcoin",
        }
    }
}

fn daemons_dir() -> PathBuf {
    if let Some(dir) = env::var_os("BURSAR_DAEMONS_DIR") {
        return dir.into();
    }
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    cache.expect("HOME is set").join("bursar").join("daemons")
}
