use std::fmt;
use std::time::Duration;

use bluegreen_core::{
    Audience, Color, ContractVersion, Following, Member, Members, Release, Revision, Roster,
};
use tokio::time::sleep;

use crate::Schema;

/// Decides which schema version may be written: the highest that everybody understands who may
/// read it, which are all living processes and the color that may be asked back.
///
/// It follows the deployment and the members of the service, so that a release may go out with a
/// new version at once: it writes the old one, through the [steps](crate::Step) down, until the
/// shift is committed and the last process of the old release has ended. When such a process
/// comes back, the old version is written again.
///
/// ```
/// # use std::sync::Arc;
/// # use bluegreen_core::{FollowConfig, Following, MemoryStore, Roster, RosterConfig, ServiceIdentity};
/// # use bluegreen_items::{Schema, TableConfig, WriteGate};
/// # fn example(
/// #     store: Arc<MemoryStore>, me: ServiceIdentity, schema: Schema,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let follow = FollowConfig::default().with_reads(schema.reads());
/// let (following, follower) = Following::new(store.clone(), me.clone(), follow)?;
/// let (roster, lookout) = Roster::new(store, me.key, RosterConfig::default())?;
/// // … spawn `follower.run(stop)` and `lookout.run(stop)` …
/// # drop((follower, lookout));
/// let gate = WriteGate::new(following, roster);
/// let config = TableConfig::default().with_schema(schema).with_gate(gate.clone());
/// # drop(config);
/// // … and before the first write, within a time-out of your own:
/// # async {
/// gate.ready().await;
/// # };
/// # Ok(())
/// # }
/// ```
///
/// # Reasons and ignorance
/// A process that lives, or a color that may be asked back, and is known to read only an earlier
/// version is a *reason*: every write is of that version, also of an item that has a newer one. What
/// a [lossy step](crate::Step::lossy_down) takes from such an item is logged and counted.
///
/// Not to know is none ([`HeldBy::is_ignorance`]): while no deployment or no member is known, while
/// the store has been away for so long that the members may be others, or while nobody knows what a
/// color reads that may be asked back. New items, and those of earlier versions, are then of the
/// lowest version that a step leads to, which everybody reads. An item that has a newer version
/// keeps it: whoever cannot read it could not before, and nothing of it is lost for a guess.
///
/// Processes that start between two looks of the roster's [`Lookout`](bluegreen_core::Lookout) are
/// seen at the next: one that reads only an old version may meet a new item meanwhile, and [says
/// so](crate::ItemError::NewerSchema).
#[derive(Clone, Debug)]
pub struct WriteGate {
    following: Following,
    roster: Roster,
    unannounced: Unannounced,
}

/// What to make of a process that announces nothing about a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unannounced {
    /// It may read the items and not say so, as releases before the first schema did: only the
    /// lowest version is written that a step leads to.
    #[default]
    ReadsOldest,
    /// It never reads such items, as a process of another job does not.
    ReadsNothing,
}

/// The schema version that is written now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrittenSchema {
    /// The version.
    pub version: ContractVersion,
    /// Why it is not the one this release knows; nothing when it is.
    pub held_by: Option<HeldBy>,
}

/// Who keeps a newer schema version from being written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeldBy {
    /// Nobody knows yet who there is: the deployment or the members have not been seen.
    /// [`WriteGate::ready`] waits for both.
    Unknown,
    /// Nobody knows any more who there is: the store last said so this long ago, longer than a
    /// process lives without announcing itself. It passes when the store answers again.
    Stale {
        /// The age of what is known.
        age: Duration,
    },
    /// This color may be asked back, and nobody knows what it reads.
    Color(Color),
    /// This process does not understand it; the last of its release, where none lives.
    Member {
        /// Its name.
        instance: String,
        /// Its color.
        color: Color,
        /// Its release.
        release: Release,
    },
}

impl WriteGate {
    /// The gate of a service's deployment and its members.
    #[must_use]
    pub const fn new(following: Following, roster: Roster) -> Self {
        Self { following, roster, unannounced: Unannounced::ReadsOldest }
    }

    /// This is made of processes that announce nothing. Default: that they read the oldest version
    /// only.
    #[must_use]
    pub const fn with_unannounced(mut self, unannounced: Unannounced) -> Self {
        self.unannounced = unannounced;
        self
    }

    /// Waits until the deployment is known and the members have been seen once, so that no write is
    /// held back for not knowing them. It waits as long as the store is away, and forever once the
    /// drivers of the two have ended: bound it, and start without it when the time is over. Cancel
    /// safe.
    pub async fn ready(&self) {
        self.following.known().await;
        let mut roster = self.roster.clone();
        while roster.members().is_none() {
            roster.changed().await;
        }
    }

