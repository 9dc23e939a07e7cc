//! The feed of credits and reversals.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;

use super::Api;
use super::caller::Caller;
use super::forms::{MAX_PAGE, PAGE, SCHEMA, parsed};
use super::problem::Problem;
use crate::ledger::credit::{self, CreditEvent, Cursor};
use crate::service::Failure;
use crate::service::tokens::Role;

/// How long a caller waits for the next event at most.
const MAX_WAIT_S: u64 = 60;
/// How often it is looked for meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// From where, how much, and how long to wait for it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FeedQuery {
    after: Option<String>,
    limit: Option<usize>,
    wait_s: Option<u64>,
}

/// `GET /v1/events`
pub(super) async fn events(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<FeedQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    caller.must_have(Role::Read)?;
    let Query(query) = query.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let (limit, wait_s) = (query.limit.unwrap_or(PAGE), query.wait_s.unwrap_or(0));
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is {limit}: 1 to {MAX_PAGE} events make a page")));
    }
    if wait_s > MAX_WAIT_S {
        return Err(Problem::bad_request(format!("wait_s is {wait_s}: at most {MAX_WAIT_S} seconds are waited")));
    }
    let after: Option<Cursor> = parsed("after", query.after)?;
    let until = Instant::now() + Duration::from_secs(wait_s);
    let events = loop {
        let events = page(&api, after.clone(), limit).await?;
        if !events.is_empty() || Instant::now() >= until {
            break events;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    };
    let next = events.last().map(Cursor::after).or(after).map(|cursor| cursor.to_string());
    let told: Vec<_> = events.iter().map(|event| event.told(&api.store_id, api.coin.profile.decimals)).collect();
    let (coin, network) = (&api.coin.name, api.coin.chain.to_string());
    Ok(Json(json!({"schema": SCHEMA, "coin": coin, "network": network, "store": api.store_id, "events": told, "next": next}))
        .into_response())
}

async fn page(api: &Api, after: Option<Cursor>, limit: usize) -> Result<Vec<CreditEvent>, Problem> {
    api.read(move |store| store.read(|tx| credit::page(tx, after.as_ref(), limit)).map_err(Failure::from)).await
}
