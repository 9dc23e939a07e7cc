//! A `sendmany`, checked before a byte of it is written, and put into the form that the daemon takes.

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value, json};

use super::super::probe::Abilities;
use super::super::{FeeChoice, RpcError, SendMany};
use crate::coin::Amount;

const METHOD: &str = "sendmany";

/// Only confirmed coins and our own change; the 0.18 generation obeys it, later ones ignore it.
const MIN_CONFIRMATIONS: u64 = 1;

/// The estimate that `estimatesmartfee` gives unless told otherwise.
const ESTIMATE_MODE: &str = "CONSERVATIVE";

/// The arguments of `sendmany`: by name where they say a fee, which stands seventh to tenth otherwise; else by position. A fee that
/// the daemon cannot be told is refused: it would pay another one.
pub(super) fn arguments(order: &SendMany<'_>, abilities: &Abilities, decimals: u8, max_money: Amount) -> Result<Value, RpcError> {
    let amounts = amounts(order, decimals, max_money)?;
    let (form, comment) = (abilities.sendmany, order.comment);
    match order.fee {
        FeeChoice::Daemons => Ok(json!(["", amounts, MIN_CONFIRMATIONS, comment])),
        FeeChoice::Rate(rate) if form.fee_rate && abilities.named_arguments => {
            let rate: Number = rate.to_string().parse().map_err(|error: serde_json::Error| refused(&error.to_string()))?;
            Ok(json!({ "dummy": "", "amounts": amounts, "comment": comment, "fee_rate": rate }))
        }
        FeeChoice::Target(blocks) if form.conf_target && abilities.named_arguments => {
            let mut named = json!({ "dummy": "", "amounts": amounts, "minconf": MIN_CONFIRMATIONS, "comment": comment });
            (named["conf_target"], named["estimate_mode"]) = (json!(blocks), json!(ESTIMATE_MODE));
            Ok(named)
        }
        FeeChoice::Rate(_) | FeeChoice::Target(_) => Err(refused("this daemon does not take a fee in the call")),
    }
}

/// `{"address": amount}` with exact decimals. Refuses what daemons were seen to accept and pay differently.
fn amounts(order: &SendMany<'_>, decimals: u8, max_money: Amount) -> Result<Map<String, Value>, RpcError> {
    let mut seen = BTreeSet::new();
    let mut amounts = Map::new();
    for (address, amount) in order.outputs {
        if !seen.insert(address.as_str()) {
            return Err(refused(&format!("address {address} stands in it twice")));
        }
        if *amount <= Amount::ZERO || *amount > max_money {
            let shown = amount.to_decimal(decimals);
            return Err(refused(&format!("{shown} to {address} is not between zero and the coin's money range")));
        }
        amounts.insert(address.clone(), Value::Number(exact(*amount, decimals)?));
    }
    if amounts.is_empty() {
        return Err(refused("it pays nobody"));
    }
    Amount::sum(order.outputs.iter().map(|(_, amount)| *amount)).map_err(|error| refused(&error.to_string()))?;
    if order.comment.is_empty() || order.rpc_id.is_empty() {
        return Err(refused("it has no mark, so its outcome could not be found again"));
    }
    Ok(amounts)
}

/// A JSON number with all the coin's decimals.
pub(super) fn exact(amount: Amount, decimals: u8) -> Result<Number, RpcError> {
    amount.to_decimal(decimals).parse().map_err(|error: serde_json::Error| refused(&error.to_string()))
}

fn refused(reason: &str) -> RpcError {
    RpcError::Refused { method: METHOD.to_owned(), reason: format!("{reason}; nothing was paid") }
}

#[cfg(test)]
mod tests {
    use super::super::super::BalanceSource;
    use super::super::super::probe::{RescanWay, SendmanyForm};
    use super::*;
    use crate::coin::FeeRate;

    fn abilities(fee_rate: bool) -> Abilities {
        Abilities {
            version: 180_100,
            subversion: String::new(),
            chain: "regtest".to_owned(),
            methods: BTreeSet::new(),
            named_arguments: true,
            balance: BalanceSource::Getbalances,
            sendmany: SendmanyForm { from_account: false, fee_rate, conf_target: true },
            rescan: RescanWay::Rpc,
            lists_watch_only: true,
            lists_removed: true,
            lists_outputs: true,
        }
    }

    fn order<'a>(outputs: &'a [(String, Amount)]) -> SendMany<'a> {
        SendMany { rpc_id: "batch", comment: "mark", outputs, fee: FeeChoice::Rate(FeeRate::from_per_vb(20)) }
    }

    fn output(address: &str, units: i64) -> (String, Amount) {
        (address.to_owned(), Amount::from_base_units(units))
    }

    const MAX: Amount = Amount::from_base_units(8_400_000_000_000_000);

    #[test]
    fn amounts_are_written_with_every_digit() {
        let outputs = [output("b", 1), output("a", 8_399_999_999_999_999)];
        let as_daemon = |outputs| SendMany { fee: FeeChoice::Daemons, ..order(outputs) };
        let old = arguments(&as_daemon(&outputs), &abilities(false), 8, MAX).unwrap();
        assert_eq!(old.to_string(), r#"["",{"a":83999999.99999999,"b":0.00000001},1,"mark"]"#);
        let new = arguments(&order(&outputs), &abilities(true), 8, MAX).unwrap();
        assert_eq!(
            new.to_string(),
            r#"{"amounts":{"a":83999999.99999999,"b":0.00000001},"comment":"mark","dummy":"","fee_rate":20}"#
        );
        let six = arguments(&as_daemon(&[output("a", 1_000_001)]), &abilities(false), 6, MAX).unwrap();
        assert_eq!(six.to_string(), r#"["",{"a":1.000001},1,"mark"]"#);
    }

    #[test]
    fn a_fee_is_told_in_the_way_that_the_daemon_has_or_not_at_all() {
        let outputs = [output("a", 1)];
        let target = SendMany { fee: FeeChoice::Target(6), ..order(&outputs) };
        assert_eq!(
            arguments(&target, &abilities(false), 8, MAX).unwrap().to_string(),
            r#"{"amounts":{"a":0.00000001},"comment":"mark","conf_target":6,"dummy":"","estimate_mode":"CONSERVATIVE","minconf":1}"#
        );
        assert!(arguments(&order(&outputs), &abilities(false), 8, MAX).unwrap_err().is_certainly_not_run());
        let unnamed = Abilities { named_arguments: false, ..abilities(true) };
        assert!(arguments(&order(&outputs), &unnamed, 8, MAX).is_err() && arguments(&target, &unnamed, 8, MAX).is_err());
    }

    #[test]
    fn an_order_that_no_daemon_should_see_is_refused_here() {
        let refuse = |outputs: &[(String, Amount)]| {
            let error = arguments(&order(outputs), &abilities(true), 8, MAX).unwrap_err();
            assert!(error.is_certainly_not_run() && matches!(error, RpcError::Refused { .. }), "{error}");
            error.to_string()
        };
        assert!(refuse(&[]).contains("nobody"));
        assert!(refuse(&[output("a", 1), output("a", 2)]).contains("address a stands in it twice"));
        for units in [0, -1, i64::MIN + 1, MAX.base_units() + 1] {
            assert!(refuse(&[output("a", units)]).contains("money range"), "{units}");
        }
        let outputs = [output("a", 1)];
        let unmarked = SendMany { comment: "", ..order(&outputs) };
        assert!(arguments(&unmarked, &abilities(true), 8, MAX).is_err());
    }
}
