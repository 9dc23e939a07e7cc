//! What each side knows of one transaction: the ledger, the wallet, chain and mempool. What to do about it says `advice`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::advice::{self, Known, Place, Standing};
use super::coins::held;
use super::snapshot::decoded;
use super::{AuditError, StrayCoins, Suspect, Verdict, records};
use crate::coin::{Amount, BlockHash, OutPoint, Timestamp, Txid};
use crate::config::CoinSettings;
use crate::daemon::{Entry, RpcError, Wallet};
use crate::ledger::credit::{self, CreditEvent};
use crate::ledger::following::WaitingDeposit;
use crate::ledger::{self, Claim, Followed, Posting, TxState, following};
use crate::store::{Store, StoreError, Tx};

/// Transactions that are told of at a time.
const TOLD: usize = 20;
/// Postings, entries and outputs of one transaction that are told.
const LINES: usize = 20;

/// What is known of the transactions that were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The name of the wallet that it is of.
    #[serde(default)]
    pub wallet: String,
    /// When the last audit was; none before the first.
    pub audited: Option<Timestamp>,
    /// What it came to.
    pub verdict: Option<Verdict>,
    /// What it said besides naming transactions.
    pub remarks: Vec<String>,
    /// The coins that one side alone had.
    pub coins: Option<StrayCoins>,
    /// The transactions.
    pub dossiers: Vec<Dossier>,
    /// How many more the last audit named.
    pub more: u64,
    /// Why the wallet could not be asked.
    pub unasked: Option<String>,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dossier {
    /// Which.
    pub txid: Txid,
    /// As what the last audit named it; none: it did not.
    pub suspect: Option<Suspect>,
    /// What the ledger knows.
    pub ledger: LedgerFacts,
    /// What the wallet knows now; none: it was not asked, or it does not know the transaction.
    pub wallet: Option<WalletFacts>,
    /// What chain and mempool say; none: they were not asked.
    pub chain: Option<ChainFacts>,
    /// Why wallet, chain and mempool could not be asked about this one, or not to the end.
    #[serde(default)]
    pub unasked: Option<String>,
    /// What a person does about it.
    pub next: String,
}

/// What the ledger knows of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerFacts {
    /// Where it stands in this wallet; none: the ledger never saw it there.
    pub followed: Option<Followed>,
    /// The other wallets in which the ledger follows it.
    #[serde(default)]
    pub elsewhere: Vec<String>,
    /// What it was ordered as, such as a batch; none: by nobody.
    pub claim: Option<Claim>,
    /// Its postings in whatever wallet, oldest first; the first of them.
    pub postings: Vec<Posting>,
    /// What was credited of it in this wallet and taken back, oldest first; the first of them.
    #[serde(default)]
    pub credits: Vec<CreditEvent>,
    /// Its deposits that are posted in this wallet and not deep enough to be credited.
    #[serde(default)]
    pub waiting: Vec<WaitingDeposit>,
    /// How deep it is; none while it is in no block.
    #[serde(default)]
    pub confirmations: Option<Confirmations>,
}

/// How deep a transaction is, and has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmations {
    /// By the tip at which the ledger stands.
    pub now: u64,
    /// With so many a deposit is credited.
    pub to_credit: u64,
}

/// What the wallet knows of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletFacts {
    /// Blocks since, by the wallet's count; negative when it lost to another one.
    pub confirmations: i64,
    /// What it lists for it; the first of them.
    pub entries: Vec<Entry>,
}

/// What chain and mempool say of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainFacts {
    /// Whether the mempool holds it.
    pub in_mempool: bool,
    /// The blocks that either side has it in.
    pub blocks: Vec<PlacedBlock>,
    /// Its outputs; of a transaction that the wallet does not know those that were posted.
    pub outputs: Vec<PlacedOutput>,
}

