//! How long a write may be sent as it was planned.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bluegreen_core::{Clock, ContractVersion};
use tokio::time::Instant;

use crate::write::Planned;
use crate::{HeldBy, ItemError, TableConfig, WrittenSchema};

/// DynamoDB remembers a client token for 10 minutes; a minute less is on the safe side.
const TOKEN_LIFE: Duration = Duration::from_secs(9 * 60);

/// A client token since it was sent first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenAge {
    begun: Instant,
    since: SystemTime,
    clock: Clock,
}

impl TokenAge {
    pub(crate) fn begin(clock: Clock) -> Self {
        Self { begun: Instant::now(), since: clock.now(), clock }
    }

    /// Whether the service may have forgotten it. One clock may stand while the machine is suspended,
    /// the other one may be set back.
    pub(crate) fn is_over(&self) -> bool {
        let by_wall = self.clock.now().duration_since(self.since).unwrap_or_default();
        self.begun.elapsed().max(by_wall) >= TOKEN_LIFE
    }
}

/// What must still be so when an attempt of a write leaves.
///
/// It is asked of every attempt, the SDK's own repetitions included: between two of them the gate
/// may have closed, or the service may have forgotten the token of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Validity {
    plans: Vec<(Arc<TableConfig>, Planned)>,
    token: Option<TokenAge>,
}

/// An attempt is not made.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Lapsed {
    /// The schema version may not be written any more.
    #[error("schema version {version} may not be written any more, because of {by}")]
    Held { version: ContractVersion, by: HeldBy },
    /// Nobody would notice that the transaction was applied before.
    #[error("the token of the transaction may be forgotten by now")]
    Forgotten,
}

impl Validity {
    /// That of a write in the schema version that it was planned in.
    pub(crate) fn of(config: &Arc<TableConfig>, planned: Planned) -> Self {
        let mut validity = Self::default();
        validity.plan(config, planned);
        validity
    }

    /// It is planned in this schema version as well.
    pub(crate) fn plan(&mut self, config: &Arc<TableConfig>, planned: Planned) {
        if config.gate.is_some() {
            self.plans.push((Arc::clone(config), planned));
        }
    }

    /// Once the token is over it is not sent again while it may have been applied.
    pub(crate) fn with_token(mut self, token: Option<TokenAge>) -> Self {
        self.token = token;
        self
    }

    /// Whether an attempt may leave now, of a write that may have been applied by an earlier one.
    pub(crate) fn check(&self, in_doubt: bool) -> Result<(), Lapsed> {
        if in_doubt && self.token.is_some_and(|token| token.is_over()) {
            return Err(Lapsed::Forgotten);
        }
        self.plans.iter().try_for_each(|(config, planned)| config.still_writes(*planned))
    }
}

impl TableConfig {
    /// The schema version that is written now, and who keeps a newer one from it.
    pub(crate) fn written_schema(&self) -> Result<WrittenSchema, ItemError> {
        let schema = &self.schema;
        match &self.gate {
            None => Ok(WrittenSchema { version: schema.version(), held_by: None }),
            Some(gate) => gate.decide(schema).map_err(|by| {
                let version = schema.writable().last().unwrap_or(schema.version());
                ItemError::Held { version, by }
            }),
        }
    }

    /// Whether what was planned in this schema version may still be written.
    fn still_writes(&self, planned: Planned) -> Result<(), Lapsed> {
        let Some(gate) = &self.gate else { return Ok(()) };
        let held = |by| Err(Lapsed::Held { version: planned.version, by });
        match gate.decide(&self.schema) {
            Err(by) => held(by),
            Ok(WrittenSchema { version, held_by: Some(by) })
                if planned.version > version && !(planned.is_kept && by.is_ignorance()) =>
            {
                held(by)
            }
            Ok(_) => Ok(()),
        }
    }
}

impl From<Lapsed> for ItemError {
    fn from(lapsed: Lapsed) -> Self {
        match lapsed {
            Lapsed::Held { version, by } => Self::Held { version, by },
            Lapsed::Forgotten => Self::unanswered(lapsed),
        }
    }
}
