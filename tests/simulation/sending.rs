//! `sendmany`, and everything that real daemons were seen to make of it.

use bursar::coin::Txid;
use bursar::daemon::{RpcError, SendMany};

use super::coin::{payee_of, script_of};
use super::faults::Fault;
use super::rpc::{ModelWallet, crash, daemon_says, lost};
use super::world::{Late, Maker, World};

const METHOD: &str = "sendmany";
/// Every so manyth payee asks for dust.
const DUST_EVERY: u32 = 17;

/// Whether the daemon refuses payments to this address as dust.
pub(crate) fn is_dust(address: &str) -> bool {
    let payee = script_of(address).and_then(|script| payee_of(&script));
    payee.is_some_and(|payee| payee % DUST_EVERY == DUST_EVERY - 1)
}

impl ModelWallet {
    /// The call that pays. Either side may end before or after it, as with all calls.
    pub(crate) fn send(&self, order: &SendMany<'_>) -> Result<Txid, RpcError> {
        let crashes = {
            let mut world = self.0.borrow_mut();
            world.tick();
            world.strikes(Fault::CrashBeforeCall)
        };
        if crashes {
            crash();
        }
        let (answer, crashes) = {
            let mut world = self.0.borrow_mut();
            let answer = world.hindrance(METHOD).and_then(|()| world.send(order));
            let words = match &answer {
                Ok(txid) => txid.to_string(),
                Err(error) => error.to_string(),
            };
            world.note(format!("sendmany {} answers {words}", order.comment));
            // Nothing is killed as readily as a program that hangs.
            let hangs = matches!(answer, Err(RpcError::Lost { .. }));
            (answer, world.strikes(Fault::CrashAfterCall) || hangs && world.strikes(Fault::CrashWhileItHangs))
        };
        if crashes {
            crash();
        }
        answer
    }
}

impl World {
    fn send(&mut self, order: &SendMany<'_>) -> Result<Txid, RpcError> {
        let outputs: Vec<(String, i64)> = order.outputs.iter().map(|(to, value)| (to.clone(), value.base_units())).collect();
        self.refusal(&outputs)?;
        if self.strikes(Fault::SendNever) {
            return Err(lost(METHOD));
        }
        if self.strikes(Fault::SendFailsBefore) {
            return Err(daemon_says(METHOD, -4, "Transaction commit failed:: too many open files"));
        }
        if self.strikes(Fault::SendKillsBefore) {
            self.kill();
            return Err(lost(METHOD));
        }
        if self.strikes(Fault::SendLate) {
            let due = self.ticks + self.chance.between(1, 240);
            let (process, comment) = (self.node.process, order.comment.to_owned());
            self.pending.push(Late { due, process, outputs, comment });
            return Err(lost(METHOD));
        }
        let broadcast = self.wallet_broadcasts && !self.strikes(Fault::NotBroadcast);
        let paid = self.pay(&outputs, Some(order.comment), Maker::Bursar, broadcast);
        let txid = paid.map_err(|(code, message)| daemon_says(METHOD, code, message))?;
        if self.strikes(Fault::SendFailsAfter) {
            let (code, message) = if self.chance.permille(500) { (-4, "Error committing") } else { (-1, "map::at") };
            return Err(daemon_says(METHOD, code, message));
        }
        if self.strikes(Fault::SendKillsAfter) {
            self.kill();
            return Err(lost(METHOD));
        }
        if self.strikes(Fault::SendLost) {
            return Err(lost(METHOD));
        }
        if self.strikes(Fault::Unreadable) {
            return Err(RpcError::Unreadable { method: METHOD.to_owned(), reason: "truncated".to_owned() });
        }
        Ok(txid)
    }

    /// The checks that come before the wallet does anything.
    fn refusal(&mut self, outputs: &[(String, i64)]) -> Result<(), RpcError> {
        if self.strikes(Fault::WalletLocked) {
            return Err(daemon_says(METHOD, -13, "Error: Please enter the wallet passphrase with walletpassphrase first."));
        }
        if self.strikes(Fault::SendRefused) {
            let texts = [
                (-6, "Insufficient funds"),
                (-6, "Transaction too large"),
                (-6, "Fee estimation failed. Fallbackfee is disabled. Wait a few blocks or enable -fallbackfee."),
            ];
            let (code, text) = self.chance.pick(&texts).unwrap_or(texts[0]);
            return Err(daemon_says(METHOD, code, text));
        }
        if outputs.iter().any(|(to, _)| is_dust(to)) {
            return Err(daemon_says(METHOD, -6, "Transaction amount too small"));
        }
        Ok(())
    }
}
