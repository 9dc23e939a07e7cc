use proptest::prelude::*;

use super::*;
use crate::coin::{Amount, BlockHash, OutPoint, Txid};
use crate::daemon::{DecodedTx, Extension, RpcError, TxOutput};
use crate::ledger::TxState;
use crate::payout::batch::BatchState;

const EVENTS: [Event; 17] = [
    Event::Hold,
    Event::Release,
    Event::Cancel,
    Event::PayeeRefused,
    Event::Batched,
    Event::Answered,
    Event::Refused,
    Event::AnswerLost,
    Event::Found,
    Event::NotSent { times: 1 },
    Event::NotSent { times: 2 },
    Event::NotSent { times: 3 },
    Event::Unprovable,
    Event::Confirmed,
    Event::Finalized,
    Event::Reorged,
    Event::ProvenDead,
];

fn units(units: i64) -> Amount {
    Amount::from_base_units(units)
}

fn txid(number: u8) -> Txid {
    Txid::from_bytes([number; 32])
}

fn daemon_says(code: i64, message: &str) -> RpcError {
    RpcError::Daemon { method: "sendmany".to_owned(), code, message: message.to_owned() }
}

#[test]
fn the_whole_life_is_the_diagram() {
    use State::*;
    let mut steps = Vec::new();
    for state in State::ALL {
        for event in EVENTS {
            if let Ok((to, _)) = next(state, event) {
                steps.push((state, to));
            }
        }
    }
    steps.sort();
    steps.dedup();
    let mut diagram = vec![
        (Queued, Sending),
        (Queued, Held),
        (Queued, Cancelled),
        (Queued, Rejected),
        (Held, Queued),
        (Held, Cancelled),
        (Held, Rejected),
        (Sending, Sent),
        (Sending, Queued),
        (Sending, Rejected),
        (Sending, InDoubt),
        (InDoubt, Sent),
        (InDoubt, Queued),
        (InDoubt, Held),
        (InDoubt, Disputed),
        (Sent, Confirmed),
        (Sent, Disputed),
        (Confirmed, Final),
        (Confirmed, Sent),
        (Final, Sent),
        (Disputed, Confirmed),
        (Disputed, Held),
    ];
    diagram.sort();
    assert_eq!(steps, diagram);
}

#[test]
fn a_person_cannot_touch_what_may_have_been_sent() {
    for state in State::ALL.into_iter().filter(|state| state.may_be_paid()) {
        for event in [Event::Hold, Event::Release, Event::Cancel] {
            let refused = next(state, event).unwrap_err().to_string();
            assert!(refused.contains("sent already"), "{refused}");
        }
    }
}

#[test]
fn whoever_leaves_a_batch_is_certainly_unpaid_and_only_those_do() {
    for state in State::ALL {
        for event in EVENTS {
            if let Ok((to, actions)) = next(state, event) {
                let leaves = actions.contains(&Action::LeaveBatch);
                assert_eq!(leaves, state.may_be_paid() && !to.may_be_paid(), "{state} meets {event:?}");
            }
        }
    }
}

#[test]
fn a_final_payout_that_reopens_gives_the_highest_alert() {
    let (_, actions) = next(State::Final, Event::Reorged).unwrap();
    assert_eq!(actions, [Action::Alarm(Alarm::Highest)]);
}

#[test]
fn certain_refusals_are_told_by_code_and_text() {
    for (code, text, verdict) in [
        (-5, "Invalid Litecoin address: xyz", Verdict::PayeeAddress),
        (-5, "Invalid Bitcoin address: xyz", Verdict::PayeeAddress),
        (-8, "Invalid parameter, duplicated address: xyz", Verdict::PayeeAddress),
        (-6, "Transaction amount too small", Verdict::PayeeAmount),
        (-3, "Amount out of range", Verdict::PayeeAmount),
        (-6, "Transaction too large", Verdict::TooLarge),
        (-6, "Insufficient funds", Verdict::Funds),
        (-6, "Wallet has insufficient funds", Verdict::Funds),
        (-6, "Fee estimation failed. Fallbackfee is disabled. Wait a few blocks or enable -fallbackfee.", Verdict::Fee),
        (-13, "Error: Please enter the wallet passphrase with walletpassphrase first.", Verdict::Locked),
        (-28, "Loading wallet...", Verdict::NotRun),
        // The same text under another code, another text under the same code, and both sides of the commit.
        (-4, "Insufficient funds", Verdict::Doubt),
        (-6, "Insufficient funds, but sent", Verdict::Doubt),
        (-5, "Transaction not in mempool", Verdict::Doubt),
        (-1, "GenerateNewKey: AddKey failed", Verdict::Doubt),
        (-4, "Transaction commit failed:: ", Verdict::Doubt),
        (-18, "Requested wallet does not exist or is not loaded", Verdict::Doubt),
        (-32603, "internal", Verdict::Doubt),
    ] {
        assert_eq!(classify(&daemon_says(code, text)), verdict, "{code} {text}");
    }
}

