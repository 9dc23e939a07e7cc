//! Verbs: parse, place one order, print, exit code. No decisions.

mod args;
mod books;
mod client;
mod dossiers;
mod doubt;
mod install;
mod journal;
mod manual;
mod many;
mod nagios;
mod orders;
mod print;
mod screen;
mod setup;
mod statement;
mod tables;
mod token;
mod watched;
mod who;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::args::{AuditVerb, Cli, CoinsVerb, LedgerVerb, Output, Verb};
use self::journal::Stream;
use self::orders::Request;
use self::watched::Watched;
use crate::config::Settings;
use crate::keeper::{self, First};
use crate::service::{self, Failure, Order, exit};

/// Runs the program and decides its exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            return bad_usage(&error);
        }
    };
    log_to_stderr(matches!(cli.verb, Verb::Run | Verb::Keep { .. }));
    let output = cli.global.output;
    let monitored = matches!(cli.verb, Verb::Check) || is_for_nagios(&cli);
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            let output = if output == Output::Nagios && !monitored { Output::Human } else { output };
            print::failure(&failure, output);
            // Monitoring knows no other codes.
            ExitCode::from(if monitored { exit::PARTLY } else { failure.exit })
        }
    }
}

/// What says how things are in the words of monitoring plugins.
fn is_for_nagios(cli: &Cli) -> bool {
    cli.global.output == Output::Nagios && matches!(cli.verb, Verb::Check | Verb::Audit(AuditVerb::Run { .. }))
}

/// Help and version, or what is wrong with the arguments: as JSON where that was asked for, though the arguments as a whole are wrong.
fn bad_usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::from(exit::DONE);
    }
    let words: Vec<_> = std::env::args_os().collect();
    let wants_json = words.iter().any(|word| word == "--output=json")
        || words.windows(2).any(|pair| matches!(pair, [option, value] if option == "--output" && value == "json"));
    if wants_json {
        let text = error.render().to_string();
        let message = text.trim_end().trim_start_matches("error: ");
        print::failure(&Failure::new("usage", message, exit::USAGE).next("`bursar help`"), Output::Json);
    } else {
        let _ = error.print();
    }
    ExitCode::from(exit::USAGE)
}

/// Logs go to stderr: everything worth knowing for the service, warnings for the rest; `RUST_LOG` overrides. The journal stamps lines itself.
fn log_to_stderr(service: bool) {
    let default = if service { "info,tokio_cron_scheduler=warn" } else { "warn" };
    let wanted = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = wanted.or_else(|| default.parse().ok()).unwrap_or_default();
    let log = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let lines = lines.with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    match journal::stream() {
        Stream::None => log.with(lines).init(),
        Stream::Elsewhere => log.with(lines.without_time()).init(),
        Stream::Stderr => log.with(lines.event_format(journal::WithPriority)).init(),
    }
}

fn run(cli: Cli) -> Result<u8, Failure> {
    if cli.global.output == Output::Nagios && !is_for_nagios(&cli) {
        let message = "--output nagios is for `bursar check` and `bursar audit run`; nothing was done";
        return Err(Failure::new("usage", message, exit::USAGE));
    }
    if let Verb::Init = cli.verb {
        return setup::init(&cli.global.config, cli.global.output);
    }
    if let Verb::Coins { verb } = &cli.verb {
        return setup::coins(verb.as_ref().unwrap_or(&CoinsVerb::List), &cli.global.config, cli.global.output);
    }
    match &cli.verb {
        Verb::Install { root, dry_run } => return install::install(&cli.global, root, *dry_run),
        Verb::Completions { shell } => return print::bytes(&manual::completions(*shell)),
        Verb::Man => return print::bytes(&manual::page().unwrap_or_default()),
        _ => {}
    }
    let settings = Settings::load(&cli.global.config)?;
    if cli.global.coin.is_none() && settings.coins.len() > 1 && matches!(cli.verb, Verb::Check | Verb::Status) {
        let order = if matches!(cli.verb, Verb::Check) { Order::Check } else { Order::Status };
        return many::place(&settings, &order, cli.global.output);
    }
    let coin = settings.coin(cli.global.coin.as_deref())?;
    if let Verb::Ledger(LedgerVerb::Statement(args)) = &cli.verb
        && let Some(dir) = &args.to
    {
        return statement::write(&settings, coin, args, dir, cli.global.output);
    }
    let request = match cli.verb {
        Verb::Render(args) => return setup::render(coin, &args, cli.global.output),
        Verb::Keep { extra, stopped } => {
            keeper::keep(coin, if stopped { First::AwaitOrder } else { First::Start(extra) })?;
            return Ok(exit::DONE);
        }
        Verb::Ledger(LedgerVerb::Export(args)) => {
            let mut out = Watched::new(io::stdout().lock());
            client::export(&settings, coin, args.into(), &mut out)?;
            if !out.has_entry() {
                let _ = writeln!(io::stderr(), "bursar: the ledger has no event in this range: what was exported has no entry");
            }
            return Ok(exit::DONE);
        }
        Verb::Token(verb) => return token::token(coin, verb, cli.global.output),
        Verb::Run => {
            service::run(client::open(&settings, coin)?)?;
            return Ok(exit::DONE);
        }
        verb => Request::from_verb(verb)?,
    };
    // Nobody is asked for a yes to what is refused.
    request.order.check_words()?;
    if let Some(question) = &request.question {
        confirm(question)?;
    }
    let answer = client::place(&settings, coin, &request.order);
    let answer = answer.map_err(|failure| Failure { exit: request.order.exit_code_of(&failure), ..failure })?;
    print::answer(&answer, coin.profile.decimals, cli.global.output)?;
    Ok(answer.exit_code())
}

/// Asks before what cannot be taken back; off a terminal only `--yes` will do.
fn confirm(question: &str) -> Result<(), Failure> {
    let declined = |message: &str| Err(Failure::new("not_confirmed", message, exit::USAGE));
    if !io::stdin().is_terminal() {
        return declined("this needs a yes, and there is no terminal to ask on: add --yes; nothing was done");
    }
    let mut answer = String::new();
    let asked = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stdin().read_line(&mut answer));
    match asked {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => declined("not confirmed; nothing was done"),
    }
}
