//! The life of one consumer: a process from its start to its end, and what it said meanwhile.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bluegreen_local::World;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::word::{Report, Word};
use super::{DEAD, QUEUE};

/// Within this time a consumer must have begun, handle another message, and end once it was told to.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a consumer is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// SIGKILL: no warning, no goodbye.
    Kill,
    /// SIGTERM, as a task is stopped.
    Stop,
}

/// How long a consumer lives: by what it has done, so that on a slow machine as well some die amid
/// their work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Age {
    /// Until it has handled so many messages.
    pub(super) messages: usize,
    /// And from then on for so long.
    pub(super) then: Duration,
}

/// Where consumers live.
#[derive(Clone, Debug)]
pub(super) struct Place {
    program: PathBuf,
    endpoint: String,
}

impl Place {
    pub(super) const fn new(program: PathBuf, endpoint: String) -> Self {
        Self { program, endpoint }
    }

    pub(super) fn url(&self, queue: &str) -> String {
        format!("{}/{}/{queue}", self.endpoint, World::ACCOUNT_ID)
    }
}

/// A consumer that lives.
#[derive(Debug)]
pub(super) struct Life {
    death: Death,
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    lived: Lived,
}

/// A consumer that has lived.
#[derive(Clone, Debug)]
pub(super) struct Lived {
    /// The access key that its calls were signed with.
    pub(super) name: String,
    /// The messages that it has handled, and on which of their receives.
    pub(super) handled: Vec<(String, u32)>,
    /// What it said at its end; nothing when it was killed.
    pub(super) report: Option<Report>,
}

impl Life {
    /// Starts a consumer and waits until it is about to receive.
    pub(super) async fn begin(place: &Place, name: &str, death: Death) -> Result<Self> {
        let mut process = Command::new(&place.program)
            .args(["worker", name, &place.endpoint, &place.url(QUEUE), &place.url(DEAD)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", place.program.display()))?;
        let output = process.stdout.take().context("it has no output")?;
        let mut lines = BufReader::new(output).lines();
        let first = timeout(PATIENCE, lines.next_line()).await??;
        let begun = first.as_deref().and_then(Word::heard) == Some(Word::Begun);
        ensure!(begun, "{name} began with {first:?}");
        let lived = Lived { name: name.to_owned(), handled: Vec::new(), report: None };
        Ok(Self { death, process, lines, lived })
    }

    /// Lets it grow so old, and hears what it says meanwhile: with nobody to hear it, it would wait.
    pub(super) async fn live(&mut self, age: Age) -> Result<()> {
        while self.lived.handled.len() < age.messages {
            ensure!(timeout(PATIENCE, self.hear()).await??, "it ended by itself");
        }
        let on_and_on = async {
            while self.hear().await? {}
            Ok::<_, anyhow::Error>(())
        };
        match timeout(age.then, on_and_on).await {
            Ok(ended) => ended.and_then(|()| bail!("it ended by itself")),
            Err(_) => Ok(()),
        }
    }

    /// Ends it as it is meant to end, and hears all that it said.
    pub(super) async fn end(mut self) -> Result<Lived> {
        let id = self.process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let id = id.context("it ended by itself")?;
        let signal = match self.death {
            Death::Kill => Signal::KILL,
            Death::Stop => Signal::TERM,
        };
        kill_process(id, signal)?;
        // Its output ends with it.
        while timeout(PATIENCE, self.hear()).await?? {}
        let status = timeout(PATIENCE, self.process.wait()).await??;
        let is_orderly = status.success() && self.lived.report.is_some();
        ensure!(self.death == Death::Kill || is_orderly, "it was to stop and ended with {status}");
        Ok(self.lived)
    }

    /// One more thing that it says, unless its output has ended. Cancel safe.
    async fn hear(&mut self) -> Result<bool> {
        let Some(line) = self.lines.next_line().await? else { return Ok(false) };
        match Word::heard(&line) {
            Some(Word::Handled { message_id, receive }) => {
                self.lived.handled.push((message_id, receive));
            }
            Some(Word::Stopped(report)) => self.lived.report = Some(report),
            other => bail!("it said {line:?}: {other:?}"),
        }
        Ok(true)
    }
}
