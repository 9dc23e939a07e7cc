//! What is sent to the webhook's receiver, how it is signed, and how long a failure is waited out.

use std::time::Duration;

use hmac::{Hmac, Mac};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Delivery, Event};
use crate::coin::Timestamp;
use crate::ledger::credit;

/// Version of the body that receivers rely on.
const SCHEMA: u32 = 1;
/// The first pause after a failure.
const FIRST_PAUSE_MS: u64 = 1000;
/// The longest: a receiver that is back after a night hears of it within minutes.
const LONGEST_PAUSE_MS: u64 = 300_000;
/// Bytes of an event's id.
const ID_BYTES: usize = 16;

/// Whose events these are.
#[derive(Clone, Debug)]
pub struct Sender<'a> {
    /// The coin instance.
    pub coin: &'a str,
    /// Its chain.
    pub network: String,
    /// The store's own id.
    pub store: &'a str,
    /// Decimals of one coin.
    pub decimals: u8,
}

#[derive(Serialize)]
struct Body<'a> {
    schema: u32,
    coin: &'a str,
    network: &'a str,
    store: &'a str,
    events: Vec<Told<'a>>,
    credits: Vec<credit::Told>,
}

#[derive(Serialize)]
struct Told<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    n: i64,
    time: i64,
    payout: &'a str,
    seq: i64,
    address: &'a str,
    amount: String,
    from: Option<&'static str>,
    to: &'static str,
    reason: Option<&'a str>,
    batch: Option<&'a str>,
    txids: Vec<String>,
}

/// The JSON of one delivery.
pub fn body(sender: &Sender<'_>, delivery: &Delivery) -> Result<String, serde_json::Error> {
    let Sender { coin, network, store, decimals } = sender;
    // A list of their own: receivers of before read all of `events` as steps of payouts.
    let credits = delivery.credits.iter().map(|event| event.told(store, *decimals)).collect();
    let events = delivery.events.iter().map(|event| told(sender, event)).collect();
    serde_json::to_string(&Body { schema: SCHEMA, coin, network, store, events, credits })
}

fn told<'a>(sender: &Sender<'_>, event: &'a Event) -> Told<'a> {
    Told {
        id: event_id(sender.store, event),
        kind: "payout",
        n: event.n,
        time: event.at.0,
        payout: event.payout.as_str(),
        seq: event.seq,
        address: &event.address,
        amount: event.amount.to_decimal(sender.decimals),
        from: event.from.map(super::State::name),
        to: event.to.name(),
        reason: event.reason.as_deref(),
        batch: event.batch.as_ref().map(super::BatchId::as_str),
        txids: event.txids.iter().map(ToString::to_string).collect(),
    }
}

/// What tells an event from all others, and is the same however often it is sent. A restored store gives numbers again, so a number is not enough.
fn event_id(store: &str, event: &Event) -> String {
    let from = event.from.map_or("", super::State::name);
    let text = [store, &event.n.to_string(), &event.at.0.to_string(), event.payout.as_str(), from, event.to.name()].join("\n");
    let hash = Sha256::digest(text.as_bytes());
    hex::encode(hash.get(..ID_BYTES).unwrap_or_default())
}

/// The value of the header `Bursar-Signature`: the time of signing, and for each secret the HMAC-SHA256, in hex, of `TIME.BODY`.
///
/// Two secrets sign while one replaces the other.
pub fn signature(secrets: &[impl AsRef<[u8]>], time: Timestamp, body: &str) -> String {
    let mut header = format!("t={}", time.0);
    for secret in secrets {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_ref()) else { continue };
        mac.update(format!("{}.{body}", time.0).as_bytes());
        header += &format!(",v1={}", hex::encode(mac.finalize().into_bytes()));
    }
    header
}

/// How long to wait after so many failures in a row, from 1. `chance` is 0 to 999: many senders do not come back at the same moment.
pub fn pause(failures: u32, chance: u32) -> Duration {
    let doubled = FIRST_PAUSE_MS.saturating_mul(2_u64.saturating_pow(failures.saturating_sub(1)));
    let longest = doubled.min(LONGEST_PAUSE_MS);
    Duration::from_millis(longest / 2 + longest / 2 * u64::from(chance.min(999)) / 1000)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;
    use crate::coin::Amount;

    fn event() -> Event {
        Event {
            n: 7,
            at: Timestamp(1_800_000_000),
            seq: 3,
            payout: "order \"9\"".parse().unwrap(),
            address: "addr".to_owned(),
            amount: Amount::from_base_units(10_000_001),
            from: Some(State::Queued),
            to: State::Sending,
            reason: None,
            batch: None,
            txids: vec![],
        }
    }

    #[test]
    fn the_body_has_amounts_as_text_and_an_id_that_lasts() {
        let sender = Sender { coin: "ltc", network: "main".to_owned(), store: "ab", decimals: 8 };
        let delivery = Delivery { events: vec![event()], credits: vec![] };
        let text = body(&sender, &delivery).unwrap();
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        let told = &found["events"][0];
        assert_eq!((told["amount"].as_str(), told["payout"].as_str()), (Some("0.10000001"), Some("order \"9\"")));
        assert_eq!((told["from"].as_str(), told["to"].as_str()), (Some("queued"), Some("sending")));
        assert_eq!(told["time"].as_i64(), Some(1_800_000_000), "as the API tells times");
        assert_eq!((told["type"].as_str(), found["credits"].as_array().map(Vec::len)), (Some("payout"), Some(0)));
        assert_eq!(body(&sender, &delivery).unwrap(), text);
        let other = Event { to: State::Held, ..event() };
        assert_ne!(event_id("ab", &event()), event_id("ab", &other), "a restored store gives the number again");
    }

    #[test]
    fn the_signature_is_the_hmac_that_others_compute() {
        // printf '1800000000.{}' | openssl dgst -sha256 -hmac secret
        let wanted = "t=1800000000,v1=bb7079132825ac793cea8c013c1dd24d926b9b02132245b10588d9e5c0df70d7";
        let found = signature(&["secret"], Timestamp(1_800_000_000), "{}");
        assert_eq!(found, wanted);
        assert_eq!(signature(&["secret", "older"], Timestamp(1_800_000_000), "{}").matches(",v1=").count(), 2);
    }

    #[test]
    fn pauses_double_to_five_minutes_and_chance_shortens_them_by_half_at_most() {
        let seconds = |failures, chance| pause(failures, chance).as_millis();
        assert_eq!((seconds(1, 0), seconds(2, 0), seconds(3, 0)), (500, 1000, 2000));
        assert_eq!((seconds(9, 0), seconds(10, 0), seconds(u32::MAX, 0)), (128_000, 150_000, 150_000));
        assert!(seconds(u32::MAX, 999) < 300_000 && seconds(u32::MAX, 5000) < 300_000);
    }
}
