mod descent;
mod turns;

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::{Stop, Stopper};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tower_service::Service;

use crate::driver::{BoxError, Done, Driver, DriverEnd, Drivers, Ended, Policy, chain};
use crate::level::ByLevel;
use crate::report::{Cause, ShutdownReport};
use crate::server::Server;
use crate::signal::Signals;
use crate::watch::{DriverWatch, EarlyEnd};
use crate::{Level, LifecycleConfig, LifecycleError};
use turns::{Turn, Turns};

/// The life of a process: its drivers run here, and here it ends, level by level.
///
/// Dropped without [`run`](Self::run) it ends its drivers at once.
#[derive(Debug)]
#[must_use = "the drivers end when it is dropped"]
pub struct Lifecycle {
    config: LifecycleConfig,
    signals: Signals,
    trigger: Arc<Notify>,
    stops: ByLevel<Stopper>,
    drivers: Drivers,
    turns: Turns,
    early: watch::Sender<Vec<EarlyEnd>>,
    failed: Vec<(String, DriverEnd)>,
    // Whether a signal has asked for the end already; the next one forces it.
    signaled: bool,
}

/// Asks a process to end, from within. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Trigger {
    notify: Arc<Notify>,
}

impl Trigger {
    /// Asks the process to end, as a `SIGTERM` would. Asking again changes nothing.
    pub fn shut_down(&self) {
        self.notify.notify_one();
    }
}

impl Lifecycle {
    /// A lifecycle without drivers. From here on signals no longer kill the process, for as long as
    /// it lives: they are kept for [`run`](Self::run), and after that heard by nobody. Logs the [`warnings`](LifecycleConfig::warnings) of `config`.
    ///
    /// # Errors
    /// When a level has no time at all, outside a tokio runtime, or when the system refuses to
    /// listen for signals.
    ///
    /// # Panics
    /// In a tokio runtime without IO or without time: it needs `enable_all`, as `#[tokio::main]`
    /// has it.
    pub fn new(config: LifecycleConfig) -> Result<Self, LifecycleError> {
        config.check()?;
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        tokio::runtime::Handle::try_current().map_err(|_| LifecycleError::NoRuntime)?;
        // Panics without a timer, which would only be missed once the process is to end.
        drop(tokio::time::sleep(Duration::ZERO));
        Ok(Self {
            config,
            signals: Signals::install().map_err(LifecycleError::Signals)?,
            trigger: Arc::default(),
            stops: ByLevel::from_fn(|_| Stop::new().0),
            drivers: Drivers::default(),
            turns: Turns::default(),
            early: watch::Sender::default(),
            failed: Vec::new(),
            signaled: false,
        })
    }

    /// The stop of a level, for what is not a driver here: that of [`Level::Readiness`] for the
    /// health layer, say.
    #[must_use]
    pub fn stop(&self, level: Level) -> Stop {
        self.stops.get(level).subscribe()
    }

    /// Something to end the process with from within.
    #[must_use]
    pub fn trigger(&self) -> Trigger {
        Trigger { notify: Arc::clone(&self.trigger) }
    }

    /// Tells which drivers have ended early, for a health probe.
    #[must_use]
    pub fn drivers(&self) -> DriverWatch {
        DriverWatch::new(self.early.subscribe())
    }

