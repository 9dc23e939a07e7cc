//! Points in time, in whole seconds since 1970 (UTC).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Seconds of a day; leap seconds are none in this count.
const DAY_S: i64 = 86_400;

/// A point in time: seconds since 1970-01-01T00:00:00Z. Shown as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The wall clock. Flows read it once and pass it on; rules never call it.
    pub fn now() -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_second())
    }

    /// `20261120T103000Z`: for file names, sorts as text.
    pub fn compact(self) -> String {
        self.to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{} s since 1970", self.0),
        }
    }
}

/// A day of UTC, by days since 1970-01-01. Shown, and in JSON, as `2026-11-20`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Day(i64);

impl Day {
    /// The day of a point in time.
    pub fn of(time: Timestamp) -> Day {
        Day(time.0.div_euclid(DAY_S))
    }

    /// From days since 1970-01-01.
    pub fn from_number(days: i64) -> Day {
        Day(days)
    }

    /// Days since 1970-01-01.
    pub fn number(self) -> i64 {
        self.0
    }

    /// Its first second.
    pub fn start(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(DAY_S))
    }

    /// The first second of the next.
    pub fn end(self) -> Timestamp {
        Timestamp(self.start().0.saturating_add(DAY_S))
    }
}

impl FromStr for Day {
    type Err = String;
    fn from_str(text: &str) -> Result<Day, String> {
        // It takes a time behind the day, too, and other spellings.
        let day = text.parse::<jiff::civil::Date>().ok().filter(|day| day.to_string() == text);
        let midnight = || day?.to_zoned(jiff::tz::TimeZone::UTC).ok();
        let midnight = midnight().ok_or_else(|| format!("'{text}' is not a day: write 2026-11-20"))?;
        Ok(Day::of(Timestamp(midnight.timestamp().as_second())))
    }
}

impl TryFrom<String> for Day {
    type Error = String;
    fn try_from(text: String) -> Result<Day, String> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> String {
        day.to_string()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.start().to_string();
        f.write_str(start.split('T').next().unwrap_or(&start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_seconds_and_is_written_as_it_is_read() {
        let day: Day = "2026-11-20".parse().unwrap();
        assert_eq!((day.to_string().as_str(), day.start().to_string().as_str()), ("2026-11-20", "2026-11-20T00:00:00Z"));
        assert_eq!(
            (Day::of(day.start()), Day::of(Timestamp(day.end().0 - 1)), Day::of(day.end()).number()),
            (day, day, day.number() + 1)
        );
        assert_eq!(serde_json::from_str::<Day>(&serde_json::to_string(&day).unwrap()).unwrap(), day);
        for bad in ["", "2026-11-31", "yesterday", "20"] {
            assert!(bad.parse::<Day>().is_err(), "{bad}");
        }
    }
}
