//! Payout files.

use std::io::BufReader;
use std::path::Path;

use super::World;
use crate::coin::Timestamp;
use crate::daemon::Wallet;
use crate::payout::{self, ImportOrder};
use crate::service::{Answer, Failure, open_import};

impl World {
    /// Imports a file as it is read: it is never in memory as a whole.
    pub(super) fn import(&mut self, how: ImportOrder, file: &Path) -> Result<Answer, Failure> {
        let mut reader = BufReader::new(open_import(file)?);
        self.connect_if_possible();
        let wallet = self.wallet.as_ref().map(|wallet| wallet as &dyn Wallet);
        let report = payout::import(&mut self.store, wallet, &self.coin, &mut reader, how, Timestamp::now())?;
        Ok(Answer::PayImport(report))
    }
}
