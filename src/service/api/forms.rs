//! What the API reads and writes: JSON forms of their own, so that what programs rely on changes only when it is meant to. Amounts are decimal text in whole
//! coins, times are seconds since 1970.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::problem::Problem;
use crate::coin::{Amount, Timestamp, check_words};
use crate::gate::InForce;
use crate::payout::{BatchDetail, BatchReport, Detail, Filter, FlushReport, HistoryLine, Member, Payout, Standing, Submitted};
use crate::service::LastFlush;

/// Version of the JSON that programs rely on.
pub(super) const SCHEMA: u32 = 1;
/// Payouts of one batch request at most.
pub(super) const MAX_BATCH_PAYOUTS: usize = 1000;
/// Payouts of a page at most.
pub(super) const MAX_PAGE: usize = 1000;
/// Payouts of a page unless asked for otherwise.
pub(super) const PAGE: usize = 100;

/// The query of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    state: Option<String>,
    batch: Option<String>,
    address: Option<String>,
    priority: Option<String>,
    submitted_from: Option<i64>,
    submitted_before: Option<i64>,
    after: Option<String>,
    limit: Option<usize>,
}

impl ListQuery {
    pub(super) fn into_filter(self) -> Result<Filter, Problem> {
        let limit = self.limit.unwrap_or(PAGE);
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(Problem::bad_request(format!("limit is {limit}: 1 to {MAX_PAGE} payouts make a page")));
        }
        Ok(Filter {
            state: parsed("state", self.state)?,
            batch: parsed("batch", self.batch)?,
            address: self.address,
            priority: parsed("priority", self.priority)?,
            submitted_from: self.submitted_from.map(Timestamp),
            submitted_before: self.submitted_before.map(Timestamp),
            after: parsed("after", self.after)?,
            limit,
        })
    }
}

pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    key: &str,
    text: Option<String>,
) -> Result<Option<T>, Problem> {
    let parsed = text.map(|text| text.parse()).transpose();
    parsed.map_err(|error| Problem::bad_request(format!("{key}: {error}")))
}

/// Why a person holds, releases or cancels a payout.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    reason: String,
}

impl Reason {
    /// With the name of who gave it, for the history.
    pub(super) fn given_by(self, name: &str) -> Result<String, Problem> {
        check_words(&self.reason).map_err(|why| Problem::bad_request(format!("reason: it {why}")))?;
        Ok(format!("{} (by API token {name})", self.reason))
    }
}

/// One JSON object of this form. Forms could be read from arrays too, and then a slip in their order would go unnoticed.
pub(super) fn object<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    match serde_json::from_str(text) {
        Err(error) if !error.is_data() => Err(not_json(&error)),
        Err(error) => Err(Problem::bad_request(error)),
        Ok(_) if !text.trim_start().starts_with('{') => Err(Problem::bad_request("a JSON object is expected")),
        Ok(form) => Ok(form),
    }
}

pub(super) fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new(axum::http::StatusCode::BAD_REQUEST, "bad_json", format!("the body is not JSON: {error}"))
}

/// Writes amounts with the coin's decimals.
#[derive(Clone, Copy)]
pub(super) struct Forms {
    pub(super) decimals: u8,
}

impl Forms {
    fn amount(self, amount: Amount) -> String {
        amount.to_decimal(self.decimals)
    }

    pub(super) fn payout(self, payout: &Payout) -> Value {
        json!({
            "seq": payout.seq,
            "id": payout.id.as_str(),
            "address": payout.address,
            "amount": self.amount(payout.amount),
            "priority": payout.priority.name(),
            "state": payout.state.name(),
            "reason": payout.reason,
            "batch": payout.batch.as_ref().map(|batch| batch.as_str()),
            "not_sent_count": payout.not_sent_count,
            "submitted": payout.submitted.0,
        })
    }

    pub(super) fn submitted(self, submitted: &Submitted) -> Value {
        json!({"payout": self.payout(&submitted.payout), "new": submitted.new, "address_checked": submitted.address_checked})
    }

    pub(super) fn page(self, payouts: &[Payout], limit: usize) -> Value {
        let next = if payouts.len() < limit { None } else { payouts.last().map(|payout| payout.id.as_str()) };
        let payouts: Vec<Value> = payouts.iter().map(|payout| self.payout(payout)).collect();
        json!({"schema": SCHEMA, "payouts": payouts, "next": next})
    }