/// A block, and whether it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedBlock {
    /// The block.
    pub block: BlockHash,
    /// Its height; none: the daemon does not know it.
    pub height: Option<u64>,
    /// Whether it is on the active chain.
    pub active: bool,
}

/// An output, and whether it is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedOutput {
    /// Its position.
    pub vout: u32,
    /// Its amount; none where nobody says.
    pub amount: Option<Amount>,
    /// Whether chain or mempool hold it unspent; none where the daemon did not say.
    pub unspent: Option<bool>,
    /// Only the mempool does.
    #[serde(default)]
    pub in_mempool: bool,
}

pub(super) fn explain(
    store: &mut Store,
    name: &str,
    wallet: Result<&dyn Wallet, RpcError>,
    coin: &CoinSettings,
    txid: Option<&Txid>,
) -> Result<Explanation, AuditError> {
    let followed = coin.wallet.followed(name);
    let last = store.read(|tx| records::last(tx, followed))?;
    // Some daemons call the paying wallet otherwise than the settings.
    let asked = wallet.and_then(|wallet| Ok((wallet, wallet.identity()?.name)));
    let (wallet, name, unasked) = match asked {
        Ok((wallet, name)) => (Some(wallet), name, None),
        Err(error) => (None, name.to_owned(), Some(error.to_string())),
    };
    let suspects = last.as_ref().map(|last| last.suspects.clone()).unwrap_or_default();
    let txids: Vec<Txid> = match txid {
        Some(txid) => vec![*txid],
        None => suspects.iter().map(|suspect| suspect.txid).collect::<BTreeSet<_>>().into_iter().collect(),
    };
    let mut dossiers = Vec::new();
    for txid in txids.iter().take(TOLD) {
        let suspect = suspects.iter().find(|suspect| suspect.txid == *txid).cloned();
        let ledger = store.read(|tx| ledger_facts(tx, &name, coin, txid))?;
        let of =
            if followed.is_none() { Of { name: &name, paying: &name } } else { Of { name: &name, paying: &coin.wallet.name } };
        dossiers.push(dossier(wallet, of, *txid, suspect, ledger));
    }
    let more = txids.len().saturating_sub(TOLD) as u64;
    let (audited, verdict) = (last.as_ref().map(|last| last.time), last.as_ref().map(|last| last.verdict));
    let (remarks, coins) = last.map(|last| (last.remarks, last.coins)).unwrap_or_default();
    Ok(Explanation { wallet: name, audited, verdict, remarks, coins, dossiers, more, unasked })
}

/// The wallet that is explained, and the one that pays, by the names that the ledger has for them.
#[derive(Clone, Copy)]
struct Of<'a> {
    name: &'a str,
    paying: &'a str,
}

fn place(known: Option<&WalletFacts>, chain: Option<&ChainFacts>) -> Place {
    match chain {
        _ if known.is_some_and(|known| known.confirmations > 0) => Place::Block,
        Some(chain) if chain.in_mempool => Place::Mempool,
        Some(_) => Place::Neither,
        None => Place::Unasked,
    }
}

/// A daemon that answers about one transaction and not about another is told with that one.
fn dossier(wallet: Option<&dyn Wallet>, of: Of<'_>, txid: Txid, suspect: Option<Suspect>, ledger: LedgerFacts) -> Dossier {
    let (mut known, mut chain, mut unasked, mut knows) = (None, None, None, Known::Unasked);
    if let Some(wallet) = wallet {
        match wallet_facts(wallet, &txid) {
            Ok(found) => {
                knows = if found.is_some() { Known::Yes } else { Known::No };
                known = found;
            }
            Err(error) => unasked = Some(error.to_string()),
        }
        match chain_facts(wallet, &txid, &ledger, known.as_ref()) {
            Ok(facts) => chain = Some(facts),
            Err(error) => unasked = unasked.or_else(|| Some(error.to_string())),
        }
    }
    let is_own = ledger.followed.as_ref().is_none_or(|followed| followed.own);
    let payer = ledger.elsewhere.first().filter(|_| !is_own).map_or(of.name, String::as_str);
    let is_claimed = ledger.claim.as_ref().is_some_and(|claim| !claim.is_persons_word());
    let standing = Standing {
        known: knows,
        place: place(known.as_ref(), chain.as_ref()),
        payer,
        by_batch: is_claimed && payer == of.paying,
    };
    let next = advice::next(&txid, suspect.as_ref(), &ledger, &standing);
    Dossier { txid, suspect, ledger, wallet: known, chain, unasked, next }
}

