//! What the signs of staking come to. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{StakingFacts, StakingVerdict};
use crate::coin::{Profile, StakingProof};

/// RPCs that only a daemon that can stake has, seen on Peercoin and Blackcoin.
pub(super) const STAKING_METHODS: [&str; 3] = ["getstakinginfo", "listminting", "reservebalance"];
/// Tells by itself, on every coin that has it: `enabled` and `staking`.
pub(super) const TELLING: &str = "getstakinginfo";

/// Whether staking has to be proven off: the profile says that the coin stakes, or the daemon knows how to.
pub fn concerns(profile: &Profile, methods: &BTreeSet<String>) -> bool {
    profile.staking.is_some() || STAKING_METHODS.iter().any(|method| methods.contains(*method))
}

/// One proof that it is off is enough; one sign that it is on outweighs all.
pub fn verdict(proofs: &[StakingProof], facts: &StakingFacts) -> StakingVerdict {
    let own = own_words(facts);
    let words: Vec<Word> = own.into_iter().chain(proofs.iter().map(|proof| judge(proof, facts))).collect();
    if let Some(by) = words.iter().find_map(|word| if let Word::On(by) = word { Some(by.clone()) } else { None }) {
        return StakingVerdict::On { by };
    }
    if let Some(by) = words.iter().find_map(|word| if let Word::Off(by) = word { Some(by.clone()) } else { None }) {
        return StakingVerdict::Off { by };
    }
    let silent: Vec<String> =
        words.into_iter().filter_map(|word| if let Word::Nothing(why) = word { Some(why) } else { None }).collect();
    let why = match silent.is_empty() {
        true => format!("this daemon can stake ({}), and nothing it has tells whether it does", facts.staking_methods.join(", ")),
        false => silent.join("; "),
    };
    StakingVerdict::Unproven { why }
}

/// What one sign says.
enum Word {
    Off(String),
    On(String),
    Nothing(String),
}

/// `getstakinginfo`, whatever the profile says.
fn own_words(facts: &StakingFacts) -> Vec<Word> {
    let Some(Ok(told)) = facts.answers.get(TELLING) else { return vec![] };
    let said = |key: &str| told.get(key).and_then(Value::as_bool);
    for key in ["staking", "enabled"] {
        if said(key) == Some(true) {
            return vec![Word::On(format!("{TELLING} says that `{key}` is true"))];
        }
    }
    match said("enabled") {
        Some(false) => vec![Word::Off(format!("{TELLING} says that `enabled` is false"))],
        _ => vec![Word::Nothing(format!("{TELLING} does not say whether it is enabled"))],
    }
}

fn judge(proof: &StakingProof, facts: &StakingFacts) -> Word {
    if let Some(sign) = &proof.log {
        return match facts.log.get(sign) {
            Some(Ok(true)) => Word::Off(format!("debug.log says '{sign}'")),
            Some(Ok(false)) => Word::Nothing(format!("debug.log does not say '{sign}' since the start")),
            Some(Err(why)) => Word::Nothing(format!("debug.log cannot be read: {why}")),
            None => Word::Nothing("debug.log was not looked at".to_owned()),
        };
    }
    let (Some(rpc), Some(field)) = (&proof.rpc, &proof.field) else {
        return Word::Nothing("a proof of the profile names neither an RPC with a field nor a line of the log".to_owned());
    };
    let told = match facts.answers.get(rpc) {
        None => return Word::Nothing(format!("the daemon has no {rpc}")),
        Some(Err(why)) => return Word::Nothing(format!("{rpc}: {why}")),
        Some(Ok(answer)) => answer.get(field),
    };
    let Some(told) = told else { return Word::Nothing(format!("{rpc} does not tell `{field}`")) };
    compare(proof, &format!("{rpc} says that `{field}` is"), told)
}

fn compare(proof: &StakingProof, says: &str, told: &Value) -> Word {
    let shown = told.as_str().map_or_else(|| told.to_string(), |text| format!("'{text}'"));
    match (&proof.is, &proof.contains) {
        (Some(wanted), _) if is(told, wanted) => Word::Off(format!("{says} {shown}")),
        (Some(wanted), _) => Word::On(format!("{says} {shown}, and not {wanted}")),
        // Warnings come and go, and one may stand in for another: that it is missing proves nothing.
        (None, Some(part)) if told.to_string().contains(part.as_str()) => Word::Off(format!("{says} {shown}")),
        (None, Some(part)) => Word::Nothing(format!("{says} {shown}, without '{part}'")),
        (None, None) => Word::Nothing("a proof of the profile does not say what to expect".to_owned()),
    }
}

