//! Who calls: the token, its role and its rate.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::http::{HeaderMap, StatusCode, header};
use tracing::error;

use super::problem::Problem;
use crate::service::tokens::{self, Role, Token};

/// Nanoseconds of a second: credit is counted in them, because a rate divides them without fractions that matter.
const SECOND_NS: u64 = 1_000_000_000;

/// Who made a request, by a valid token.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) name: String,
    role: Role,
}

impl Caller {
    /// Refuses whoever may not do it.
    pub(super) fn must_have(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let message = format!("token '{}' has the role {}, and this needs {}", self.name, self.role.name(), role.name());
        let problem = Problem::new(StatusCode::FORBIDDEN, "not_allowed", message);
        Err(problem.next("use another token; `bursar token add` on the host makes one"))
    }
}

/// The tokens that are valid now, and how fast each was used.
pub(super) struct Keys {
    file: PathBuf,
    requests_per_s: u32,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Of the file that was read; none: none was.
    seen: Option<Seen>,
    tokens: Vec<Token>,
    /// By the token's name.
    buckets: HashMap<String, Bucket>,
}

/// What changes when the file is replaced: modification time, change time, inode and size.
type Seen = (i64, i64, i64, i64, u64, u64);

/// What a token has left of its rate, in nanoseconds: a request costs its share of a second, and a second of rest fills it.
#[derive(Clone, Copy)]
struct Bucket {
    credit_ns: u64,
    at: Instant,
}

impl Bucket {
    /// Takes a request's cost at this moment; false where there is not enough.
    fn take(&mut self, cost_ns: u64, now: Instant) -> bool {
        let rested = u64::try_from(now.saturating_duration_since(self.at).as_nanos()).unwrap_or(SECOND_NS);
        self.credit_ns = self.credit_ns.saturating_add(rested).min(SECOND_NS);
        self.at = now;
        match self.credit_ns.checked_sub(cost_ns) {
            Some(rest) => {
                self.credit_ns = rest;
                true
            }
            None => false,
        }
    }
}

impl Keys {
    pub(super) fn new(file: PathBuf, requests_per_s: u32) -> Keys {
        Keys { file, requests_per_s, known: Mutex::default() }
    }

    /// The caller of a request with these headers.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let text = bearer(headers).ok_or_else(unauthorized)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.refresh(&self.file)?;
        let token = tokens::find(&known.tokens, text).ok_or_else(unauthorized)?;
        let caller = Caller { name: token.name.clone(), role: token.role };
        let now = Instant::now();
        let full = Bucket { credit_ns: SECOND_NS, at: now };
        let cost_ns = SECOND_NS / u64::from(self.requests_per_s.max(1));
        if known.buckets.entry(caller.name.clone()).or_insert(full).take(cost_ns, now) {
            return Ok(caller);
        }
        let message = format!("token '{}' makes more than {} requests a second", caller.name, self.requests_per_s);
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
        Err(problem.next("wait a second; many payouts go into one request to /v1/payouts/batch"))
    }
}

impl Known {
    /// Reads the file again when it is another one. A token that was removed is refused from the next request on.
    fn refresh(&mut self, file: &PathBuf) -> Result<(), Problem> {
        let seen = fs::metadata(file)
            .map(|facts| (facts.mtime(), facts.mtime_nsec(), facts.ctime(), facts.ctime_nsec(), facts.ino(), facts.size()));
        if let (Ok(now), Some(before)) = (&seen, &self.seen)
            && now == before
        {
            return Ok(());
        }
        match tokens::read(file) {
            Ok(tokens) => {
                let names = |name: &String| tokens.iter().any(|token| token.name == *name);
                self.buckets.retain(|name, _| names(name));
                (self.tokens, self.seen) = (tokens, seen.ok());
                Ok(())
            }
            Err(failure) => {
                // Nobody is let in by what it said before: it may have been changed to keep somebody out.
                (self.tokens, self.seen) = (vec![], None);
                error!(code = failure.code, next = failure.next, "nobody can use the API: {}", failure.message);
                Err(Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "tokens_file",
                    "the tokens cannot be read; see the service's log",
                ))
            }
        }
    }
}

/// The token of the request: one `Authorization` header, scheme `Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

fn unauthorized() -> Problem {
    let message = "this needs a valid token in the header Authorization: Bearer TOKEN";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message).next("`bursar token add` on the host makes one")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_gives_its_rate_and_fills_in_a_second() {
        let began = Instant::now();
        let mut bucket = Bucket { credit_ns: SECOND_NS, at: began };
        let cost_ns = SECOND_NS / 10;
        let taken = (0..100).filter(|_| bucket.take(cost_ns, began)).count();
        assert_eq!(taken, 10);
        assert!(!bucket.take(cost_ns, began + Duration::from_millis(99)));
        assert!(bucket.take(cost_ns, began + Duration::from_millis(100)));
        let taken = (0..100).filter(|_| bucket.take(cost_ns, began + Duration::from_secs(3600))).count();
        assert_eq!(taken, 10, "rest is not saved up beyond a second");
    }

    #[test]
    fn the_token_stands_in_one_header_alone() {
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            headers
        };
        assert_eq!(bearer(&headers(&["Bearer abc"])), Some("abc"));
        assert_eq!(bearer(&headers(&["bearer abc"])), Some("abc"));
        for wrong in [&["abc"][..], &["Basic abc"], &["Bearer"], &["Bearer abc", "Bearer def"], &[]] {
            assert_eq!(bearer(&headers(wrong)), None, "{wrong:?}");
        }
    }
}