    /// Waits until the version that this release knows may not be written. Cancel safe.
    pub(crate) async fn closes(&self, schema: &Schema) -> HeldBy {
        let (mut following, mut roster) = (self.following.clone(), self.roster.clone());
        loop {
            match self.decide(schema) {
                Err(by) | Ok(WrittenSchema { held_by: Some(by), .. }) => return by,
                Ok(WrittenSchema { held_by: None, .. }) => {}
            }
            tokio::select! {
                _ = following.changed() => {}
                () = roster.changed() => {}
                // Knowledge grows stale without a change.
                () = sleep(SHORTEST_LIFE) => {}
            }
        }
    }

    /// The revision of the deployment that is known.
    pub(crate) fn revision(&self) -> Option<Revision> {
        self.following.current().map(|deployment| deployment.revision())
    }

    /// The age of what is known, when it is too old to tell who lives.
    fn stale(&self, members: &Members) -> Option<Duration> {
        let lives = members.living.iter().map(Member::ttl);
        let limit = lives.max().unwrap_or_default().max(SHORTEST_LIFE);
        // What the store never said has no age: it is fixed, or remembered.
        let age = self.following.age().max(self.roster.age())?;
        (age > limit).then_some(age)
    }

    /// The version to write now; who is in the way when not even the lowest is understood.
    pub(crate) fn decide(&self, schema: &Schema) -> Result<WrittenSchema, HeldBy> {
        let mut versions = schema.writable().peekable();
        let known = (self.following.current(), self.roster.members());
        let (Some(deployment), Some(members)) = known else {
            return Ok(lowest(schema, HeldBy::Unknown));
        };
        if let Some(age) = self.stale(&members) {
            return Ok(lowest(schema, HeldBy::Stale { age }));
        }
        let audience = Audience::of(&deployment, &members);
        let mut held_by = None;
        while let Some(version) = versions.next() {
            let is_lowest = versions.peek().is_none();
            let lacks = |member: &&Member| self.lacks(member, schema, version, is_lowest);
            match audience.members().find(lacks) {
                Some(member) => held_by = held_by.or_else(|| Some(HeldBy::from(member))),
                None if is_lowest => return Ok(WrittenSchema { version, held_by }),
                None => match audience.unknown() {
                    Some(color) => return Ok(lowest(schema, HeldBy::Color(color))),
                    None => return Ok(WrittenSchema { version, held_by }),
                },
            }
        }
        Err(held_by.unwrap_or(HeldBy::Unknown))
    }

    /// Whether a process would not understand `version`. One that reads only newer versions is
    /// not waited for: it is ahead, and needs an upcaster.
    fn lacks(
        &self,
        member: &Member,
        schema: &Schema,
        version: ContractVersion,
        is_lowest: bool,
    ) -> bool {
        let mut reads = member.reads.versions(schema.contract());
        match reads.next() {
            None => self.unannounced == Unannounced::ReadsOldest && !is_lowest,
            Some(oldest) if oldest.major() > version.major() => false,
            Some(oldest) => !oldest.reads(version) && !reads.any(|known| known.reads(version)),
        }
    }
}

/// No age below the default time to live of a member is stale: looks take their time.
const SHORTEST_LIFE: Duration = Duration::from_secs(15);

fn lowest(schema: &Schema, why: HeldBy) -> WrittenSchema {
    let present = schema.version();
    let version = schema.writable().last().unwrap_or(present);
    WrittenSchema { version, held_by: (version != present).then_some(why) }
}

impl HeldBy {
    /// Whether nobody is known to be in the way: an item that has a newer version then keeps it.
    #[must_use]
    pub const fn is_ignorance(&self) -> bool {
        match self {
            Self::Unknown | Self::Stale { .. } | Self::Color(_) => true,
            Self::Member { .. } => false,
        }
    }
}

impl From<&Member> for HeldBy {
    fn from(member: &Member) -> Self {
        let (instance, release) = (member.instance.clone(), member.release.clone());
        Self::Member { instance, color: member.color, release }
    }
}

impl fmt::Display for HeldBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("a deployment or members not known yet"),
            Self::Stale { age } => {
                write!(f, "a store that last said {age:.0?} ago who there is")
            }
            Self::Color(color) => write!(f, "{color}, of which nobody knows what it reads"),
            Self::Member { instance, color, release } => {
                write!(f, "{instance} of {color}, release {release}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