fn ledger_facts(tx: &Tx<'_>, name: &str, coin: &CoinSettings, txid: &Txid) -> Result<LedgerFacts, StoreError> {
    let followed = following::one(tx, name, txid)?;
    let claim = following::claim_of(tx, name, txid, followed.as_ref().and_then(|followed| followed.comment.as_deref()))?;
    let event = followed.as_ref().and_then(|followed| followed.event);
    let tip = ledger::tip_of(tx, name)?;
    let confirmations = followed.as_ref().zip(tip).and_then(|(followed, tip)| match followed.state {
        TxState::Confirmed { height, .. } => {
            Some(Confirmations { now: (tip.height + 1).saturating_sub(height), to_credit: coin.credit_depth })
        }
        _ => None,
    });
    let mut credits = credit::of_transaction(tx, name, txid)?;
    credits.truncate(LINES);
    Ok(LedgerFacts {
        elsewhere: following::elsewhere(tx, name, txid)?,
        claim,
        postings: following::postings_of(tx, txid, LINES)?,
        credits,
        waiting: event.map_or_else(|| Ok(vec![]), |event| following::waiting(tx, event))?,
        confirmations,
        followed,
    })
}

fn wallet_facts(wallet: &dyn Wallet, txid: &Txid) -> Result<Option<WalletFacts>, RpcError> {
    Ok(wallet.transaction(txid)?.map(|known| WalletFacts {
        confirmations: known.confirmations,
        entries: known.entries.into_iter().take(LINES).collect(),
    }))
}

fn chain_facts(
    wallet: &dyn Wallet,
    txid: &Txid,
    ledger: &LedgerFacts,
    known: Option<&WalletFacts>,
) -> Result<ChainFacts, RpcError> {
    let in_mempool = wallet.in_mempool(txid)?;
    let posted = ledger.followed.as_ref().and_then(|followed| match followed.state {
        TxState::Confirmed { block, .. } | TxState::Immature { block, .. } => Some(block),
        _ => None,
    });
    let shown = known.into_iter().flat_map(|known| &known.entries).filter_map(|entry| entry.block);
    let mut blocks = Vec::new();
    for block in posted.into_iter().chain(shown).collect::<BTreeSet<_>>() {
        let place = wallet.block_place(&block)?;
        blocks.push(PlacedBlock {
            block,
            height: place.map(|place| place.height),
            active: place.is_some_and(|place| place.active),
        });
    }
    // What cannot be decoded has the outputs that were posted.
    let decoded = match known {
        Some(_) => decoded(wallet, txid).ok().flatten().map(|transaction| transaction.outputs).unwrap_or_default(),
        None => vec![],
    };
    let decoded = decoded.iter().map(|output| (output.vout, Some(output.amount)));
    let posted = ledger.postings.iter().filter_map(|posting| Some((posting.vout?, posting.amount.checked_neg().ok())));
    let outputs: BTreeMap<u32, Option<Amount>> = posted.chain(decoded).collect();
    let placed = |(vout, amount)| {
        let (unspent, in_mempool) = held(wallet, &OutPoint { txid: *txid, vout });
        PlacedOutput { vout, amount, unspent, in_mempool }
    };
    Ok(ChainFacts { in_mempool, blocks, outputs: outputs.into_iter().take(LINES).map(placed).collect() })
}
