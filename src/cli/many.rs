//! Looking at all coins at once.

use std::thread;

use serde_json::{Map, Value};

use super::args::Output;
use super::{client, print, tables};
use crate::config::Settings;
use crate::service::{Answer, CheckReport, Checked, Failure, Level, Order, StatusReport};

/// Places a looking order with every coin at the same time, so that one that hangs holds up no other; prints all of it, and exits with
/// the worst.
pub(super) fn place(settings: &Settings, order: &Order, output: Output) -> Result<u8, Failure> {
    let answers: Vec<(&str, u8, Result<Answer, Failure>)> = thread::scope(|scope| {
        let asked: Vec<_> = settings
            .coins
            .iter()
            .map(|(name, coin)| (name.as_str(), coin.profile.decimals, scope.spawn(move || client::place(settings, coin, order))))
            .collect();
        let join = |(name, decimals, asked): (_, _, thread::ScopedJoinHandle<'_, _>)| {
            (name, decimals, asked.join().unwrap_or_else(|_| Err(lost())))
        };
        asked.into_iter().map(join).collect()
    });
    match order {
        Order::Check => check(answers, output),
        _ => status(answers, output),
    }
}

fn lost() -> Failure {
    Failure::new("lost", "asking this coin failed in an unexpected way", crate::service::exit::FAILED)
}

/// One report, each check under its coin's name.
fn check(answers: Vec<(&str, u8, Result<Answer, Failure>)>, output: Output) -> Result<u8, Failure> {
    let (mut lost, mut checks) = (Vec::new(), Vec::new());
    for (coin, _, answer) in answers {
        let of_coin = match answer {
            Ok(Answer::Check(report)) => report.checks,
            Ok(_) => vec![Checked::new("service", Level::Unknown, "it gave another answer than was asked for")],
            Err(failure) => {
                vec![Checked::new("service", Level::Unknown, failure.message).next(failure.next.unwrap_or_default())]
            }
        };
        for checked in of_coin {
            // A store that is missing or cannot be read is named before all else.
            let place = if checked.name == CheckReport::STORE { &mut lost } else { &mut checks };
            place.push(Checked { name: format!("{coin} {}", checked.name), ..checked });
        }
    }
    lost.append(&mut checks);
    let answer = Answer::Check(CheckReport { checks: lost });
    print::answer(&answer, 0, output)?;
    Ok(answer.exit_code())
}

fn status(answers: Vec<(&str, u8, Result<Answer, Failure>)>, output: Output) -> Result<u8, Failure> {
    let mut exit = crate::service::exit::DONE;
    let mut fields = Map::new();
    let mut rows: Vec<(String, Result<Box<StatusReport>, Failure>)> = Vec::new();
    for (coin, decimals, answer) in answers {
        match answer {
            Ok(Answer::Status(status)) => {
                let shown = print::to_fields(&Answer::Status(status.clone()), decimals);
                fields.insert(coin.to_owned(), Value::Object(shown));
                rows.push((coin.to_owned(), Ok(status)));
            }
            other => {
                let failure = other.err().unwrap_or_else(lost);
                exit = exit.max(failure.exit);
                let error = serde_json::json!({"code": failure.code, "message": failure.message, "next": failure.next});
                fields.insert(coin.to_owned(), serde_json::json!({"error": error}));
                rows.push((coin.to_owned(), Err(failure)));
            }
        }
    }
    print::both(&tables::statuses(&rows), Map::from_iter([("coins".to_owned(), Value::Object(fields))]), output)?;
    Ok(exit)
}
