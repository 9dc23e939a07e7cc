//! The calls: look at the caller's role, read what is asked, have it done, write what came of it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Api;
use super::caller::Caller;
use super::forms::{self, Forms, ListQuery, MAX_BATCH_PAYOUTS, Reason, SCHEMA};
use super::problem::Problem;
use crate::payout::{self, BatchId, PayoutId, PersonsWord, Submitted};
use crate::service::run::place;
use crate::service::tokens::Role;
use crate::service::{Answer, Failure, Order, exit};
use crate::store::Store;

/// How long a body may take to come.
const BODY_PATIENCE: Duration = Duration::from_secs(30);
/// How long a caller waits for a flush. It goes on after that.
const FLUSH_PATIENCE: Duration = Duration::from_secs(20);

type Shared = State<Arc<Api>>;
type Answered = Result<Response, Problem>;

impl Api {
    fn forms(&self) -> Forms {
        Forms { decimals: self.coin.profile.decimals }
    }

    /// Reads the store on a thread that may wait for the disk.
    pub(super) async fn read<T: Send + 'static, E: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem>
    where
        Failure: From<E>,
    {
        let store = self.store.clone();
        let read = move || work(&mut store.lock().unwrap_or_else(PoisonError::into_inner));
        let read = tokio::task::spawn_blocking(read).await;
        let read = read.map_err(|_| Failure::new("api", "the call failed inside; see the service's log", exit::FAILED))?;
        Ok(read.map_err(Failure::from)?)
    }

    /// The text of a JSON body.
    async fn body(&self, headers: &HeaderMap, body: Body) -> Result<String, Problem> {
        let is_json = |value: &str| {
            let mut parts = value.split(';').map(|part| part.trim().to_ascii_lowercase());
            parts.next().as_deref() == Some("application/json") && parts.all(|part| part == "charset=utf-8")
        };
        let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !declared.is_some_and(is_json) || headers.contains_key(CONTENT_ENCODING) {
            let message = "the body has to be plain JSON with the header Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message));
        }
        let kib = self.coin.api.max_body_kib;
        let most = usize::try_from(kib).unwrap_or(usize::MAX).saturating_mul(1024);
        let Ok(read) = tokio::time::timeout(BODY_PATIENCE, to_bytes(body, most)).await else {
            let message = format!("the body did not come within {} s; nothing was done", BODY_PATIENCE.as_secs());
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message));
        };
        let bytes = read.map_err(|error| unread(&error, kib))?;
        let not_text = |_| Problem::new(StatusCode::BAD_REQUEST, "bad_json", "the body is not JSON: it is not UTF-8");
        String::from_utf8(bytes.into()).map_err(not_text)
    }
}

/// Why a body was not read to its end: it is too long, or the connection broke.
fn unread(error: &axum::Error, kib: u32) -> Problem {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    if source.contains("length limit exceeded") {
        let message = format!("the body is longer than {kib} KiB (api.max_body_kib); nothing was done");
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message).next("split it into several requests");
    }
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", format!("the body broke off ({error}); nothing was done"))
}

fn id_on_path(path: Result<Path<String>, PathRejection>) -> Result<PayoutId, Problem> {
    let not_text = |_| Problem::new(StatusCode::BAD_REQUEST, "bad_id", "the id on the path is not UTF-8 in percent encoding");
    let Path(text) = path.map_err(not_text)?;
    Ok(text.parse().map_err(Failure::from)?)
}

/// `POST /v1/payouts`
pub(super) async fn submit(State(api): Shared, Extension(caller): Extension<Caller>, request: Request<Body>) -> Answered {
    caller.must_have(Role::Submit)?;
    let (head, body) = request.into_parts();
    let request = forms::object(&api.body(&head.headers, body).await?)?;
    let mut replies = api.intake.submit(vec![request]).await?;
    let reply = replies.pop().ok_or_else(|| Failure::new("api", "a request without an answer", exit::FAILED))?;
    let submitted = reply.map_err(Failure::from)?;
    let mut body = api.forms().submitted(&submitted);
    body["schema"] = SCHEMA.into();
    Ok((status_of(&submitted), Json(body)).into_response())
}

fn status_of(submitted: &Submitted) -> StatusCode {
    if submitted.new { StatusCode::CREATED } else { StatusCode::OK }
}

/// `POST /v1/payouts/batch`
pub(super) async fn submit_batch(State(api): Shared, Extension(caller): Extension<Caller>, request: Request<Body>) -> Answered {
    caller.must_have(Role::Submit)?;
    let (head, body) = request.into_parts();
    let text = api.body(&head.headers, body).await?;
    let elements: Vec<&RawValue> = match serde_json::from_str(&text) {
        Err(error) if !error.is_data() => return Err(forms::not_json(&error)),
        parsed => parsed.map_err(|_| Problem::bad_request("a JSON array of payouts is expected"))?,
    };
    if !(1..=MAX_BATCH_PAYOUTS).contains(&elements.len()) {
        let message = format!("the array has {} payouts: 1 to {MAX_BATCH_PAYOUTS} are taken at once", elements.len());
        return Err(Problem::bad_request(message));
    }
    let mut read: Vec<Result<payout::Request, Problem>> =
        elements.into_iter().map(|element| forms::object(element.get())).collect();
    let requests = read.iter().filter_map(|request| request.as_ref().ok().cloned()).collect();
    let mut replies = api.intake.submit(requests).await?.into_iter();
    let results: Vec<Value> = read
        .drain(..)
        .map(|request| {
            let reply = request.map(|_| replies.next());
            let told = |problem: Problem| json!({"status": problem.status.as_u16(), "error": problem.to_json()});
            match reply {
                Err(problem) => told(problem),
                Ok(Some(Err(error))) => told(Failure::from(error).into()),
                Ok(Some(Ok(submitted))) => {
                    let mut result = api.forms().submitted(&submitted);
                    result["status"] = status_of(&submitted).as_u16().into();
                    result
                }
                Ok(None) => told(Failure::new("api", "a request without an answer", exit::FAILED).into()),
            }
        })
        .collect();
    Ok(Json(json!({"schema": SCHEMA, "results": results})).into_response())
}