/// As JSON, or as the bare text of a JSON string.
fn is(told: &Value, wanted: &str) -> bool {
    let json = told.to_string();
    json == *wanted || told.as_str() == Some(wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn proof(text: &str) -> StakingProof {
        toml::from_str(text).unwrap()
    }

    fn told(rpc: &str, answer: Value) -> StakingFacts {
        let answers = [(rpc.to_owned(), Ok(answer))].into();
        StakingFacts { answers, staking_methods: vec!["listminting".to_owned()], ..StakingFacts::default() }
    }

    fn minting() -> StakingProof {
        proof("rpc = 'getmininginfo'\nfield = 'warnings'\ncontains = \"Minting disabled by 'nominting' option.\"")
    }

    fn enabled() -> StakingProof {
        proof("rpc = 'getstakinginfo'\nfield = 'enabled'\nis = 'false'")
    }

    fn in_log() -> StakingProof {
        proof("log = 'proof-of-stake minter disabled'")
    }

    /// The answers that facts/coins.md records.
    #[test]
    fn peercoin_and_blackcoin_are_proven_off_by_what_they_were_seen_to_say() {
        let peercoin = json!({"blocks": 1, "warnings": "Info: Minting disabled by 'nominting' option."});
        assert!(verdict(&[minting()], &told("getmininginfo", peercoin)).is_off());
        let blackcoin = json!({"enabled": false, "staking": false, "errors": ""});
        assert!(verdict(&[enabled()], &told("getstakinginfo", blackcoin.clone())).is_off());
        assert!(verdict(&[], &told("getstakinginfo", blackcoin)).is_off(), "without a profile that says so");
    }

    #[test]
    fn one_sign_that_it_is_on_outweighs_all() {
        let on = json!({"enabled": true, "staking": false});
        let facts = told("getstakinginfo", on);
        assert!(matches!(verdict(&[enabled()], &facts), StakingVerdict::On { .. }));
        let log = [("proof-of-stake minter disabled".to_owned(), Ok(true))].into();
        assert!(matches!(verdict(&[in_log()], &StakingFacts { log, ..facts }), StakingVerdict::On { .. }));
        let one = told("getinfo", json!({"staking": "on"}));
        let text = proof("rpc = 'getinfo'\nfield = 'staking'\nis = 'off'");
        assert!(matches!(verdict(&[text], &one), StakingVerdict::On { .. }));
    }

    #[test]
    fn a_missing_warning_proves_nothing_and_the_log_may() {
        let facts = told("getmininginfo", json!({"warnings": ""}));
        let StakingVerdict::Unproven { why } = verdict(&[minting()], &facts) else { panic!("{facts:?}") };
        assert!(why.contains("without 'Minting disabled"), "{why}");
        for (seen, off) in [(Ok(true), true), (Ok(false), false), (Err("no access".to_owned()), false)] {
            let log = [("proof-of-stake minter disabled".to_owned(), seen)].into();
            assert_eq!(verdict(&[minting(), in_log()], &StakingFacts { log, ..facts.clone() }).is_off(), off);
        }
    }

    #[test]
    fn what_cannot_be_asked_is_unproven() {
        let refused = StakingFacts {
            answers: [("getmininginfo".to_owned(), Err("HTTP 403".to_owned()))].into(),
            ..StakingFacts::default()
        };
        for facts in [StakingFacts::default(), refused, told("getstakinginfo", json!({"new": 1}))] {
            for proofs in [vec![], vec![minting(), enabled(), in_log()], vec![proof(""), proof("rpc = 'x'\nfield = 'y'")]] {
                assert!(matches!(verdict(&proofs, &facts), StakingVerdict::Unproven { .. }), "{facts:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_but_a_proof_proves(staking in proptest::option::of(any::<bool>()), enabled in proptest::option::of(any::<bool>())) {
            let mut answer = json!({});
            if let Some(staking) = staking { answer["staking"] = staking.into(); }
            if let Some(enabled) = enabled { answer["enabled"] = enabled.into(); }
            let off = verdict(&[], &told("getstakinginfo", answer)).is_off();
            prop_assert_eq!(off, enabled == Some(false) && staking != Some(true));
        }
    }
}
