//! A status and a flush with all that they can tell.

use super::*;

pub(super) fn a_status() -> StatusReport {
    let freeze = Freeze {
        cause: Cause::StoreWentBack,
        detail: "d".to_owned(),
        txids: vec![txid()],
        amount: Some(LEAST),
        wallet: Some("cold".to_owned()),
    };
    let balances = Balances { trusted: MOST, pending: None, immature: Some(MOST), source: BalanceSource::Getinfo };
    let last_audit = AuditSummary { time: TIME, verdict: audit::Verdict::Explained, difference: LEAST, suspects: usize::MAX };
    StatusReport {
        coin: "ltc".to_owned(),
        chain: Chain::Main,
        decimals: 8,
        process: ProcessState::Exited { status: "exit code 1".to_owned(), last_lines: vec!["l".to_owned()] },
        keeper: Some(some_words()),
        health: vec![Condition {
            kind: ConditionKind::ClockSkew,
            severity: Severity::Critical,
            words: "w".to_owned(),
            next: Some("n".to_owned()),
        }],
        staking: Some(StakingVerdict::Unproven { why: "w".to_owned() }),
        busy_with: Some("audit_run".to_owned()),
        time: TIME,
        daemon_error: None,
        tip: Some(tip()),
        balances: Some(balances),
        ledger_tip: Some(tip()),
        payouts: State::ALL.map(|state| (state, u64::MAX)).into_iter().collect::<BTreeMap<_, _>>(),
        queue: a_queue(),
        frozen: vec![InForce { id: i64::MAX, freeze, since: TIME }],
        last_audit: Some(last_audit.clone()),
        followed: vec![FollowedStatus {
            wallet: "cold".to_owned(),
            error: Some(Failure::new("not_connected", "not loaded", exit::LATER)),
            balances: None,
            ledger_tip: None,
            last_audit: Some(last_audit),
        }],
        last_backup: Some(TIME),
        last_drill_passed: None,
        credits: ledger::credit::CreditStanding {
            credits: u64::MAX,
            reversals: 1,
            outstanding: u64::MAX,
            last_reversal: Some(TIME),
            waiting: 2,
        },
        webhook: Some(payout::webhook::Progress {
            waiting: u64::MAX,
            oldest: Some(TIME),
            delivered: None,
            failing_since: Some(TIME),
            last_error: Some("HTTP 500".to_owned()),
        }),
    }
}

pub(super) fn a_flush() -> payout::FlushReport {
    let batch = payout::BatchReport {
        id: batch_id(),
        state: BatchState::InDoubt,
        txid: Some(txid()),
        payouts: usize::MAX,
        outputs: 1,
        total: MOST,
        fee: Some(LEAST),
        vsize: Some(u64::MAX),
        planned_rate: bursar::coin::FeeRate::from_per_kvb(u64::MAX),
        saving_percent: Some(100),
        note: Some("n".to_owned()),
    };
    let rejected = payout::RejectedPayout { id: id(), reason: "dust".to_owned() };
    payout::FlushReport {
        batches: vec![batch],
        rejected: vec![rejected],
        waiting: Some("w".to_owned()),
        waits_for: Some(payout::rules::WaitsFor::Funds),
        patient: u64::MAX,
        locked: true,
        queued: u64::MAX,
        follows: true,
    }
}
