//! `ledger verify`, as a whole process: every hash, sum and reference.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{Goal, MOST_MIB, POSTINGS, World, figure};

/// Postings a second.
const LEAST_RATE: f64 = 500_000.0;
/// The best of so many: what else the machine does only makes it slower.
const TURNS: usize = 5;
/// How often the memory is looked at.
const LOOK_EACH: Duration = Duration::from_millis(5);

pub(super) fn measure(world: &World, head: &str) {
    let (mut best, mut peak_mib) = (Duration::MAX, 0.0_f64);
    for _ in 0..TURNS {
        let began = Instant::now();
        let mut child =
            world.bursar_command(&["--output", "json", "ledger", "verify"]).stdout(Stdio::piped()).spawn().expect("bursar");
        while child.try_wait().expect("its state").is_none() {
            peak_mib = peak_mib.max(resident_mib(child.id()).unwrap_or_default());
            std::thread::sleep(LOOK_EACH);
        }
        best = best.min(began.elapsed());
        let output = child.wait_with_output().expect("its words");
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
        assert!(said["fault"].is_null() && said["head"] == head, "{said}");
    }
    let against = format!("{POSTINGS} postings in {} ms, the best of {TURNS}", best.as_millis());
    figure("ledger_verify", POSTINGS as f64 / best.as_secs_f64(), "postings/s", &against, Goal::AtLeast(LEAST_RATE));
    figure("ledger_verify_peak_memory", peak_mib, "MiB", "the whole process, VmHWM", Goal::AtMost(MOST_MIB));
}

/// The most that a process had resident; none once it has ended.
pub(super) fn resident_mib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim_end_matches("kB").trim().parse::<f64>().ok()? / 1024.0)
}
