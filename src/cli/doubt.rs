//! Batches in doubt, as a person reads about them.

use crate::coin::{Amount, Timestamp};
use crate::payout::rules::Fate;
use crate::payout::{CoinInDoubt, Decided, DoubtReport, Explanation, Resolution, ResolveReport};

/// Coins that are listed before the rest is counted.
const LISTED: usize = 10;

/// What a resolution came to, and what is open after it.
pub(super) fn resolved(report: &ResolveReport, decimals: u8) -> String {
    let mut lines: Vec<String> =
        report.batches.iter().map(|batch| format!("batch {}: {}", batch.id, outcome(&batch.resolution))).collect();
    if lines.is_empty() && report.open == DoubtReport::default() {
        return "no batch is in doubt".to_owned();
    }
    if report.open != DoubtReport::default() {
        lines.push(doubt(&report.open, decimals));
    }
    lines.join("\n")
}

fn outcome(resolution: &Resolution) -> String {
    match resolution {
        Resolution::Sent { txids } => {
            let txids: Vec<String> = txids.iter().map(ToString::to_string).collect();
            format!("it was sent, as {}", txids.join(", "))
        }
        Resolution::NotSent { times } => format!("it was not sent ({times}. time); its payouts are queued again"),
        Resolution::Held => {
            "it was not sent, for the third time; its payouts are held: something is wrong that another try will not mend"
                .to_owned()
        }
        Resolution::Disputed { reasons } => format!("disputed: {}", reasons.join("; ")),
        Resolution::Waiting { waits_for } => format!("still in doubt, waiting for {waits_for}"),
    }
}

/// Everything that is known about doubt.
pub(super) fn doubt(report: &DoubtReport, decimals: u8) -> String {
    let mut parts: Vec<String> = report.batches.iter().map(|batch| explanation(batch, decimals)).collect();
    if !report.held.is_empty() {
        let ids: Vec<&str> = report.held.iter().take(LISTED).map(|id| id.as_str()).collect();
        let more = rest(report.held.len());
        parts.push(format!(
            "{} payouts were proven unsent three times and are held: {}{more}. Find out why the daemon does not take them, then `bursar pay release`",
            report.held.len(),
            ids.join(", ")
        ));
    }
    if parts.is_empty() { "no batch is in doubt or disputed".to_owned() } else { parts.join("\n") }
}

fn rest(count: usize) -> String {
    let more = count.saturating_sub(LISTED);
    if more > 0 { format!(" and {more} more") } else { String::new() }
}

fn explanation(batch: &Explanation, decimals: u8) -> String {
    let time = |time: Option<Timestamp>| time.map_or_else(|| "not known".to_owned(), |time| time.to_string());
    let total = batch.total.to_decimal(decimals);
    let tip_now = batch.tip_now.map_or_else(|| "not known".to_owned(), |tip| format!("height {} {}", tip.height, tip.hash));
    let fenced = batch.fenced.map_or_else(
        || "no: a copy of the call may run yet".to_owned(),
        |at| format!("since {at}: no copy of the call can run any more"),
    );
    let mut lines = vec![
        format!("batch {} ({}): {} payouts, {total}", batch.id, batch.state.name(), batch.payouts),
        format!(
            "  sent        {} by {}",
            batch.created,
            if batch.method == crate::config::Method::Sendmany { "sendmany" } else { "journaled" }
        ),
        format!("  in doubt    since {}", time(batch.doubt_since)),
        format!("  answer      {}", batch.answer.as_deref().unwrap_or("none")),
    ];
    lines.extend(batch.disputed_because.iter().map(|why| format!("  disputed    {why}")));
    lines.extend([
        format!("  tip then    height {} {}", batch.tip_then.height, batch.tip_then.hash),
        format!("  tip now     {tip_now}"),
        format!("  fenced      {fenced}"),
        format!("  the look    {}", batch.look),
    ]);
    let whole = if batch.tip_now.is_some() { "nothing was forgotten since" } else { "not known" };
    let memory = if batch.breaks.is_empty() { whole.to_owned() } else { batch.breaks.join("; ") };
    lines.push(format!("  the wallet  {memory}"));
    lines.extend(batch.transactions.iter().map(|member| format!("  transaction {}", member.txid)));
    lines.extend(batch.coins.iter().take(LISTED).map(|coin| format!("  coin        {}", coin_line(coin, decimals))));
    if batch.coins.len() > LISTED {
        lines.push(format!("  coins      {}", rest(batch.coins.len())));
    }
    lines.push(format!("  waits for   {}", batch.waits_for));
    lines.extend(batch.can_do.iter().map(|step| format!("  you can     {step}")));
    lines.join("\n")
}

fn coin_line(coin: &CoinInDoubt, decimals: u8) -> String {
    let amount = coin.amount.map_or_else(String::new, |amount: Amount| format!(" {}", amount.to_decimal(decimals)));
    let fate = match coin.fate {
        Fate::Unspent => format!("unspent{amount}"),
        Fate::NotFinal(txid) => format!("spent by {txid}, not deep enough yet"),
        Fate::PaysAPayee(txid) => format!("spent by {txid}, which pays one of its payees"),
        Fate::Swept(txid) => format!("spent otherwise, for good, by {txid}"),
    };
    format!("{} {fate}", coin.outpoint)
}

/// What came of a person's ruling.
pub(super) fn decided(decided: &Decided) -> String {
    let txids: Vec<String> = decided.txids.iter().map(ToString::to_string).collect();
    let would = if decided.done { "" } else { " (nothing was changed: this was a dry run)" };
    format!("batch {} is {}, by {}{would}", decided.batch, decided.state.name(), txids.join(", "))
}
