//! Whether the webhook's receiver is told.

use super::World;
use crate::coin::Timestamp;
use crate::payout::webhook::{self, Progress};
use crate::service::{Checked, Failure, Level, webhook_secrets};

/// A receiver that is so far behind is not told: what depends on it waits.
const STALE_S: i64 = 300;

impl World {
    /// How telling goes; none without a webhook in the settings.
    pub(super) fn webhook_progress(&mut self) -> Result<Option<Progress>, Failure> {
        if self.coin.webhook.url.is_none() {
            return Ok(None);
        }
        Ok(webhook::progress(&mut self.store)?)
    }

    pub(super) fn check_webhook(&mut self, now: Timestamp) -> Result<Option<Checked>, Failure> {
        let (Some(progress), Some(secret_file)) = (self.webhook_progress()?, self.coin.webhook.secret_file.clone()) else {
            return Ok(None);
        };
        let found = |level, words: String| Ok(Some(Checked::new("webhook", level, words)));
        if let Err(problem) = webhook_secrets(&secret_file) {
            return found(Level::Warning, format!("webhook.secret_file: {problem}; nothing is told"));
        }
        let late = progress.oldest.is_some_and(|oldest| now.0 - oldest.0 > STALE_S);
        let waiting = progress.waiting;
        match (progress.failing_since, progress.last_error) {
            (Some(since), Some(error)) if late => {
                let words = format!("{waiting} events wait: deliveries fail since {since}: {error}");
                let next = "see to the receiver; events are sent again until it takes them, and payouts go on meanwhile";
                Ok(Some(Checked::new("webhook", Level::Warning, words).next(next)))
            }
            _ if late => {
                let words = format!("{waiting} events wait, the oldest for more than {} minutes", STALE_S / 60);
                let next = "see that the service runs, and that the receiver answers quickly";
                Ok(Some(Checked::new("webhook", Level::Warning, words).next(next)))
            }
            (_, _) if waiting == 0 => found(Level::Ok, "the receiver has taken all events".to_owned()),
            (_, _) => found(Level::Ok, format!("{waiting} events are on their way")),
        }
    }
}
