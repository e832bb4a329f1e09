//! The one request of a transaction, to be applied once however often it is sent.

use std::sync::OnceLock;

use aws_sdk_dynamodb::types::TransactWriteItem;

use crate::attempts::Writing;
use crate::dynamo::{Cancellation, Transacted, is_of_item};
use crate::mark::Mark;
use crate::sends::Sends;
use crate::tries::Tries;
use crate::validity::{Lapsed, TokenAge, Validity};
use crate::verdict::{Verdict, judge};
use crate::write::{Act, Planned};
use crate::{ItemError, Key, StoredItem, Table, counters, size};

/// All parts of a transaction.
#[derive(Debug)]
pub(crate) struct Bundle {
    parts: Vec<Part>,
    token: String,
    sends: Sends,
    age: OnceLock<TokenAge>,
    end: OnceLock<End>,
}

/// How a transaction ended for good without being applied, for all of its items alike: what one of
/// them was told must not change by a later send for another.
#[derive(Clone, Debug)]
enum End {
    /// Nothing was written; these items stood in the way, where that is known.
    NotApplied(Vec<Key>),
    /// It can no longer be told.
    Unknown,
}

/// What a transaction does to one item.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) table: Table,
    pub(crate) key: Key,
    pub(crate) request: TransactWriteItem,
    pub(crate) kind: Kind,
    /// The schema version that it writes.
    pub(crate) planned: Option<Planned>,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A write that leaves its mark.
    Write(Act, Mark),
    /// A deletion, or a mere look, under a lock.
    Locked,
    /// A change by expression.
    Update {
        /// The version that the item must have, if it says so.
        version: Option<u64>,
        /// Whether it demands anything else of what is in the item.
        is_conditional: bool,
    },
}

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum Bundled {
    Applied,
    /// Nothing was written; these items stood in the way.
    Refused(Vec<Refused>),
}

/// An item that stood in the way.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) key: Key,
    pub(crate) error: ItemError,
    /// The mark of the write that was refused.
    pub(crate) mark: Option<Mark>,
}

impl Bundle {
    pub(crate) fn new(parts: Vec<Part>) -> Self {
        let token = format!("{:032x}", fastrand::u128(..));
        Self { parts, token, sends: Sends::default(), age: OnceLock::new(), end: OnceLock::new() }
    }

    pub(crate) const fn sends(&self) -> &Sends {
        &self.sends
    }

    /// Sends it, again while that may help, until the tries are spent.
    pub(crate) async fn send(&self, tries: &mut Tries<'_>) -> Result<Bundled, ItemError> {
        loop {
            let error = match self.send_once().await {
                Ok(bundled) => return Ok(bundled),
                Err(error) if !error.is_retryable() => return Err(error),
                Err(error) => error,
            };
            tracing::warn!(%error, token = self.token, "the transaction failed, trying again");
            tries.pause(&error).await.end(error)?;
        }
    }

    /// Sends it once, unless it has ended.
    pub(crate) async fn send_once(&self) -> Result<Bundled, ItemError> {
        if let Some(end) = self.end.get() {
            return Err(match end.clone() {
                End::NotApplied(keys) => ItemError::NotCommitted { keys },
                End::Unknown => ItemError::OutcomeUnknown,
            });
        }
        let outcome = self.send_or_ask().await;
        let end = match &outcome {
            Ok(Bundled::Refused(refusals)) => {
                let keys = refusals.iter().map(|refused| refused.key.clone());
                Some(End::NotApplied(keys.collect()))
            }
            Err(ItemError::OutcomeUnknown) => Some(End::Unknown),
            Err(error) if !error.leaves_open() => Some(End::NotApplied(Vec::new())),
            Ok(Bundled::Applied) | Err(_) => None,
        };
        if let Some(end) = end {
            self.end.get_or_init(|| end);
        }
        outcome
    }

    /// Ends it for all of its items: it was turned away, and is not sent again.
    pub(crate) fn give_up(&self) {
        self.end.get_or_init(|| End::NotApplied(Vec::new()));
    }

    /// How long each of its parts may be written as it was planned, and all of them be repeated.
    fn validity(&self, age: TokenAge) -> Validity {
        let would_repeat = self.parts.iter().any(Part::would_repeat);
        let mut validity = Validity::default().with_token(would_repeat.then_some(age));
        for part in &self.parts {
            if let Some(planned) = part.planned {
                validity.plan(&part.table.config, planned);
            }
        }
        validity
    }

