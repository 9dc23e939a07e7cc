//! The machine under bursar, played by the model.

use bursar::coin::Timestamp;
use bursar::keeper::KeeperError;
use bursar::payout::{Fence, Host, PayoutError};

use super::faults::Fault;
use super::rpc::Shared;

#[derive(Clone)]
pub(crate) struct ModelHost(pub(crate) Shared);

impl Host for ModelHost {
    fn boot_id(&self) -> String {
        format!("boot-{}", self.0.borrow().boot)
    }

    fn random_bits(&self) -> Result<[u8; 16], PayoutError> {
        Ok(self.0.borrow_mut().chance.bytes())
    }

    fn signs_since(&self, since: Timestamp) -> Vec<String> {
        let world = self.0.borrow();
        world.signs.iter().filter(|(at, _)| *at >= since.0).map(|(_, sign)| sign.clone()).collect()
    }
}

fn not_now(message: &str) -> KeeperError {
    KeeperError::Refused { code: "daemon_still_runs".to_owned(), message: message.to_owned() }
}

impl Fence for ModelHost {
    fn stop(&mut self) -> Result<(), KeeperError> {
        let mut world = self.0.borrow_mut();
        if world.strikes(Fault::SlowAnswer) {
            return Err(not_now("the daemon still runs 60 s after it was asked to stop"));
        }
        world.stop();
        // What happens to wallets happens between a stop and a start.
        world.damage();
        Ok(())
    }

    fn start(&mut self) -> Result<(), KeeperError> {
        let mut world = self.0.borrow_mut();
        if world.strikes(Fault::SlowAnswer) {
            return Err(not_now("the daemon gave no RPC answer within 60 s"));
        }
        world.start();
        Ok(())
    }
}
