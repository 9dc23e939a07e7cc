//! The RPC part of the conf: where it listens, who may call what.

use super::known::Known;
use super::{Line, line};
use crate::config::CoinSettings;
use crate::daemon::roles::whitelist_of_user;

/// The daemon drops a silent RPC connection after this many seconds. 0.18 and 0.21 wait for such connections when they stop: 30 s by
/// default. A call that works for longer is not cut off: its connection is not silent, it waits for the daemon.
const RPC_SILENCE_S: u32 = 5;

/// Where RPC listens, and how much it takes at once.
pub(super) fn listening(coin: &CoinSettings) -> Vec<Line> {
    let daemon = &coin.daemon;
    let calls = daemon.rpc_concurrency;
    let threads = format!("bursar has at most {calls} calls open at once; a thread that waits costs only memory.");
    let queue = format!("Deeper than those {calls} calls, with room for yours: beyond it the daemon rejects calls.");
    vec![
        line("server", 1, "bursar speaks to the daemon by RPC."),
        line("rest", 0, "REST asks for no password."),
        line("rpcallowip", "127.0.0.1", "From this machine only; without this line the daemon ignores rpcbind."),
        line("rpcthreads", daemon.rpc_threads, threads),
        line("rpcworkqueue", daemon.rpc_work_queue, queue),
        line("rpcservertimeout", RPC_SILENCE_S, "An idle connection delays the stop of older daemons by this many seconds."),
    ]
}

/// The users, and what each may call.
pub(super) fn users(rpcauth_lines: &[String], known: &Known<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    if known.can_do_without_cookie() {
        lines.push(line("norpccookiefile", 1, "No user whose password lies in the data directory by itself."));
    }
    for (index, value) in rpcauth_lines.iter().enumerate() {
        let why = if index == 0 { "Salted hashes of the RPC passwords; the passwords themselves are bursar's." } else { "" };
        lines.push(line("rpcauth", value, why));
    }
    if known.has_whitelists() {
        lines.push(line("rpcwhitelistdefault", 1, "A user without a list, such as the cookie's, may call nothing."));
        lines.extend(whitelists(rpcauth_lines));
    }
    lines
}

/// One list per user, however many passwords it has: a daemon that reads two takes what is in both.
fn whitelists(rpcauth_lines: &[String]) -> Vec<Line> {
    let mut users: Vec<&str> = rpcauth_lines.iter().filter_map(|value| value.split_once(':')).map(|(user, _)| user).collect();
    users.dedup();
    let listed = users.into_iter().filter_map(|user| Some((user, whitelist_of_user(user)?)));
    listed.map(|(user, methods)| line("rpcwhitelist", format!("{user}:{}", methods.join(",")), "")).collect()
}

/// What this program cannot protect, in words for whoever reads its conf.
pub(super) fn missing_protection(known: &Known<'_>) -> Vec<&'static str> {
    let mut remarks = Vec::new();
    if !known.has("rpcauth") {
        remarks.push("This program knows no rpcauth (0.12 and later do): bursar cannot speak to it without a password in this file. Use a newer one.");
    }
    if !known.has_whitelists() {
        remarks.push("This program knows no rpcwhitelist: each of these users, and whoever can read its cookie file, may call every method.");
    }
    remarks
}
