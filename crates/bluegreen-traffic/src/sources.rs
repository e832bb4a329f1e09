//! What a shift asks of the world around it. Each is a trait that closures implement.

use std::error::Error;
use std::future::Future;
use std::time::SystemTime;

use bluegreen_core::{ByColor, Color, Observation, Share};

use crate::Event;

/// Where the figures of both colors come from, such as `bluegreen-metrics`' reader.
///
/// Closures `FnMut(start, end) -> impl Future<Output = Result<ByColor<Vec<Observation>>, E>>` do.
pub trait Observe: Send {
    /// What was seen of both colors from `start` to `end`, both multiples of the metrics' period:
    /// one observation a period, with *late* and *absent* where nothing is known. A period that is
    /// left out counts as late.
    ///
    /// # Errors
    /// When the metrics cannot be read. That is no evidence, and never a pass.
    fn observe(
        &mut self,
        start: SystemTime,
        end: SystemTime,
    ) -> impl Future<Output = Result<ByColor<Vec<Observation>>, SourceError>> + Send;
}

impl<F, U, E> Observe for F
where
    F: FnMut(SystemTime, SystemTime) -> U + Send,
    U: Future<Output = Result<ByColor<Vec<Observation>>, E>> + Send,
    E: Into<SourceError>,
{
    async fn observe(
        &mut self,
        start: SystemTime,
        end: SystemTime,
    ) -> Result<ByColor<Vec<Observation>>, SourceError> {
        self(start, end).await.map_err(Into::into)
    }
}

/// The balancer in front of both colors: an ALB, by the feature `alb`.
pub trait Weights: Send + Sync {
    /// Gives each color its share. Writing the same again changes nothing.
    ///
    /// # Errors
    /// When the balancer cannot be reached or will not do it.
    fn set(&self, shares: ByColor<Share>) -> impl Future<Output = Result<(), SourceError>> + Send;

    /// The shares that the balancer has.
    ///
    /// # Errors
    /// When the balancer cannot be reached or has something else than two colors.
    fn read(&self) -> impl Future<Output = Result<ByColor<Share>, SourceError>> + Send;
}

impl<W: Weights> Weights for std::sync::Arc<W> {
    async fn set(&self, shares: ByColor<Share>) -> Result<(), SourceError> {
        self.as_ref().set(shares).await
    }

    async fn read(&self) -> Result<ByColor<Share>, SourceError> {
        self.as_ref().read().await
    }
}

/// Whether a color can take requests now, asked freshly before it gets its first ones.
///
/// Closures `FnMut(color) -> impl Future<Output = Result<(), String>>` do; the text says what is
/// wrong.
pub trait CandidateHealth: Send {
    /// Asks now.
    ///
    /// # Errors
    /// When the color is not healthy, or nobody knows.
    fn check(&mut self, color: Color) -> impl Future<Output = Result<(), String>> + Send;
}

impl<F, U> CandidateHealth for F
where
    F: FnMut(Color) -> U + Send,
    U: Future<Output = Result<(), String>> + Send,
{
    async fn check(&mut self, color: Color) -> Result<(), String> {
        self(color).await
    }
}

/// Who is told what happens, at once and in order. Closures `FnMut(&Event)` do; they must not block.
pub trait Notify: Send {
    /// Something has happened.
    fn notify(&mut self, event: &Event);
}

impl<F: FnMut(&Event) + Send> Notify for F {
    fn notify(&mut self, event: &Event) {
        self(event);
    }
}

/// What a shift works with.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "each of them must be given")]
pub struct Sources<O, W, H, N> {
    /// Where the figures come from.
    pub observe: O,
    /// The balancer.
    pub weights: W,
    /// Whether the candidate is healthy now.
    pub candidate_health: H,
    /// Who is told.
    pub notify: N,
}

/// A source did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct SourceError {
    what: &'static str,
    retryable: bool,
    source: Box<dyn Error + Send + Sync>,
}

impl SourceError {
    /// An error that may pass by itself. `what` says what was being done.
    pub fn passing(what: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { what, retryable: true, source: source.into() }
    }

    /// An error that somebody has to do something about.
    pub fn lasting(what: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { what, retryable: false, source: source.into() }
    }

    /// Whether trying again makes sense.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        self.retryable
    }
}

impl From<Box<dyn Error + Send + Sync>> for SourceError {
    /// An error that may pass by itself.
    fn from(source: Box<dyn Error + Send + Sync>) -> Self {
        Self::passing("a source of the shift failed", source)
    }
}