#[test]
fn a_broken_connection_is_doubt_and_a_call_never_run_is_not() {
    let method = "sendmany".to_owned();
    let http = |status, body: &str| RpcError::Http { method: "sendmany".to_owned(), status, body: body.to_owned() };
    let lost = RpcError::Lost { method: method.clone(), reason: "reset".to_owned(), waited: std::time::Duration::ZERO };
    let unreadable = RpcError::Unreadable { method: method.clone(), reason: "{".to_owned() };
    let refused = RpcError::NotConnected { method, address: "127.0.0.1:1".to_owned(), reason: "refused".to_owned() };
    for doubt in [lost, unreadable, http(500, "oops"), http(503, "Service Unavailable"), http(502, "")] {
        assert_eq!(classify(&doubt), Verdict::Doubt, "{doubt}");
    }
    for certain in [refused, http(401, ""), http(403, ""), http(404, ""), http(500, "Work queue depth exceeded")] {
        assert_eq!(classify(&certain), Verdict::NotRun, "{certain}");
    }
}

fn seen() -> Sightings {
    Sightings {
        marked: vec![],
        exclusive: true,
        lookalikes: vec![],
        tip_height: 10,
        batch_height: 10,
        other_wallet: None,
        other_keys: false,
    }
}

#[test]
fn a_find_by_mark_wins_whatever_else_is_seen() {
    let marked = vec![Marked { txid: txid(1), abandoned: true }, Marked { txid: txid(2), abandoned: false }];
    let look = Sightings { marked, other_wallet: Some("other".to_owned()), other_keys: true, tip_height: 0, ..seen() };
    assert_eq!(judge_look(&look), Finding::Found(vec![txid(1), txid(2)]));
    assert!(matches!(judge_look(&Sightings { exclusive: false, ..look }), Finding::Unclear { .. }));
}

#[test]
fn an_abandoned_find_is_unclear() {
    let look = Sightings { marked: vec![Marked { txid: txid(1), abandoned: true }], ..seen() };
    assert!(matches!(judge_look(&look), Finding::Unclear { .. }));
}

#[test]
fn a_find_by_outputs_counts_only_if_newer_and_unique() {
    let lookalike = |number, newer| Lookalike { txid: txid(number), newer, abandoned: false, otherwise: None };
    let look = |lookalikes| Sightings { lookalikes, ..seen() };
    assert_eq!(judge_look(&look(vec![lookalike(1, true)])), Finding::FoundByOutputs(txid(1)));
    assert!(matches!(judge_look(&look(vec![lookalike(1, false)])), Finding::Unclear { .. }));
    assert!(matches!(judge_look(&look(vec![lookalike(1, true), lookalike(2, true)])), Finding::Unclear { .. }));
    let explained = Lookalike { otherwise: Some("somebody explained it".to_owned()), ..lookalike(1, true) };
    let Finding::Unclear { txids, why } = judge_look(&look(vec![explained])) else { panic!("a person says otherwise") };
    assert!(txids.is_empty() && why.ends_with("and somebody explained it"), "{why}");
}

