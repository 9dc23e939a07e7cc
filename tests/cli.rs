//! What `bursar` prints, word for word: transcripts in `tests/cli/*.txt`.
//!
//! A line with `$ ` is a command; under it stands what came to stdout, behind `! ` what came to stderr, and behind `= ` the exit code
//! where it is not 0. `BURSAR_BLESS=1` writes the transcripts anew: read the difference before you commit it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use support::{BURN_ADDRESS, Generation, World};

fn transcript(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli").join(format!("{name}.txt"))
}

/// Runs the commands of a transcript in the world's folder, and compares all that they print.
#[track_caller]
fn check(world: &World, name: &str) {
    let file = transcript(name);
    let expected = fs::read_to_string(&file).unwrap();
    let mut found = String::new();
    for line in expected.lines() {
        let command = line.strip_prefix("$ bursar");
        let after_comment = found.lines().last().is_some_and(|last| last.starts_with('#'));
        if (command.is_some() || line.starts_with('#')) && !found.is_empty() && !after_comment {
            found += "\n";
        }
        match command {
            Some(command) => found += &format!("{line}\n{}", shown(world, &run(world, &words(command)))),
            None if line.starts_with('#') => found += &format!("{line}\n"),
            None => {}
        }
    }
    if std::env::var_os("BURSAR_BLESS").is_some() {
        fs::write(&file, &found).unwrap();
        return;
    }
    for (at, (expected, found)) in expected.lines().zip(found.lines()).enumerate() {
        assert_eq!(found, expected, "{name}.txt, line {}", at + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{name}.txt");
}

/// Splits a command at spaces; '…' keeps them.
fn words(command: &str) -> Vec<String> {
    let pieces = command.split('\'').enumerate();
    let split = |(at, piece): (usize, &str)| -> Vec<String> {
        if at % 2 == 1 { vec![piece.to_owned()] } else { piece.split_whitespace().map(str::to_owned).collect() }
    };
    pieces.flat_map(split).collect()
}

fn run(world: &World, args: &[String]) -> Output {
    let mut command = Command::new(&world.program);
    if !args.iter().any(|arg| arg == "--config") {
        command.args(["--config", "bursar.toml"]);
    }
    // The journal's way of logging: no times.
    command.env("SUDO_USER", "ada").env("JOURNAL_STREAM", "1:1").env_remove("RUST_LOG");
    command.args(args).current_dir(world.dir()).stdin(Stdio::null()).output().unwrap()
}

fn shown(world: &World, output: &Output) -> String {
    let mut text = steady(world, &String::from_utf8(output.stdout.clone()).unwrap());
    for line in steady(world, &String::from_utf8(output.stderr.clone()).unwrap()).lines() {
        text += format!("! {line}").trim_end();
        text += "\n";
    }
    match output.status.code() {
        Some(0) => text,
        code => text + &format!("= {}\n", code.expect("an exit code")),
    }
}

/// The text without what differs from run to run and from one release of the daemon to the next.
fn steady(world: &World, text: &str) -> String {
    let coin = world.coin();
    // Whoever runs the tests gives the orders: root for ada, or themselves.
    let mut text = text.replace("root (for ada)", "ada").replace(&format!("by {}", user()), "by ada");
    text = text.replace(&format!("{}: ", user()), "ada: ");
    text = text.replace(&world.dir().display().to_string(), "DIR");
    text = text.replace(&world.generation.program().display().to_string(), "PROGRAM");
    for port in [coin.daemon.rpc_port, coin.daemon.p2p_port] {
        text = text.replace(&format!(":{port}"), ":PORT");
    }
    if let Some(pid) = world.daemon_pid() {
        text = text.replace(&format!("pid {pid}"), "pid PID").replace(&format!("\"pid\":{pid}"), "\"pid\":PID");
    }
    text = between(&text, "daemon          ", ", chain", "VERSION");
    text = between(&text, "\"subversion\":", ",\"version\"", "VERSION");
    text = between(&text, "\"version\":", "}", "NUMBER");
    text = between(&text, "\"methods\":[", "]", "METHODS");
    text.lines().map(|line| format!("{}\n", without_sizes(&without_times(&without_hashes(line))))).collect()
}

/// The name of whoever runs the tests.
fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What stands between `start` and `end`, where there is such a place, becomes `word`.
fn between(text: &str, start: &str, end: &str, word: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(start)
        && let Some((_, tail)) = after.split_once(end)
    {
        kept += &format!("{before}{start}{word}{end}");
        rest = tail;
    }
    kept + rest
}

/// Runs of 24 or more hex digits become HEX.
fn without_hashes(line: &str) -> String {
    let mut kept = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let (before, from) = rest.split_at(start);
        let length = from.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(from.len());
        let (digits, after) = from.split_at(length);
        kept += before;
        kept += if length >= 24 { "HEX" } else { digits };
        rest = after;
    }
    kept + rest
}

/// Sizes in bytes become SIZE.
fn without_sizes(line: &str) -> String {
    let mut pieces: Vec<&str> = line.split(" bytes").collect();
    let last = pieces.pop().unwrap_or_default();
    let cut = |piece: &str| match piece.trim_end_matches(|c: char| c.is_ascii_digit()) {
        whole if whole.len() == piece.len() => format!("{whole} bytes"),
        without => format!("{without}SIZE bytes"),
    };
    pieces.into_iter().map(cut).collect::<String>() + last
}

/// Times such as 2026-11-20T11:53:12Z become TIME, and seconds since 1970 SECONDS.
fn without_times(line: &str) -> String {
    let mut text = line.to_owned();
    while let Some(at) = (0..text.len()).find(|&at| text.get(at..at + 20).is_some_and(is_time)) {
        text.replace_range(at..at + 20, "TIME");
    }
    while let Some(at) = (0..text.len()).find(|&at| text.get(at..at + 12).is_some_and(is_seconds)) {
        text.replace_range(at + 1..at + 11, "SECONDS");
    }
    text
}

fn is_time(text: &str) -> bool {
    text.bytes()
        .zip(b"0000-00-00T00:00:00Z")
        .all(|(byte, shape)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == *shape })
}

