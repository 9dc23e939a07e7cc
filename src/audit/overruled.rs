//! The freeze that a finding makes, and a person's word against it.
//!
//! The word binds to what the person saw. What is left of it later, when a part of the finding is gone, the person saw as well: that does not freeze
//! again, and from then on the word stands against that part alone.

use super::{Report, records, rules};
use crate::coin::{Timestamp, Txid};
use crate::gate::{self, Cause, Freeze};
use crate::store::{StoreError, Tx};

/// Freezes payouts for what this audit found, unless a person has overruled just that, or more than that.
pub(super) fn freeze(tx: &Tx<'_>, report: &Report, followed: Option<&str>, now: Timestamp) -> Result<(), StoreError> {
    let finding = freeze_of(report, followed);
    for old in gate::overruled(tx, Cause::Audit, followed)? {
        // What the person saw: the audit that made this very freeze.
        let seen = records::unexplained_at(tx, followed, old.since)?;
        let is_part = |seen: &Report| freeze_of(seen, followed) == old.freeze && rules::is_part(report, seen);
        if old.freeze != finding && seen.iter().any(is_part) {
            return gate::narrow(tx, &old, &finding, now);
        }
    }
    gate::freeze(tx, &finding, now)
}

fn freeze_of(report: &Report, followed: Option<&str>) -> Freeze {
    let txids: Vec<Txid> = rules::wrong(report).map(|suspect| suspect.txid).collect();
    // Without time or height: the same finding has the same words, and a person's override binds to them.
    let mut detail = followed.map(|name| format!("wallet '{name}': ")).unwrap_or_default();
    detail.push_str(&rules::in_words(report.difference, txids.len()));
    for remark in &report.remarks {
        detail.push_str("; ");
        detail.push_str(remark);
    }
    let wallet = followed.map(str::to_owned);
    Freeze { cause: Cause::Audit, detail, txids, amount: Some(report.difference), wallet }
}
