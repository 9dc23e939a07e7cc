//! Results on stdout, errors on stderr or, for scripts, as JSON on stdout.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::args::Output;
use super::journal::{self, Stream};
use super::{nagios, tables};
use crate::service::{Answer, Failure, exit};

/// Version of the JSON that scripts rely on.
const SCHEMA: u32 = 1;

/// Prints one line to stdout. A reader that went away (`| head`) is not our error; a full disk is.
fn line(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

fn unprinted(error: io::Error) -> Failure {
    let message = format!("the result could not be printed ({error}), but the order was carried out");
    Failure::new("stdout", message, exit::FAILED).next("look with `bursar status` or `bursar pay list`")
}

/// Prints what was done, where there is nothing more to tell.
pub(super) fn done(text: &str, output: Output) -> Result<(), Failure> {
    both(text, Map::from_iter([("result".to_owned(), text.into())]), output)
}

/// Prints something that has both forms.
pub(super) fn both(human: &str, mut fields: Map<String, Value>, output: Output) -> Result<(), Failure> {
    fields.insert("schema".to_owned(), SCHEMA.into());
    let printed = match output {
        Output::Human | Output::Nagios => line(human.trim_end()),
        Output::Json => line(&Value::Object(fields).to_string()),
    };
    printed.map_err(unprinted)
}

/// Prints a text as it is, for another program.
pub(super) fn bytes(text: &[u8]) -> Result<u8, Failure> {
    match io::stdout().write_all(text).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unprinted(error)),
        _ => Ok(exit::DONE),
    }
}

/// Prints an answer.
pub(super) fn answer(answer: &Answer, decimals: u8, output: Output) -> Result<(), Failure> {
    if output == Output::Nagios {
        return done(&nagios::answer(answer), output);
    }
    both(&tables::answer(answer, decimals), to_fields(answer, decimals), output)
}

/// Prints a failure.
pub(super) fn failure(failure: &Failure, output: Output) {
    match output {
        Output::Json => {
            let error = json!({"code": failure.code, "message": failure.message, "next": failure.next});
            let text = json!({"schema": SCHEMA, "error": error}).to_string();
            if line(&text).is_err() {
                let _ = writeln!(io::stderr(), "{text}");
            }
        }
        // Monitoring reads stdout only.
        Output::Nagios => {
            let _ = line(&nagios::failure(failure));
        }
        Output::Human => {
            let priority = if journal::stream() == Stream::Stderr { journal::priority(tracing::Level::ERROR) } else { "" };
            let _ = writeln!(io::stderr(), "{priority}bursar: {}", failure.message);
            if let Some(next) = &failure.next {
                let _ = writeln!(io::stderr(), "{priority}  next: {next}");
            }
        }
    }
}

/// The answer's own fields, and `decimals` for its amounts.
pub(super) fn to_fields(answer: &Answer, decimals: u8) -> Map<String, Value> {
    let content = match serde_json::to_value(answer) {
        Ok(Value::Object(tagged)) => tagged.into_iter().next().map_or(Value::Null, |(_, content)| content),
        Ok(other) => other,
        Err(error) => json!({"unprintable": error.to_string()}),
    };
    let mut fields = match content {
        Value::Object(fields) => fields,
        other => Map::from_iter([("result".to_owned(), other)]),
    };
    fields.entry("decimals").or_insert(decimals.into());
    fields
}