fn is_seconds(text: &str) -> bool {
    let inner = text.get(1..11).unwrap_or_default();
    text.starts_with(':')
        && inner.starts_with("1")
        && inner.bytes().all(|byte| byte.is_ascii_digit())
        && text.ends_with([',', '}'])
}

#[test]
fn every_verb_explains_itself() {
    check(&World::new(Generation::Litecoin021), "help");
}

#[test]
fn setting_up_writes_files_once_and_names_mistakes() {
    let world = World::new(Generation::Litecoin021);
    let coin = "[coins.ltc]\nprofile = \"litecoin\"\nchain = \"main\"\n";
    let file = |name: &str, rest: &str| fs::write(world.dir().join(name), format!("{coin}{rest}")).unwrap();
    file("key.toml", "[coins.ltc.daemon]\nrpc_prot = 9332\n");
    file("type.toml", "[coins.ltc.daemon]\nrpc_port = \"9332\"\n");
    file("syntax.toml", "[coins.ltc.daemon\nrpc_port = 9332\n");
    file("two.toml", "[coins.doge]\nprofile = \"dogecoin\"\nchain = \"main\"\n");
    check(&world, "setup");
    assert_eq!(fs::read_to_string(world.dir().join("new.toml")).unwrap(), bursar::config::EXAMPLE);
    assert_eq!(fs::read_to_string(world.dir().join("key.toml")).unwrap().lines().count(), 5, "init did not overwrite it");
}

