//! Which call is where, and what stands before all of them: the token, and what no call answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::problem::Problem;
use super::{Api, DESCRIPTION, calls, events};
use crate::service::server::Trust;

/// Where the API describes itself. It tells nothing about this host, so that it needs no token.
const DESCRIPTION_PATH: &str = "/v1/openapi.json";

pub(super) fn routes(api: Arc<Api>) -> Router {
    let calls = Router::new()
        .route(DESCRIPTION_PATH, get(describe))
        .route("/v1/payouts", get(calls::list).post(calls::submit))
        .route("/v1/payouts/batch", get(calls::show_batch_as_id).post(calls::submit_batch))
        .route("/v1/payouts/{id}", get(calls::show))
        .route("/v1/payouts/{id}/hold", post(calls::hold))
        .route("/v1/payouts/{id}/release", post(calls::release))
        .route("/v1/payouts/{id}/cancel", post(calls::cancel))
        .route("/v1/queue", get(calls::queue))
        .route("/v1/flush", post(calls::flush))
        .route("/v1/events", get(events::events))
        .route("/v1/batches/{id}", get(calls::show_batch))
        .fallback(nothing_there)
        .method_not_allowed_fallback(not_that_method);
    // Bodies are read by calls themselves, after they have looked at the caller's role.
    let calls = calls.layer(DefaultBodyLimit::disable());
    calls.layer(middleware::from_fn_with_state(api.clone(), admit)).with_state(api)
}

/// Lets in whoever has a token, and anybody to the description.
async fn admit(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let is_open = request.method() == Method::GET && request.uri().path() == DESCRIPTION_PATH;
    if !is_open {
        match api.keys.admit(request.headers()) {
            Ok(caller) => {
                if let Some(trust) = request.extensions().get::<Trust>() {
                    trust.gain();
                }
                request.extensions_mut().insert(caller);
            }
            Err(problem) => return problem.into_response(),
        }
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn describe() -> Response {
    ([(CONTENT_TYPE, "application/json")], DESCRIPTION).into_response()
}

async fn nothing_there() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", "there is nothing at this path").next("see GET /v1/openapi.json")
}

async fn not_that_method() -> Problem {
    let message = "this path does not take this method; the header Allow names those that it takes";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