/// `GET /v1/payouts`
pub(super) async fn list(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Answered {
    caller.must_have(Role::Read)?;
    let Query(query) = query.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let filter = query.into_filter()?;
    let limit = filter.limit;
    let payouts = api.read(move |store| payout::list(store, &filter)).await?;
    Ok(Json(api.forms().page(&payouts, limit)).into_response())
}

/// `GET /v1/payouts/{id}`
pub(super) async fn show(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
) -> Answered {
    caller.must_have(Role::Read)?;
    detail(&api, id_on_path(path)?).await
}

/// `GET /v1/payouts/batch`: the payout of that id, whose path is also that of a call.
pub(super) async fn show_batch_as_id(State(api): Shared, Extension(caller): Extension<Caller>) -> Answered {
    caller.must_have(Role::Read)?;
    detail(&api, "batch".parse().map_err(Failure::from)?).await
}

async fn detail(api: &Api, id: PayoutId) -> Answered {
    let detail = api.read(move |store| payout::show(store, &id)).await?;
    Ok(Json(api.forms().detail(&detail)).into_response())
}

/// `GET /v1/batches/{id}`
pub(super) async fn show_batch(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
) -> Answered {
    caller.must_have(Role::Read)?;
    let unknown = |text: &str| Problem::new(StatusCode::NOT_FOUND, "unknown_batch", format!("'{text}' is no batch of ours"));
    let Path(text) = path.map_err(|_| unknown("…"))?;
    let id: BatchId = text.parse().map_err(|_| unknown(&text))?;
    let detail = api.read(move |store| payout::show_batch(store, &id)).await?;
    Ok(Json(api.forms().batch(&detail)).into_response())
}

/// `GET /v1/queue`
pub(super) async fn queue(State(api): Shared, Extension(caller): Extension<Caller>) -> Answered {
    caller.must_have(Role::Read)?;
    let standing = api.read(payout::standing).await?;
    let last_flush = api.metrics.last_status().and_then(|status| status.queue.last_flush);
    Ok(Json(api.forms().queue(&standing, last_flush.as_ref(), &api.coin.schedule.flush)).into_response())
}

/// A person's word about one payout.
async fn decide(
    api: &Api,
    caller: &Caller,
    path: Result<Path<String>, PathRejection>,
    request: Request<Body>,
    word: PersonsWord,
) -> Answered {
    caller.must_have(Role::Operate)?;
    let id = id_on_path(path)?;
    let (head, body) = request.into_parts();
    let reason: Reason = forms::object(&api.body(&head.headers, body).await?)?;
    let payout = api.intake.decide(id, word, reason.given_by(&caller.name)?).await?;
    Ok(Json(json!({"schema": SCHEMA, "payout": api.forms().payout(&payout)})).into_response())
}

/// `POST /v1/payouts/{id}/hold`
pub(super) async fn hold(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    request: Request<Body>,
) -> Answered {
    decide(&api, &caller, path, request, PersonsWord::Hold).await
}

/// `POST /v1/payouts/{id}/release`
pub(super) async fn release(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    request: Request<Body>,
) -> Answered {
    decide(&api, &caller, path, request, PersonsWord::Release).await
}

/// `POST /v1/payouts/{id}/cancel`
pub(super) async fn cancel(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    request: Request<Body>,
) -> Answered {
    decide(&api, &caller, path, request, PersonsWord::Cancel).await
}

/// `POST /v1/flush`
///
/// One flush at a time: who asks for another while one waits for the worker is told that it goes on.
pub(super) async fn flush(State(api): Shared, Extension(caller): Extension<Caller>) -> Answered {
    caller.must_have(Role::Operate)?;
    let goes_on = || Ok((StatusCode::ACCEPTED, Json(forms::flush_goes_on())).into_response());
    if api.flushing.swap(true, Ordering::AcqRel) {
        return goes_on();
    }
    let (jobs, metrics, flushing) = (api.jobs.clone(), api.metrics.clone(), api.flushing.clone());
    // Its own task: a caller that goes away does not leave the mark behind.
    let flush = tokio::spawn(async move {
        let answer = place(jobs, &metrics, Order::PayFlush { dry_run: false, scheduled: false }).await;
        flushing.store(false, Ordering::Release);
        answer
    });
    match tokio::time::timeout(FLUSH_PATIENCE, flush).await {
        Err(_elapsed) => goes_on(),
        Ok(Ok(Ok(Answer::PayFlush(report)))) => Ok(Json(api.forms().flush(&report)).into_response()),
        Ok(Ok(Err(failure))) => Err(failure.into()),
        Ok(_) => Err(Failure::new("api", "the call failed inside; see the service's log", exit::FAILED).into()),
    }
}