#[test]
fn a_queue_without_a_daemon() {
    let world = World::with(Generation::Litecoin021, &[("payouts.max_amount", "\"250\"")]);
    let rows = |rows: &str| format!("id,address,amount\n{}", rows.replace("BURN", BURN_ADDRESS));
    fs::write(world.dir().join("good.csv"), rows("c1,BURN,1\nc2,bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4,2\n")).unwrap();
    fs::write(world.dir().join("bad.csv"), rows("d1,BURN,1\nd2,BURN,1e5\nd3,BURN\np1,BURN,7\n")).unwrap();
    fs::write(world.dir().join("empty.csv"), "").unwrap();
    check(&world, "queue");
}

#[test]
fn a_coin_with_its_daemon() {
    let world = World::new(Generation::Litecoin021);
    for place in &world.coin().backup.directories {
        fs::create_dir_all(place).unwrap();
    }
    check(&world, "daemon");
}

#[test]
fn an_order_stands_under_the_name_that_the_kernel_knows() {
    let world = World::new(Generation::Litecoin021);
    world.done(&["pay", "submit", "--id", "p1", "--address", BURN_ADDRESS, "--amount", "1"]);
    let held = |environment: &[(&str, &str)]| {
        let mut command = world.bursar_command(&["pay", "hold", "p1"]);
        for key in ["LOGNAME", "USER", "SUDO_USER"] {
            command.env_remove(key);
        }
        let output = command.envs(environment.iter().copied()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        world.done(&["pay", "release", "p1"]);
        said.trim_end().rsplit("  ").next().unwrap().to_owned()
    };
    let by = format!("by {}", user());
    assert_eq!(held(&[]), by);
    assert_eq!(held(&[("LOGNAME", "mallory"), ("USER", "mallory")]), by);
    let for_ada = if user() == "root" { "by root (for ada)" } else { &by };
    assert_eq!(held(&[("SUDO_USER", "ada")]), for_ada);
}

#[test]
fn a_reader_that_goes_away_is_no_error_and_a_full_disk_is() {
    let world = World::new(Generation::Litecoin021);
    let args = ["pay", "submit", "--id", "p1", "--address", BURN_ADDRESS, "--amount", "1"];
    let mut gone = world.bursar_command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(gone.stdout.take());
    let output = gone.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
    for format in ["human", "json"] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output =
            world.bursar_command(&["--output", format, "pay", "list"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("could not be printed (No space left on device"), "{said}");
    }
}

/// What a command shows on a terminal of its own.
fn on_a_terminal(world: &World, args: &[&str], no_color: bool) -> Vec<u8> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs = fs::OpenOptions::new().read(true).write(true).open(name).unwrap();
    let mut command = world.bursar_command(args);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR").env_remove("JOURNAL_STREAM");
    if no_color {
        command.env("NO_COLOR", "1");
    }
    command.stdout(theirs.try_clone().unwrap()).stderr(theirs);
    let mut child = command.spawn().unwrap();
    // Our own copies of the other end close with it: then the end of the program ends what we read.
    drop(command);
    let mut shown = Vec::new();
    let _ = fs::File::from(ours).read_to_end(&mut shown);
    child.wait().unwrap();
    shown
}

#[test]
fn a_terminal_gets_colours_unless_no_color_is_set() {
    let world = World::new(Generation::Litecoin021);
    let coloured = |args: &[&str], no_color| on_a_terminal(&world, args, no_color).contains(&0x1b);
    assert!(coloured(&["bogus"], false) && coloured(&["backup", "list"], false), "the test sees colours where there are some");
    for args in [&["--help"][..], &["bogus"], &["status"], &["backup", "list"], &["pay", "show", "p9"]] {
        assert!(!coloured(args, true), "{args:?}");
    }
}

#[test]
fn nothing_is_coloured_for_a_pipe_whatever_is_asked() {
    let world = World::new(Generation::Litecoin021);
    for args in [&["--help"][..], &["bogus"], &["status"], &["audit", "run"], &["pay", "show", "p9"]] {
        for (key, value) in [("NO_COLOR", "1"), ("RUST_LOG", "trace")] {
            let output = world.bursar_command(args).env(key, value).output().unwrap();
            assert!(![output.stdout, output.stderr].concat().contains(&0x1b), "{args:?} under {key}");
        }
    }
}
