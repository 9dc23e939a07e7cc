//! What a caller asks for: an id, an address, an amount; and what was made of it.

use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::error::{BadAddress, BadAmount, PayoutError};
use super::records;
use super::rules::State;
use crate::coin::{Amount, AmountError, Timestamp, does_something};
use crate::config::CoinSettings;
use crate::daemon::AddressScript;
use crate::gate::{self, Cause};
use crate::store::Tx;

use super::batch::BatchId;

/// Characters of an id at most: it stands in tables, logs and file names of callers.
const MAX_ID_CHARS: usize = 128;

/// The caller's own id of a payout, unique per coin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PayoutId(String);

impl PayoutId {
    /// The caller's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PayoutId {
    type Err = PayoutError;
    fn from_str(text: &str) -> Result<PayoutId, PayoutError> {
        let problem = match text {
            "" => "it is empty",
            _ if text.chars().count() > MAX_ID_CHARS => "it has more than 128 characters",
            _ if text.chars().any(char::is_control) => "it has control characters",
            _ if text.trim() != text => "it begins or ends with a space",
            _ => return Ok(PayoutId(text.to_owned())),
        };
        let shown = text.chars().take(40).filter(|c| !c.is_control()).collect();
        Err(PayoutError::BadId { shown, problem })
    }
}

impl TryFrom<String> for PayoutId {
    type Error = PayoutError;
    fn try_from(text: String) -> Result<PayoutId, PayoutError> {
        text.parse()
    }
}

impl From<PayoutId> for String {
    fn from(id: PayoutId) -> String {
        id.0
    }
}

impl fmt::Display for PayoutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How urgent a payout is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Goes first, and does not wait for others to share a fee.
    High,
    /// As the batching policy says.
    #[default]
    Normal,
    /// Patient: may wait for a cheaper moment, within `payouts.patience_s`.
    Low,
}

impl Priority {
    /// All of them, the most urgent first; their places are their numbers in the store.
    pub const ALL: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

    /// Its name, in JSON and in files.
    pub fn name(self) -> &'static str {
        match self {
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
        }
    }
}

impl FromStr for Priority {
    type Err = String;
    fn from_str(text: &str) -> Result<Priority, String> {
        let found = Priority::ALL.into_iter().find(|priority| priority.name() == text);
        found.ok_or_else(|| format!("'{text}' is not a priority: {}", Priority::ALL.map(Priority::name).join(", ")))
    }
}

/// What a caller asks for, as text: it is checked here and nowhere else.
///
/// Read from a map alone, each key once. Derived code would take a list of the values, too, and what stands where is not to be guessed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct Request {
    /// The caller's own id.
    pub id: String,
    /// To whom.
    pub address: String,
    /// How much, in whole coins, such as `1.25`.
    pub amount: String,
    /// How urgent.
    #[serde(default)]
    pub priority: Priority,
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Request, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Request;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with id, address and amount")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Request, A::Error> {
                Request::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Request::serialize(self, serializer)
    }
}

/// A payout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// Its number in this store, in order of submission.
    pub seq: i64,
    /// The caller's own id.
    pub id: PayoutId,
    /// To whom.
    pub address: String,
    /// How much.
    pub amount: Amount,
    /// How urgent.
    pub priority: Priority,
    /// Where it stands.
    pub state: State,
    /// Why, where a person should know.
    pub reason: Option<String>,
    /// The batch that pays it, or may.
    pub batch: Option<BatchId>,
    /// How often it was proven unsent after doubt.
    pub not_sent_count: u32,
    /// When it was submitted.
    pub submitted: Timestamp,
}

/// The answer to a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// The payout as it stands.
    pub payout: Payout,
    /// False when the same request had been submitted before: nothing was added.
    pub new: bool,
    /// Whether the daemon accepted the address when the payout was first submitted; it is asked again before sending.
    pub address_checked: bool,
}

/// A request whose id and amount are sound.
pub(super) struct Checked {
    pub(super) id: PayoutId,
    pub(super) address: String,
    pub(super) amount: Amount,
    pub(super) priority: Priority,
}

impl Request {
    /// Checks id and amount.
    pub(super) fn check(&self, coin: &CoinSettings) -> Result<Checked, PayoutError> {
        let id: PayoutId = self.id.parse()?;
        if id.as_str().chars().any(does_something) {
            let shown = id.as_str().chars().filter(|c| !does_something(*c)).take(40).collect();
            return Err(PayoutError::BadId { shown, problem: "it has invisible characters, so that two ids can look like one" });
        }
        match check_amount(&self.amount, coin) {
            Ok(amount) => Ok(Checked { id, address: self.address.clone(), amount, priority: self.priority }),
            Err(problem) => Err(PayoutError::BadAmount { id, problem }),
        }
    }
}

fn check_amount(text: &str, coin: &CoinSettings) -> Result<Amount, BadAmount> {
    let decimals = coin.profile.decimals;
    let amount = Amount::parse_payment(text, decimals)?;
    if amount > coin.profile.max_money() {
        return Err(AmountError::OutOfRange(text.to_owned()).into());
    }
    match coin.payouts.max_amount {
        Some(limit) if amount > limit => {
            Err(BadAmount::AboveLimit { amount: amount.to_decimal(decimals), limit: limit.to_decimal(decimals) })
        }
        _ => Ok(amount),
    }
}

impl Checked {
    /// Whether both ask for the same.
    pub(super) fn same_as(&self, other: &Checked) -> bool {
        self.id == other.id && self.address == other.address && self.amount == other.amount && self.priority == other.priority
    }
}

/// The script that payments to an address can be checked by, or why it is not paid to.
pub(super) fn judge_script(script: AddressScript, address: &str) -> Result<String, BadAddress> {
    match script {
        AddressScript::Known(script) => Ok(script),
        AddressScript::Unsaid => Err(BadAddress::NoScript(address.to_owned())),
        AddressScript::Invalid => Err(BadAddress::Daemon(address.to_owned())),
    }
}

/// The payout that is known under a request's id: the same, or a refusal when its content differs.
pub(super) fn known(tx: &Tx<'_>, request: &Checked, coin: &CoinSettings) -> Result<Option<Payout>, PayoutError> {
    let Some(payout) = records::payout(tx, &request.id)? else {
        return Ok(None);
    };
    if payout.address == request.address && payout.amount == request.amount && payout.priority == request.priority {
        return Ok(Some(payout));
    }
    let amount = payout.amount.to_decimal(coin.profile.decimals);
    let existing = format!("{amount} to {}, priority {}", payout.address, payout.priority.name());
    Err(PayoutError::OtherContent { id: request.id.clone(), existing })
}

/// Refuses while the store may be older than the wallet.
pub(super) fn must_be_of_this_time(tx: &Tx<'_>) -> Result<(), PayoutError> {
    let tells = |cause| matches!(cause, Cause::StoreWentBack | Cause::UnknownSpend);
    let went_back = gate::frozen(tx)?.into_iter().find(|frozen| tells(frozen.freeze.cause));
    went_back.map_or(Ok(()), |frozen| Err(PayoutError::StoreWentBack(frozen.freeze.detail)))
}

/// What a person may do with a payout that was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonsWord {
    /// Keep it out of batches.
    Hold,
    /// Let a held one go on.
    Release,
    /// Withdraw it for good.
    Cancel,
}
