//! The main job on a real litecoind in regtest, narrated. Run it with `scripts/demo`.

#![allow(clippy::print_stdout, reason = "the demo speaks on stdout")]
#![allow(clippy::float_arithmetic, reason = "a percentage for people")]

mod money;
mod stage;

use std::io::Read;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use self::money::{Payee, coins, payees, singles_fee, unspent_total};
use self::stage::Stage;

/// Payouts of the demo; one has a bad address.
const PAYOUTS: usize = 120;

fn main() -> Result<()> {
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    let daemon = PathBuf::from(std::env::var("BURSAR_LITECOIND_021").context("run scripts/demo, which brings the daemon")?);
    let cli = daemon.with_file_name("litecoin-cli");
    let dir = tempfile::Builder::new().prefix("bursar-demo-").tempdir()?.keep();
    let mut stage = Stage::set(&dir, &daemon, &cli)?;
    let quiet = asked("--json");
    let demo = Demo {
        say: Box::new(move |text| {
            if !quiet {
                println!("{text}")
            }
        }),
        started: Instant::now(),
    };
    let summary = demo.play(&mut stage)?;
    if asked("--keep") {
        (demo.say)(&format!(
            "Left running: pid {}, metrics at {}, folder {}",
            stage.leave_running(),
            stage.metrics,
            dir.display()
        ));
    } else {
        stage.stop_service()?;
        (demo.say)("Service and daemon have stopped.");
        std::fs::remove_dir_all(&dir)?;
    }
    println!("{summary}");
    Ok(())
}

struct Demo {
    say: Box<dyn Fn(&str)>,
    started: Instant,
}

impl Demo {
    fn play(&self, stage: &mut Stage) -> Result<Value> {
        self.start_and_fund(stage)?;
        let paid = self.pay(stage)?;
        self.pay_by_api(stage)?;
        let before = self.audit(stage, "agrees")?;
        let drill = self.back_up(stage)?;
        let (picked, after_damage) = self.damage(stage)?;
        let after_repair = self.repair(stage, &picked)?;
        Ok(json!({
            "schema": 1,
            "payouts": PAYOUTS,
            "paid": paid["paid"],
            "rejected": paid["rejected"],
            "transactions": paid["transactions"],
            "fee_saved_percent": paid["fee_saved_percent"],
            "audit_before_damage": before["verdict"],
            "lost_txid": picked,
            "audit_after_damage": after_damage["verdict"],
            "audit_named_txids": money::suspects(&after_damage),
            "audit_after_repair": after_repair["verdict"],
            "drill": if drill["passed"] == true { "passed" } else { "failed" },
            "seconds": self.started.elapsed().as_secs(),
        }))
    }

    fn say(&self, text: &str) {
        (self.say)(text);
    }

    fn start_and_fund(&self, stage: &mut Stage) -> Result<()> {
        self.say("1. Render: a hardened litecoin.conf, RPC on loopback only, a salted password.");
        let mut conf = String::new();
        stage.must(&["render"])?;
        std::fs::File::open(stage.dir.join("coin/daemon/litecoin.conf"))?.read_to_string(&mut conf)?;
        ensure!(conf.contains("rpcauth=") && conf.contains("rpcbind=127.0.0.1"), "the conf is not hardened:\n{conf}");
        self.say("2. Start: `bursar run` keeps the daemon, makes the wallet, opens the ledger.");
        stage.start_service()?;
        self.say("3. Fund: ten mined coins mature, and a stranger's five deposits confirm.");
        stage.cli("", &["createwallet", "payees"])?;
        stage.mine("payees", 5)?;
        stage.mine("bursar", 10)?;
        stage.mine("payees", 101)?;
        for deposit in 1..=5 {
            let address = stage.text("bursar", &["getnewaddress"])?;
            stage.cli("payees", &["sendtoaddress", &address, &format!("{deposit}.25")])?;
        }
        stage.mine("payees", 6)
    }

    fn pay(&self, stage: &Stage) -> Result<Value> {
        let payees = payees(stage, PAYOUTS)?;
        let file = stage.dir.join("payouts.csv");
        std::fs::write(&file, money::csv(&payees))?;
        let path = file.display().to_string();
        let (report, code) = stage.bursar(&["pay", "import", &path, "--reject-bad-payees"])?;
        ensure!(code == 3 && report["rejected"] == 1, "import: exit {code}, {report}");
        self.say(&format!("4. {PAYOUTS} payouts imported; one has a bad address: it alone is rejected."));
        let good: Vec<&Payee> = payees.iter().filter(|payee| payee.good).collect();
        let singles = singles_fee(stage, &good)?;
        stage.must(&["pay", "flush"])?;
        let txids = money::own_sends(stage)?;
        let fee: i64 = txids.iter().map(|txid| money::fee(stage, txid)).sum::<Result<i64>>()?;
        let saved = 100.0 - 100.0 * fee as f64 / singles as f64;
        self.say(&format!(
            "5. One sendmany: {} transaction(s), fee {} LTC; {} single sends at the same fee rate: {} LTC. Saved {saved:.1} %.",
            txids.len(),
            coins(fee),
            good.len(),
            coins(singles)
        ));
        stage.mine("payees", 7)?;
        let finals = stage.must(&["pay", "list", "--state", "final", "--limit", "1000"])?;
        let finals = finals["payouts"].as_array().map_or(0, Vec::len);
        ensure!(finals == good.len(), "{finals} payouts are final, expected {}", good.len());
        money::check_received(stage, &good)?;
        self.say(&format!("6. Seven blocks later all {finals} are final, and every payee has received its amount to the unit."));
        Ok(json!({
            "paid": finals,
            "rejected": PAYOUTS - good.len(),
            "transactions": txids.len(),
            "fee_saved_percent": (saved * 10.0).round() / 10.0,
        }))
    }

