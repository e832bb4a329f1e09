#![doc = include_str!("../README.md")]

mod atomic;
mod audience;
mod backoff;
mod clock;
mod color;
mod contract;
mod deployment;
mod following;
mod identity;
mod in_flight;
mod latencies;
mod liveness;
mod member;
mod observation;
mod phase;
mod revision;
mod rise_fall;
mod roster;
mod share;
mod stop;
mod store;

pub use audience::Audience;
pub use backoff::{Backoff, BackoffError};
pub use clock::{Clock, ClockHand};
pub use color::{ByColor, Color, ColorError};
pub use contract::{ContractVersion, ContractVersionError, Reads};
pub use deployment::{Deployment, RecordError, TransitionError};
pub use following::{
    FollowConfig, FollowError, FollowReport, Follower, Following, Nothing, Remember, Source,
};
pub use identity::{IdentityError, Release, ServiceIdentity, ServiceKey};
pub use in_flight::{InFlight, InFlightGuard};
pub use latencies::Latencies;
pub use member::Member;
pub use observation::{Figures, Observation, Reading};
pub use phase::{Phase, Role};
pub use revision::{Epoch, Revision, WriteId};
pub use rise_fall::RiseFall;
pub use roster::{Lookout, LookoutReport, Members, Roster, RosterConfig};
pub use share::{Share, ShareError};
pub use stop::{Stop, Stopper};
pub use store::{
    Change, Decision, MemoryStore, Outcome, Progress, Settled, Settling, Store, StoreError,
    UpdateError, settled, update,
};
