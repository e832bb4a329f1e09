use std::fmt;
use std::sync::Arc;

use bluegreen_core::{ServiceIdentity, Stop};
use tokio::time::Instant;

use crate::answers::Group;
use crate::board::{Authorize, Board, Setting};
use crate::history::History;
use crate::paths::PathTable;
use crate::refresher::{Probed, Refresher};
use crate::render::Who;
use crate::{Health, HealthConfig, HealthError, Probe, RequestHead, Snapshot};

/// A [`Health`] being put together.
#[must_use = "nothing is built before `build`"]
pub struct HealthBuilder {
    who: Who,
    config: HealthConfig,
    draining: Stop,
    probes: Vec<(String, Probe)>,
    groups: Vec<Group>,
    authorize: Option<Arc<Authorize>>,
}

impl HealthBuilder {
    pub(crate) fn new(identity: &ServiceIdentity) -> Self {
        Self {
            who: Who::new(identity),
            config: HealthConfig::default(),
            draining: Stop::never(),
            probes: Vec::new(),
            groups: Vec::new(),
            authorize: None,
        }
    }

    /// Adds a probe by a name that its answers use.
    pub fn probe(mut self, name: impl Into<String>, probe: impl Into<Probe>) -> Self {
        self.probes.push((name.into(), probe.into()));
        self
    }

    /// Adds a group: all probes [`tagged`](Probe::tagged) with one of the tags, answered like the
    /// whole at a path of their own, `/health/storage` for the group `storage`.
    pub fn group<T: Into<String>>(
        mut self,
        name: impl Into<String>,
        tags: impl IntoIterator<Item = T>,
    ) -> Self {
        let tags = tags.into_iter().map(Into::into).collect();
        self.groups.push(Group { name: name.into(), tags });
        self
    }

    /// Takes another configuration.
    pub fn config(mut self, config: HealthConfig) -> Self {
        self.config = config;
        self
    }

    /// From the moment this stop is requested, the process is not ready.
    pub fn draining_when(mut self, stop: Stop) -> Self {
        self.draining = stop;
        self
    }

    /// Shows what the errors behind faults say to those whom the closure lets: as `cause` at
    /// `/health` and at the groups' paths. Such texts may hold host names, accounts and statements.
    /// Without it nobody sees them but the log. The closure runs at every request for these paths,
    /// so it must not block.
    ///
    /// ```
    /// # use bluegreen_health::{Health, HealthBuilder};
    /// # fn same(_: &[u8], _: &[u8]) -> bool { true } // in constant time
    /// # fn with_causes(builder: HealthBuilder) -> HealthBuilder {
    /// builder.causes_for(|request| {
    ///     let given = request.headers().get("authorization");
    ///     given.is_some_and(|given| same(given.as_bytes(), b"Bearer 2b7e151628aed2a6"))
    /// })
    /// # }
    /// ```
    pub fn causes_for(
        mut self,
        authorize: impl Fn(&RequestHead<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.authorize = Some(Arc::new(authorize));
        self
    }

    /// The handle, and the driver that runs the probes.
    ///
    /// # Errors
    /// When a field of the configuration, a probe, a group or a path does not fit.
    pub fn build(self) -> Result<(Health, Refresher), HealthError> {
        let Self { who, config, draining, probes, groups, authorize } = self;
        config.check()?;
        for (at, (name, probe)) in probes.iter().enumerate() {
            let plain = !name.is_empty() && !name.contains(|c: char| c == ':' || c.is_control());
            if !plain || probes.iter().skip(at + 1).any(|(other, _)| other == name) {
                return Err(HealthError::Name { found: name.clone() });
            }
            config.check_probe(name, probe)?;
        }
        for Group { name, tags } in &groups {
            let unknown = |tag: &&String| !probes.iter().any(|(_, probe)| probe.tags.contains(tag));
            let unknown: Vec<_> = tags.iter().filter(unknown).cloned().collect();
            if tags.is_empty() || !unknown.is_empty() {
                return Err(HealthError::Group { group: name.clone(), tags: unknown });
            }
        }
        let names = groups.iter().map(|group| group.name.as_str());
        let paths = PathTable::new(config.paths.clone(), names)?;
        let probed: Vec<_> =
            probes.into_iter().map(|(name, probe)| Probed::new(name, probe, &config)).collect();
        let histories: Vec<_> = probed.iter().map(|probed| probed.history(&config)).collect();
        let checks = histories.iter().map(|history: &History| history.check().clone()).collect();
        let first = Snapshot::of(checks, config.clock.now());
        let good_for = probed.iter().map(|probed| probed.staleness).min();
        let good_for = good_for.unwrap_or_else(|| config.staleness_without_probes());
        let setting = Setting { who, draining, paths, groups, authorize };
        let board = Arc::new(Board::new(setting, first, Instant::now() + good_for));
        let refresher = Refresher::new(probed, histories, config, Arc::clone(&board));
        Ok((Health::new(board), refresher))
    }
}

impl fmt::Debug for HealthBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthBuilder")
            .field("who", &self.who)
            .field("config", &self.config)
            .field("probes", &self.probes)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}
