//! Log lines for the journal, which stamps them itself and reads a priority such as `<4>` from the start of each (sd-daemon(3)).

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{Format, FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// Where the journal listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// Nowhere.
    None,
    /// To a parent of ours, from which our stderr was turned away.
    Elsewhere,
    /// To our stderr.
    Stderr,
}

/// As `$JOURNAL_STREAM` says: device and inode of the journal's end, see systemd.exec(5).
pub(super) fn stream() -> Stream {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else { return Stream::None };
    let own = rustix::fs::fstat(io::stderr().as_fd()).map(|facts| format!("{}:{}", facts.st_dev, facts.st_ino));
    if own.is_ok_and(|own| own == named) { Stream::Stderr } else { Stream::Elsewhere }
}

/// The usual line, without time and colour, behind its priority.
pub(super) struct WithPriority;

impl<S, N> FormatEvent<S, N> for WithPriority
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        let format = Format::default().without_time().with_target(false).with_level(false).with_ansi(false);
        format.format_event(context, Writer::new(&mut line), event)?;
        // The journal ends a message at each line's end, and every line needs its priority.
        let priority = priority(*event.metadata().level());
        line.trim_end().lines().try_for_each(|line| writeln!(writer, "{priority}{line}"))
    }
}

/// Of syslog: err, warning, info, debug.
pub(super) fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}