#[test]
fn what_pays_the_same_is_the_batchs_only_where_the_wallet_forgot_nothing() {
    assert_eq!(judge_unmarked(None, vec![]), Unmarked::NotSent);
    assert_eq!(judge_unmarked(Some(txid(1)), vec![]), Unmarked::Paid(txid(1)));
    let zapped = || vec!["zapped".to_owned()];
    assert_eq!(judge_unmarked(None, zapped()), Unmarked::Unprovable(zapped()));
    let Unmarked::Unprovable(reasons) = judge_unmarked(Some(txid(1)), zapped()) else { panic!("it proves nothing") };
    assert!(reasons.len() == 2 && reasons[0].contains(&txid(1).to_string()) && reasons[1] == "zapped", "{reasons:?}");
}

#[test]
fn an_absence_counts_only_in_the_right_wallet_at_a_regained_tip() {
    assert_eq!(judge_look(&seen()), Finding::NotThere);
    assert!(matches!(judge_look(&Sightings { tip_height: 9, ..seen() }), Finding::CannotTell(_)));
    assert!(matches!(judge_look(&Sightings { other_wallet: Some("other".to_owned()), ..seen() }), Finding::CannotTell(_)));
}

#[test]
fn a_wallet_with_other_keys_proves_by_its_mark_alone() {
    let look = || Sightings { other_keys: true, ..seen() };
    let lookalikes = vec![Lookalike { txid: txid(1), newer: true, abandoned: false, otherwise: None }];
    for look in [look(), Sightings { lookalikes, ..look() }] {
        assert!(matches!(judge_look(&look), Finding::Unclear { txids, .. } if txids.is_empty()), "{look:?}");
        assert!(matches!(judge_look(&Sightings { tip_height: 9, ..look }), Finding::CannotTell(_)));
    }
    let marked = vec![Marked { txid: txid(1), abandoned: false }];
    assert_eq!(judge_look(&Sightings { marked, ..look() }), Finding::Found(vec![txid(1)]));
}

fn continuous() -> Continuity {
    let fingerprint = Some("seed".to_owned());
    Continuity {
        fingerprints: (fingerprint.clone(), fingerprint),
        boots: ("boot".to_owned(), "boot".to_owned()),
        followed: 3,
        ..Continuity::default()
    }
}

#[test]
fn every_single_break_of_continuity_counts() {
    assert_eq!(breaks(&continuous()), Vec::<String>::new());
    assert_eq!(breaks(&Continuity { fingerprints: (None, None), ..continuous() }), Vec::<String>::new());
    for broken in [
        Continuity { fingerprints: (Some("seed".to_owned()), Some("other".to_owned())), ..continuous() },
        Continuity { fingerprints: (Some("seed".to_owned()), None), ..continuous() },
        Continuity { fingerprints: (None, None), followed: 0, ..continuous() },
        Continuity { boots: ("boot".to_owned(), "later".to_owned()), ..continuous() },
        Continuity { boots: (String::new(), String::new()), ..continuous() },
        Continuity { missing: vec![txid(1)], ..continuous() },
        Continuity { unmarked: vec![txid(1)], ..continuous() },
        Continuity { signs: vec!["salvaged".to_owned()], ..continuous() },
    ] {
        assert_eq!(breaks(&broken).len(), 1, "{broken:?}");
    }
}

fn transaction(outputs: &[(&str, i64)]) -> DecodedTx {
    let outputs = (0..).zip(outputs).map(|(vout, (script, amount))| {
        let script_hex = (*script).to_owned();
        TxOutput { vout, amount: units(*amount), script_hex }
    });
    let inputs = vec![OutPoint { txid: txid(2), vout: 0 }];
    DecodedTx { txid: txid(1), vsize: 200, inputs, outputs: outputs.collect(), extension: None }
}

#[test]
fn outputs_are_compared_to_the_unit() {
    let asked = [("aa".to_owned(), units(5)), ("bb".to_owned(), units(7))];
    assert_eq!(compare_outputs(&asked, &transaction(&[("aa", 5), ("bb", 7)])), Ok(()));
    assert_eq!(compare_outputs(&asked, &transaction(&[("cc", 99), ("bb", 7), ("aa", 5)])), Ok(()));
    for wrong in [
        &[("aa", 5), ("bb", 6)][..],
        &[("aa", 5)],
        &[("aa", 5), ("bb", 7), ("cc", 1), ("dd", 1)],
        &[("aa", 5), ("aa", 5), ("bb", 7), ("cc", 1)],
    ] {
        assert!(compare_outputs(&asked, &transaction(wrong)).is_err(), "{wrong:?}");
    }
}

