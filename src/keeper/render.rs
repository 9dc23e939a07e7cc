//! The daemon's conf file: what it would be now, and writing it.

use std::path::PathBuf;

use super::{KeeperError, files};
use crate::config::CoinSettings;
use crate::daemon;

/// The conf as the settings, the program and the RPC users want it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Where it belongs.
    pub file: PathBuf,
    /// Its whole text. It holds no secret: RPC passwords stand in it as salted hashes.
    pub text: String,
}

/// Renders the conf: the same text each time, until settings, program or RPC users change. Writes nothing but the keeper's own password, once.
pub fn render(coin: &CoinSettings) -> Result<Rendered, KeeperError> {
    let known = daemon::known_options(&coin.daemon.program)?;
    let mut lines = daemon::rpcauth_lines(coin)?;
    lines.push(daemon::keeper_access(coin)?);
    Ok(Rendered { file: coin.conf_file(), text: daemon::render(coin, Some(&known), &lines) })
}

impl Rendered {
    /// Puts it in place, whole, for our user alone.
    pub fn write(&self, coin: &CoinSettings) -> Result<(), KeeperError> {
        files::make_private_dir(&coin.daemon_dir())?;
        files::replace(&self.file, self.text.as_bytes())
    }
}
