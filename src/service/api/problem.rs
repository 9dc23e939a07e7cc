//! A refused or failed call: its HTTP status, and the same words and codes that the command line prints.

use axum::Json;
use axum::http::header::{CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::forms::SCHEMA;
use crate::service::{Failure, exit};

/// Seconds after which to try again what is not possible at the moment.
const LATER_S: u64 = 1;

/// A call that was not carried out, or whose outcome has to be asked for.
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) next: Option<String>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &str, message: impl ToString) -> Problem {
        Problem { status, code: code.to_owned(), message: message.to_string(), next: None }
    }

    pub(super) fn next(self, step: &str) -> Problem {
        Problem { next: Some(step.to_owned()), ..self }
    }

    /// A body or a query that cannot be read as what it should be.
    pub(super) fn bad_request(message: impl ToString) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_request", message).next("see GET /v1/openapi.json")
    }

    /// As in the answer to a batch, beside the payouts that were taken.
    pub(super) fn to_json(&self) -> Value {
        json!({"code": self.code, "message": self.message, "next": self.next})
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        let of_store = failure.is_of_store();
        let Failure { code, message, next, exit } = failure;
        let status = match code.as_str() {
            "bad_id" | "bad_amount" | "bad_address" => StatusCode::UNPROCESSABLE_ENTITY,
            "unknown_payout" | "unknown_batch" => StatusCode::NOT_FOUND,
            "id_taken" | "not_now" | "feed_went_back" => StatusCode::CONFLICT,
            // How things stand forbids it; another try alone changes nothing.
            _ if exit == exit::FROZEN || exit == exit::LOCKED => StatusCode::CONFLICT,
            // A store that is gone or unreadable may be brought back: nothing is known to be wrong with the request.
            _ if exit == exit::LATER || of_store => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem { status, code, message, next }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Json(json!({"schema": SCHEMA, "error": self.to_json()}));
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"bursar\""));
                // Whoever has no token holds no connection either.
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(RETRY_AFTER, LATER_S.into());
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn a_store_that_is_gone_is_told_as_something_that_may_pass() {
        let problem = Problem::from(Failure::from(StoreError::Gone("/state/coin/bursar.db".into())));
        assert_eq!((problem.status, problem.code.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "store_missing"));
        let other = Problem::from(Failure::new("something", "else", exit::FAILED));
        assert_eq!(other.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