#[test]
fn what_is_paid_out_of_an_extension_block_is_paid() {
    let asked = [("aa".to_owned(), units(5))];
    let paying = |outputs: &[(&str, i64)], pegouts: &[(&str, i64)]| {
        let pegouts = pegouts.iter().map(|(script, amount)| ((*script).to_owned(), units(*amount))).collect();
        DecodedTx { extension: Some(Extension { inputs: vec![], pegouts }), ..transaction(outputs) }
    };
    assert_eq!(compare_outputs(&asked, &paying(&[("pegin", 99)], &[("aa", 5)])), Ok(()));
    assert!(!pays_nobody_of(&asked, &paying(&[], &[("aa", 1)])));
    assert!(pays_nobody_of(&asked, &paying(&[("bb", 5)], &[("cc", 5)])));
    for (outputs, pegouts) in [
        (&[("pegin", 99)][..], &[("aa", 4)][..]),
        (&[("aa", 5)], &[("aa", 5), ("bb", 1)]),
        (&[("aa", 5)], &[("bb", 1), ("cc", 1)]),
        (&[], &[]),
    ] {
        assert!(compare_outputs(&asked, &paying(outputs, pegouts)).is_err(), "{outputs:?} {pegouts:?}");
    }
}

#[test]
fn standing_is_the_best_of_all_members() {
    let block = BlockHash::from_bytes([0; 32]);
    let confirmed = |height| Some(TxState::Confirmed { height, block });
    assert_eq!(standing(&[Some(TxState::Dead), confirmed(8)], 10), Standing::Confirmed { depth: 3 });
    assert_eq!(standing(&[Some(TxState::Dead), Some(TxState::Mempool)], 10), Standing::Mempool);
    assert_eq!(standing(&[Some(TxState::Limbo), None], 10), Standing::Lost);
    assert_eq!(standing(&[], 10), Standing::Lost);
}

#[test]
fn settling_never_asks_for_an_illegal_step() {
    let standings = [Standing::Lost, Standing::Mempool, Standing::Confirmed { depth: 1 }, Standing::Confirmed { depth: 6 }];
    for state in [BatchState::Sent, BatchState::Confirmed, BatchState::Final, BatchState::Disputed] {
        for standing in standings {
            let mut now = state.of_payouts().unwrap();
            for event in settle_events(state, standing, 6) {
                now = next(now, event).unwrap_or_else(|illegal| panic!("{state:?} {standing:?}: {illegal}")).0;
            }
            let wanted = match standing {
                Standing::Confirmed { depth: 6 } => State::Final,
                Standing::Confirmed { .. } => State::Confirmed,
                _ if state == BatchState::Disputed => State::Disputed,
                Standing::Mempool => State::Sent,
                Standing::Lost => State::Disputed,
            };
            assert_eq!(now, wanted, "{state:?} {standing:?}");
            // Settled once, nothing is left to do.
            assert_eq!(settle_events(BatchState::from(now), standing, 6), vec![], "{state:?} {standing:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_history_pays_or_frees_a_payout_twice(path in proptest::collection::vec(0_usize..EVENTS.len(), 0..60)) {
        let (mut state, mut in_batch) = (State::Queued, false);
        for event in path.into_iter().map(|at| EVENTS[at]) {
            let Ok((to, actions)) = next(state, event) else { continue };
            // Only one way leads into a batch, and it starts outside of one.
            if event == Event::Batched {
                prop_assert!(!in_batch);
                in_batch = true;
            }
            if actions.contains(&Action::LeaveBatch) {
                prop_assert!(in_batch);
                in_batch = false;
            }
            prop_assert_eq!(in_batch, to.may_be_paid());
            state = to;
        }
    }

    #[test]
    fn no_text_of_a_daemon_makes_minus_one_or_minus_four_certain(text in ".{0,60}", code in prop_oneof![Just(-1_i64), Just(-4)]) {
        prop_assert_eq!(classify(&daemon_says(code, &text)), Verdict::Doubt);
    }
}