    async fn send_or_ask(&self) -> Result<Bundled, ItemError> {
        let Some(first) = self.parts.first() else { return Ok(Bundled::Applied) };
        let age = *self.age.get_or_init(|| TokenAge::begin(first.table.config.clock));
        let validity = self.validity(age);
        if let Err(Lapsed::Forgotten) = validity.check(self.sends.are_in_doubt()) {
            return self.told_by_marks().await;
        }
        let requests = self.parts.iter().map(|part| part.request.clone()).collect();
        let writing = Writing { sends: self.sends.clone(), validity, goes_once: false };
        match first.table.dynamo().transact(requests, &self.token, writing).await {
            Ok(Transacted::Done) => Ok(Bundled::Applied),
            Ok(Transacted::Canceled(reasons)) => {
                // As long as the token is remembered, what was applied is answered as done.
                let is_forgotten = self.sends.are_in_doubt() && age.is_over();
                self.canceled(reasons, is_forgotten).await
            }
            Err(ItemError::Held { .. }) if self.sends.are_in_doubt() => self.told_by_marks().await,
            Err(error) => Err(error),
        }
    }

    /// Whether it was applied, by the marks of the items that it writes: to send it once more would
    /// apply it once more.
    async fn told_by_marks(&self) -> Result<Bundled, ItemError> {
        for part in self.parts.iter().filter(|part| matches!(part.kind, Kind::Write(..))) {
            let current = part.table.current(&part.key, None).await?;
            if part.verdict(current.as_ref(), true) == Verdict::Ours {
                counters::recognized();
                return Ok(Bundled::Applied);
            }
        }
        counters::outcome_unknown();
        Err(ItemError::OutcomeUnknown)
    }

    async fn canceled(
        &self,
        reasons: Vec<Cancellation>,
        in_doubt: bool,
    ) -> Result<Bundled, ItemError> {
        let mut refusals = Vec::new();
        let mut verdicts = Vec::new();
        for (part, reason) in self.parts.iter().zip(reasons) {
            match reason.code.as_str() {
                "None" => {}
                "ConditionalCheckFailed" => {
                    let is_named = reason.item.is_some();
                    let current = part.table.current(&part.key, reason.item).await?;
                    verdicts.push(part.verdict(current.as_ref(), in_doubt));
                    refusals.push(part.refusal(part.refused(current, is_named)));
                }
                // The others pass by themselves, and this one stands in the way for good.
                _ if is_passing(&reason.code) => {}
                _ => refusals.push(part.refusal(impossible(reason))),
            }
        }
        if verdicts.contains(&Verdict::Ours) {
            counters::recognized();
            return Ok(Bundled::Applied);
        }
        if in_doubt && verdicts.contains(&Verdict::Unknown) {
            counters::outcome_unknown();
            return Err(ItemError::OutcomeUnknown);
        }
        if refusals.iter().any(|refused| matches!(refused.error, ItemError::Conflict { .. })) {
            counters::conflict();
        }
        Ok(Bundled::Refused(refusals))
    }
}

impl Part {
    /// Whether it would be applied a second time without a token that says it was: no lock on a
    /// version stands in its way.
    const fn would_repeat(&self) -> bool {
        matches!(self.kind, Kind::Update { version: None, .. } | Kind::Write(Act::Create, _))
    }

    fn verdict(&self, current: Option<&StoredItem>, in_doubt: bool) -> Verdict {
        match (&self.kind, current) {
            (Kind::Write(act, mark), Some(current)) => {
                judge(act, *mark, in_doubt, current.stamps())
            }
            _ => Verdict::Unknown,
        }
    }

    fn refusal(&self, error: ItemError) -> Refused {
        let mark = match &self.kind {
            Kind::Write(_, mark) => Some(*mark),
            Kind::Locked | Kind::Update { .. } => None,
        };
        Refused { key: self.key.clone(), error, mark }
    }

    /// What it means that the condition of this part does not hold, by the item that the service
    /// named, or that was found when it named none.
    fn refused(&self, current: Option<StoredItem>, is_named: bool) -> ItemError {
        let Some(current) = current else { return ItemError::Gone };
        let is_conflict = match &self.kind {
            Kind::Write(Act::Create, _) => {
                return ItemError::AlreadyExists { current: Box::new(current) };
            }
            Kind::Write(Act::Update(_), _) | Kind::Locked => true,
            Kind::Update { version, is_conditional } => {
                if let Some(error) = self.table.mislabeled(&current) {
                    return error;
                }
                let is_conflict = version.is_some() && *version != current.version();
                if !(is_conflict || is_named || *is_conditional) {
                    // Nothing but its absence was in the way: it was created since.
                    return ItemError::Gone;
                }
                is_conflict
            }
        };
        let current = Box::new(current);
        if is_conflict {
            ItemError::Conflict { current }
        } else {
            ItemError::ConditionFailed { current }
        }
    }
}

fn is_passing(code: &str) -> bool {
    ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"].contains(&code)
}

fn impossible(reason: Cancellation) -> ItemError {
    if reason.message.contains("Item size") {
        return ItemError::TooLarge { size: size::LIMIT.saturating_add(1), limit: size::LIMIT };
    }
    if is_of_item(&reason.code, &reason.message) {
        return ItemError::Refused { source: reason.code.into(), reason: reason.message };
    }
    ItemError::Misconfigured { reason: reason.code, source: reason.message.into() }
}
