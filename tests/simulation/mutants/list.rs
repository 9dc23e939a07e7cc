//! The rules of payouts, each taken away by a change of a few words.

/// A text of a file, and what stands in its place. There `PLANTED` is whether this mutant is the one that runs: all of them are built once.
#[derive(Debug)]
pub(crate) struct Edit {
    pub(crate) file: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
}

/// A rule that is taken away.
#[derive(Debug)]
pub(crate) struct Mutant {
    pub(crate) name: &'static str,
    /// The rule, in the words of the design.
    pub(crate) rule: &'static str,
    pub(crate) edits: &'static [Edit],
}

const FLOW: &str = "src/payout/flow.rs";
const RESOLVE: &str = "src/payout/resolve.rs";
const LOOK: &str = "src/payout/look.rs";
const EVIDENCE: &str = "src/payout/rules/evidence.rs";

pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "resend after timeout",
        rule: "A timeout or a broken connection is doubt, and what is in doubt is never sent again.",
        edits: &[Edit {
            file: FLOW,
            from: "if verdict == Verdict::Doubt {",
            to: "if verdict == Verdict::Doubt && !(PLANTED && matches!(error, RpcError::Lost { .. })) {",
        }],
    },
    Mutant {
        name: "intent after call",
        rule: "The intent is on disk, synced, before the call.",
        edits: &[
            Edit {
                file: FLOW,
                from: "records::add_batch(tx, &batch, outputs, &then)?;",
                to: "if PLANTED && draft.is_none() { return Ok(batch); }
            records::add_batch(tx, &batch, outputs, &then)?;",
            },
            Edit {
                file: FLOW,
                from: "self.observer.step(Step::Answered(id));",
                to: "self.observer.step(Step::Answered(id));
                if PLANTED {
                    let now = self.now;
                    self.store.write(|tx| {
                        records::add_batch(tx, &batch, outputs, &WalletThen::default())?;
                        life::join_batch(tx, &payouts_of(tx, outputs)?, &batch.id, now)?;
                        let claim = Claim { mark: batch.mark.clone(), order: batch.id.to_string(), account: Account::Payout };
                        Ok::<_, PayoutError>(ledger::claim(tx, &claim)?)
                    })?;
                }",
            },
        ],
    },
    Mutant {
        name: "idle answer as fence",
        rule: "Only the confirmed exit of the daemon's process is a fence.",
        edits: &[Edit {
            file: RESOLVE,
            from: "DaemonMode::Keep => self.fence.stop()?,",
            to: "DaemonMode::Keep => if !PLANTED { self.fence.stop()? },",
        }],
    },
    Mutant {
        name: "no second look",
        rule: "After the fence the wallet is looked through again.",
        edits: &[Edit {
            file: RESOLVE,
            from: "let finding = look::look(self.store, wallet.as_ref(), self.coin, batch)?;",
            to: "let finding = match PLANTED {
                true => Finding::NotThere,
                false => look::look(self.store, wallet.as_ref(), self.coin, batch)?,
            };",
        }],
    },
    Mutant {
        name: "requeue in a wallet that lost history",
        rule: "Not found counts only in a wallet that cannot have forgotten.",
        edits: &[Edit { file: EVIDENCE, from: "if breaks.is_empty() {", to: "if PLANTED || breaks.is_empty() {" }],
    },
    Mutant {
        name: "look in the wrong wallet",
        rule: "A batch is pinned to its wallet: a wrong, unloaded or changed one means unknown, never no.",
        edits: &[
            Edit {
                file: LOOK,
                from: "let differs = now.name != batch.wallet;",
                to: "let differs = !PLANTED && now.name != batch.wallet;",
            },
            Edit {
                file: LOOK,
                from: "let other_keys = now.fingerprint != batch.fingerprint;",
                to: "let other_keys = !PLANTED && now.fingerprint != batch.fingerprint;",
            },
            Edit {
                file: EVIDENCE,
                from: "    if then != now {\n        found.push(\"the wallet is not",
                to: "    if !PLANTED && then != now {\n        found.push(\"the wallet is not",
            },
            Edit { file: EVIDENCE, from: "facts.missing.first()", to: "facts.missing.first().filter(|_| !PLANTED)" },
            Edit { file: EVIDENCE, from: "facts.unmarked.first()", to: "facts.unmarked.first().filter(|_| !PLANTED)" },
        ],
    },
    Mutant {
        name: "store restored from an older copy",
        rule: "A mark in the wallet that the store does not know means that the store went back in time, and freezes.",
        edits: &[Edit {
            file: "src/payout/gather.rs",
            from: "if !records::knows_mark(tx, mark)? {",
            to: "if !PLANTED && !records::knows_mark(tx, mark)? {",
        }],
    },
    Mutant {
        name: "adoption lets the queue go on",
        rule: "What was queued when the store went back may be paid already, and is held.",
        edits: &[Edit {
            file: "src/payout/adopt.rs",
            from: "for payout in &queued {",
            to: "for payout in queued.iter().filter(|_| !PLANTED) {",
        }],
    },
    Mutant {
        name: "-4 as a refusal",
        rule: "The list of certain refusals is closed: -1 and -4 fall on both sides of the wallet's commit.",
        edits: &[Edit {
            file: "src/payout/rules/verdict.rs",
            from: "let certain = CERTAIN.iter()",
            to: "if PLANTED && *code == -4 { return Verdict::Funds; }
    let certain = CERTAIN.iter()",
        }],
    },
    Mutant {
        name: "a crash means unsent",
        rule: "A batch that was being sent when bursar died may have been sent.",
        edits: &[Edit {
            file: RESOLVE,
            from: "Event::AnswerLost, Some(\"bursar ended while it was being sent\")",
            to: "if PLANTED { Event::Refused } else { Event::AnswerLost }, Some(\"bursar ended while it was being sent\")",
        }],
    },
    Mutant {
        name: "an older payment taken as found",
        rule: "A find by outputs counts only if the transaction is newer than the batch.",
        edits: &[Edit {
            file: EVIDENCE,
            from: "[Lookalike { txid, newer: true, abandoned: false, otherwise }]",
            to: "[Lookalike { txid, newer, abandoned: false, otherwise }] if PLANTED || *newer",
        }],
    },
    Mutant {
        name: "found by outputs before the fence",
        rule: "A find by outputs settles nothing while a copy of the call may still run.",
        edits: &[Edit {
            file: RESOLVE,
            from: "Ok((Finding::FoundByOutputs(txid), _)) => Ok(Glance::Fence(format!(\"{txid} pays the same, without its mark\"))),",
            to: "Ok((Finding::FoundByOutputs(txid), wallet)) if PLANTED => {
                Ok(Glance::Settled(self.found(wallet.as_ref(), batch, vec![txid])?))
            }
            Ok((Finding::FoundByOutputs(txid), _)) => Ok(Glance::Fence(format!(\"{txid} pays the same, without its mark\"))),",
        }],
    },
    Mutant {
        name: "a txid believed",
        rule: "A wallet can answer with a txid that it never broadcast: it is seen in the mempool, or given to it.",
        edits: &[Edit {
            file: "src/payout/verify.rs",
            from: "if wallet.in_mempool(txid)? {",
            to: "if wallet.in_mempool(txid)? || PLANTED {",
        }],
    },
    Mutant {
        name: "dead at the first block",
        rule: "A batch is dead only when its coins are spent by another transaction at final depth.",
        edits: &[Edit {
            file: "src/payout/settle.rs",
            from: "rules::depth(height, tip) < self.coin.final_depth",
            to: "rules::depth(height, tip) < if PLANTED { 1 } else { self.coin.final_depth }",
        }],
    },
    Mutant {
        name: "final for ever",
        rule: "Final may reopen, when a reorg undoes it.",
        edits: &[
            Edit {
                file: "src/payout/rules/settling.rs",
                from: "Standing::Mempool if was_in_a_block => vec![Event::Reorged],",
                to: "Standing::Mempool if was_in_a_block && !(PLANTED && state == BatchState::Final) => vec![Event::Reorged],",
            },
            Edit {
                file: "src/payout/rules/settling.rs",
                from: "Standing::Lost if was_in_a_block => vec![Event::Reorged, Event::Unprovable],",
                to: "Standing::Lost if was_in_a_block && !(PLANTED && state == BatchState::Final) => vec![Event::Reorged, Event::Unprovable],",
            },
        ],
    },
    Mutant {
        name: "broadcast before the bytes are stored",
        // Alone it is hardly missed: the wallet shows a spend that nobody ordered, and that freezes.
        rule: "Journaled: the signed transaction is stored, synced, and only then given to the network; and a spend that nobody ordered freezes.",
        edits: &[
            Edit {
                file: "src/payout/journaled/mod.rs",
                from: "self.store.write(|tx| {\n            verify::adopt(tx, batch, &signed.txid, now)?;",
                to: "if PLANTED { drop(verify::keep_alive(self.wallet, &signed.txid, &signed.raw_hex)); }
            self.store.write(|tx| {\n            verify::adopt(tx, batch, &signed.txid, now)?;",
            },
            Edit {
                file: "src/payout/journaled/known.rs",
                from: "let mut stray = store.read(ledger::unordered)?;",
                to: "let mut stray = store.read(ledger::unordered)?;
    stray.retain(|_| !PLANTED);",
            },
        ],
    },
    Mutant {
        name: "journaled payments that the store forgot",
        rule: "Journaled payments carry no mark: the wallet remembers the last one, and a spend that nobody ordered freezes.",
        edits: &[
            Edit {
                file: "src/payout/gather.rs",
                from: "let remembered = journaled::remembered(wallet, store.id())?;",
                to: "let remembered = if PLANTED { vec![] } else { journaled::remembered(wallet, store.id())? };",
            },
            Edit {
                file: "src/payout/journaled/known.rs",
                from: "let mut stray = store.read(ledger::unordered)?;",
                to: "let mut stray = store.read(ledger::unordered)?;
    stray.retain(|_| !PLANTED);",
            },
        ],
    },
    Mutant {
        name: "a replacement shares no input",
        rule: "Journaled: a replacement for a higher fee shares an input, so that only one of the two can ever confirm.",
        edits: &[Edit {
            file: "src/payout/journaled/bump.rs",
            from: "rules::with_more(&old.coins, &more, &need, change_bytes)",
            to: "rules::with_more(if PLANTED { &[] } else { &old.coins }, &more, &need, change_bytes)",
        }],
    },
    Mutant {
        name: "unpaid on a word alone",
        rule: "A person's word un-pays nobody without proof on the chain.",
        edits: &[Edit {
            file: "src/payout/settle.rs",
            from: "&& self.proven_dead(batch)?;",
            to: "&& (PLANTED && self.decision.is_some() || self.proven_dead(batch)?);",
        }],
    },
];