    /// What a shop's program would do: one payout by HTTP, urgent, asked for twice, as after an answer that was lost.
    fn pay_by_api(&self, stage: &Stage) -> Result<()> {
        let token = stage.must(&["token", "add", "--name", "shop", "--role", "submit"])?;
        let bearer = format!("Bearer {}", token["token"].as_str().context("no token")?);
        let address = stage.text("payees", &["getnewaddress", "", "bech32"])?;
        let payout = json!({"id": "order-urgent", "address": address, "amount": "0.25", "priority": "high"}).to_string();
        let post = || {
            let url = format!("{}/v1/payouts", stage.api);
            let request = ureq::post(url).header("Authorization", &bearer).header("Content-Type", "application/json");
            request.send(&payout).map(|answer| answer.status().as_u16())
        };
        let answers = [post()?, post()?];
        ensure!(answers == [201, 200], "the API answers {answers:?}");
        stage.wait_until("the urgent payout is sent", |stage| {
            Ok(stage.must(&["pay", "show", "order-urgent"])?["payout"]["state"] == "sent")
        })?;
        stage.mine("payees", 7)?;
        let received = stage.cli("payees", &["getreceivedbyaddress", &address])?.to_string();
        ensure!(received == "0.25000000", "the payee of the urgent payout received {received}");
        self.say("7. A payout by the HTTP API, priority high, asked for twice: sent at once, and once.");
        Ok(())
    }

    fn audit(&self, stage: &Stage, expected: &str) -> Result<Value> {
        let (report, code) = stage.bursar(&["audit", "run"])?;
        ensure!(report["verdict"] == expected, "audit: exit {code}, {report}, expected {expected}");
        let unspent = unspent_total(stage)?;
        let trusted = &report["wallet"]["trusted"];
        ensure!(*trusted == unspent, "audit says {trusted}, listunspent says {unspent}");
        self.say(&format!("   Audit: {expected}; the wallet holds {} LTC, as listunspent says.", coins(unspent)));
        Ok(report)
    }

    fn back_up(&self, stage: &Stage) -> Result<Value> {
        stage.must(&["backup", "create"])?;
        stage.must(&["backup", "verify"])?;
        self.say("8. Backup: encrypted with age, in two places, read back and checked.");
        let drill = stage.must(&["backup", "drill"])?;
        ensure!(drill["passed"] == true, "drill: {drill}");
        self.say("9. Drill: restored into a throwaway daemon; it holds the same keys.");
        Ok(drill)
    }

    fn damage(&self, stage: &Stage) -> Result<(String, Value)> {
        let txids = money::wallet_txids(stage)?;
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("{error}"))?;
        let picked = txids[usize::from_le_bytes(seed) % txids.len()].clone();
        stage.cli("bursar", &["removeprunedfunds", &picked])?;
        self.say(&format!("10. The wallet loses one of its {} transactions, picked at random: {picked}", txids.len()));
        let report = self.audit(stage, "unexplained")?;
        let named = money::suspects(&report);
        ensure!(named.contains(&picked), "the audit named {named:?}, not {picked}");
        let status = stage.must(&["status"])?;
        ensure!(status["frozen"].as_array().is_some_and(|causes| !causes.is_empty()), "payouts are not frozen: {status}");
        let (refusal, code) = stage.bursar(&["pay", "flush"])?;
        ensure!(code == 10, "flush while frozen: exit {code}, {refusal}");
        self.say("   It names that txid, and payouts are frozen.");
        Ok((picked, report))
    }

    fn repair(&self, stage: &Stage, picked: &str) -> Result<Value> {
        stage.must(&["repair", "run", "--yes"])?;
        stage.cli("bursar", &["gettransaction", picked]).context("the lost transaction is still lost")?;
        self.say("11. Repair: pending noted, daemon stopped, wallet copied, chain searched again.");
        let report = self.audit(stage, "agrees")?;
        let status = stage.must(&["status"])?;
        ensure!(status["frozen"].as_array().is_some_and(Vec::is_empty), "payouts are still frozen: {status}");
        self.say("    Payouts have thawed.");
        Ok(report)
    }
}