    /// Runs a driver that the process cannot do without: should it return before it is asked to,
    /// fail or panic, the process ends, and says why.
    ///
    /// The driver is asked to stop with its level, and cut off at the level's end; the deadline it
    /// is told is a little sooner, so that it can still report. Drivers of one level end at the
    /// same time; those of [`Level::Producers`] one after the other, as [`hook`](Self::hook) tells.
    ///
    /// ```
    /// # use bluegreen_core::Stop;
    /// # use bluegreen_shutdown::{Level, Lifecycle, LifecycleConfig};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// async fn relay(stop: Stop) -> Result<u64, std::io::Error> {
    ///     stop.requested().await;
    ///     Ok(0)
    /// }
    /// let mut lifecycle = Lifecycle::new(LifecycleConfig::default())?;
    /// lifecycle.spawn(Level::Producers, "outbox relay", relay);
    /// # Ok(()) }
    /// ```
    pub fn spawn<F, T, E>(
        &mut self,
        level: Level,
        name: impl Into<String>,
        driver: impl FnOnce(Stop) -> F,
    ) where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Debug + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        self.spawn_with(level, name.into(), Policy::Essential, driver);
    }

    /// Runs a driver that the process can do without: its end is logged, told by
    /// [`drivers`](Self::drivers), named in the report when it failed, and the process goes on.
    pub fn spawn_optional<F, T, E>(
        &mut self,
        level: Level,
        name: impl Into<String>,
        driver: impl FnOnce(Stop) -> F,
    ) where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Debug + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        self.spawn_with(level, name.into(), Policy::Optional, driver);
    }

    fn spawn_with<F, T, E>(
        &mut self,
        level: Level,
        name: String,
        policy: Policy,
        driver: impl FnOnce(Stop) -> F,
    ) where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Debug + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let known = Driver::new(level, name, policy);
        if level == Level::Producers {
            let (stopper, stop) = Stop::new();
            let id = self.drivers.spawn(known, reported(driver(stop)));
            self.turns.push(Turn::Driver(id, stopper));
        } else {
            self.drivers.spawn(known, reported(driver(self.stop(level))));
        }
    }

    /// Work to be done at [`Level::Producers`] on the way down, and never before: the future is
    /// first polled then.
    ///
    /// Drivers and hooks of that level end one after the other in the order in which they were
    /// declared. Each may use its fair share of the time that the level has left: with three to
    /// come a third, and what it leaves unused goes to the others. One that takes longer is cut
    /// off and named as abandoned, and the next one has its turn.
    ///
    /// ```
    /// # use bluegreen_shutdown::{Lifecycle, LifecycleConfig};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut lifecycle = Lifecycle::new(LifecycleConfig::default())?;
    /// lifecycle.hook("audit log", async {
    ///     // …writes that the process has ended
    ///     Ok::<_, std::io::Error>(())
    /// });
    /// # Ok(()) }
    /// ```
    pub fn hook<T, E>(
        &mut self,
        name: impl Into<String>,
        hook: impl Future<Output = Result<T, E>> + Send + 'static,
    ) where
        T: Debug + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        self.turns.push(Turn::Hook(name.into(), Box::pin(reported(hook))));
    }

    /// Serves HTTP/1 and HTTP/2 with any tower service, an axum `Router` for one, and the default
    /// [`ServerConfig`](crate::ServerConfig).
    pub fn serve<S, B>(&mut self, name: impl Into<String>, listener: TcpListener, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.serve_with(name, Server::new(listener, service));
    }

    /// Runs a server of your own making. From the signal on it asks clients to leave with
    /// `Connection: close`; it closes its listener at [`Level::Listener`], and answers what is
    /// under way until the end of [`Level::Requests`].
    pub fn serve_with<S, B>(&mut self, name: impl Into<String>, server: Server<S>)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let [leaving, close, finish] =
            [Level::Readiness, Level::Listener, Level::Requests].map(|level| self.stop(level));
        let mut known = Driver::new(Level::Requests, name.into(), Policy::Essential);
        known.roster = Some(server.roster());
        self.drivers.spawn(known, async move {
            let server = server.run_through(leaving, close, finish).await;
            Ok(Done { report: format!("{server:?}"), server: Some(server) })
        });
    }

    /// Waits for `SIGTERM`, `SIGINT`, a [`Trigger`] or the end of an essential driver, then goes
    /// through the levels, each until its drivers are done or its time is over. A second signal
    /// ends it at once; the first one that comes while the process ends by itself does not.
    ///
    /// Signals are heard by nobody after it, so [`exit`](ShutdownReport::exit) should follow at
    /// once: a process that lingers can only be killed.
    ///
    /// Dropped, it ends the drivers at once.
    pub async fn run(mut self) -> ShutdownReport {
        let cause = self.cause().await;
        tracing::info!(%cause, "shutting down");
        let report = self.descend(cause).await;
        tracing::info!(%report, "shut down");
        report
    }

    async fn cause(&mut self) -> Cause {
        loop {
            tokio::select! {
                biased;
                signal = self.signals.next() => return Cause::Signal(signal),
                () = self.trigger.notified() => return Cause::Requested,
                ended = self.drivers.next_end() => {
                    if let Some(cause) = self.ended_early(ended) {
                        return cause;
                    }
                }
            }
        }
    }

    fn ended_early(&mut self, ended: Ended) -> Option<Cause> {
        let Ended { driver: Driver { name, level, policy, .. }, end, .. } = ended;
        self.tell_early(&name, level, &end);
        match (policy, &end) {
            (Policy::Essential, _) => {
                tracing::error!(driver = name, %end, "an essential driver ended early");
                self.failed.push((name.clone(), end.clone()));
                return Some(Cause::Driver { name, end });
            }
            (Policy::Optional, DriverEnd::Finished) => {
                tracing::info!(driver = name, "an optional driver finished");
            }
            (Policy::Optional, _) => {
                tracing::error!(driver = name, %end, "an optional driver ended; going on");
                self.failed.push((name, end));
            }
        }
        None
    }

    fn tell_early(&self, name: &str, level: Level, end: &DriverEnd) {
        let early = EarlyEnd { name: name.to_owned(), level, end: end.clone() };
        self.early.send_modify(|ended| ended.push(early));
    }
}

/// Both texts are made here, in the driver's own task: a `Debug` or `Display` that panics is the
/// driver's failure alone.
async fn reported<T, E>(driver: impl Future<Output = Result<T, E>>) -> Result<Done, String>
where
    T: Debug,
    E: Into<BoxError>,
{
    let report = driver.await.map_err(|error| chain(error.into().as_ref()))?;
    Ok(Done { report: format!("{report:?}"), server: None })
}