    pub(super) fn detail(self, detail: &Detail) -> Value {
        json!({
            "schema": SCHEMA,
            "payout": self.payout(&detail.payout),
            "history": detail.history.iter().map(history_line).collect::<Vec<_>>(),
            "transactions": transactions(&detail.transactions),
            "confirmations": detail.confirmations,
            "waits_for": detail.waits_for,
        })
    }

    pub(super) fn batch(self, detail: &BatchDetail) -> Value {
        let batch = &detail.batch;
        json!({"schema": SCHEMA, "batch": {
            "id": batch.id.as_str(),
            "seq": batch.seq,
            "state": batch.state.name(),
            "method": batch.method,
            "wallet": batch.wallet,
            "outputs": detail.outputs,
            "total": self.amount(detail.total),
            "created": batch.created.0,
            "doubt_since": batch.doubt_since.map(|time| time.0),
            "doubt_reason": batch.doubt_reason,
            "outcome": batch.outcome,
            "transactions": transactions(&detail.transactions),
        }})
    }

    pub(super) fn queue(self, standing: &Standing, last_flush: Option<&LastFlush>, flush_schedule: &str) -> Value {
        let totals = standing.totals.iter().map(|(state, (count, amount))| {
            let total = json!({"count": count, "amount": self.amount(*amount)});
            (state.name().to_owned(), total)
        });
        json!({
            "schema": SCHEMA,
            "totals": totals.collect::<serde_json::Map<_, _>>(),
            "oldest_queued": standing.oldest_queued.as_ref().map(|payout| self.payout(payout)),
            "waits_for": waits_for(standing, last_flush, flush_schedule),
            "last_flush": last_flush.map(|last| json!({"time": last.time.0, "waiting": last.left(standing)})),
            "frozen": standing.frozen.iter().map(freeze).collect::<Vec<_>>(),
            "unresolved_batches": standing.unresolved.iter().map(|batch| batch.as_str()).collect::<Vec<_>>(),
        })
    }

    pub(super) fn flush(self, report: &FlushReport) -> Value {
        let rejected = report.rejected.iter().map(|it| json!({"id": it.id.as_str(), "reason": it.reason}));
        json!({
            "schema": SCHEMA,
            "done": true,
            "batches": report.batches.iter().map(|batch| self.sent_batch(batch)).collect::<Vec<_>>(),
            "rejected": rejected.collect::<Vec<_>>(),
            "waiting": report.waiting,
            "queued": report.queued,
        })
    }

    fn sent_batch(self, batch: &BatchReport) -> Value {
        json!({
            "id": batch.id.as_str(),
            "state": batch.state.name(),
            "txid": batch.txid.map(|txid| txid.to_string()),
            "payouts": batch.payouts,
            "outputs": batch.outputs,
            "total": self.amount(batch.total),
            "fee": batch.fee.map(|fee| self.amount(fee)),
            "note": batch.note,
        })
    }
}

/// A flush that goes on after its caller was answered.
pub(super) fn flush_goes_on() -> Value {
    json!({"schema": SCHEMA, "done": false, "batches": [], "rejected": [], "waiting": null, "queued": null})
}

fn history_line(line: &HistoryLine) -> Value {
    json!({
        "at": line.at.0,
        "from": line.from.map(|state| state.name()),
        "to": line.to.name(),
        "reason": line.reason,
        "batch": line.batch.as_ref().map(|batch| batch.as_str()),
    })
}

fn transactions(members: &[Member]) -> Vec<Value> {
    members.iter().map(|member| json!({"txid": member.txid.to_string(), "matched": member.matched})).collect()
}

fn freeze(frozen: &InForce) -> Value {
    let freeze = &frozen.freeze;
    json!({
        "id": frozen.id,
        "cause": freeze.cause,
        "detail": freeze.detail,
        "since": frozen.since.0,
        "next": frozen.next(),
    })
}

/// What the queue waits for, as a word and a sentence; nothing when it is empty. Why the last flush left the rest holds until the next.
fn waits_for(standing: &Standing, last_flush: Option<&LastFlush>, flush_schedule: &str) -> Value {
    if standing.oldest_queued.is_none() {
        return Value::Null;
    }
    let left = last_flush.and_then(|last| Some((last.left(standing)?, last.waits_for?.name())));
    let (code, message) = match (standing.hindrance(), left) {
        (Some(hindrance), _) => hindrance,
        (None, Some((waiting, code))) => (code, format!("{waiting}; flushes by schedule ({flush_schedule}, UTC) try again")),
        (None, None) => ("flush", format!("the next flush: by schedule ({flush_schedule}, UTC), or POST /v1/flush")),
    };
    json!({"code": code, "message": message})
}
