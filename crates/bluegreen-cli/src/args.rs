use std::time::Duration;

use bluegreen::state::StoreAddress;
use bluegreen::{Color, IdentityError, Release, ServiceKey, Share};
use clap::{Parser, Subcommand};

use crate::exit::Usage;
use crate::percent;

/// Looks at a blue/green deployment and moves it.
#[derive(Debug, Parser)]
#[command(name = "bluegreen", version)]
pub(crate) struct Args {
    /// Where the deployment is kept: file:PATH or dynamodb:TABLE
    #[arg(long, env = "BLUEGREEN_STORE", global = true)]
    store: Option<StoreAddress>,
    /// The service
    #[arg(long, env = "SERVICE_NAME", global = true)]
    service: Option<String>,
    /// The stage, such as staging or production
    #[arg(long, env = "DEPLOYMENT_STAGE", global = true)]
    stage: Option<String>,
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a service's first record
    Init {
        /// The color that serves: blue or green
        #[arg(long)]
        color: Color,
        /// The release it runs
        #[arg(long, value_parser = release)]
        release: Release,
        /// Make the DynamoDB table first, where it is missing
        #[arg(long)]
        create_table: bool,
    },
    /// Say what the record and the members say
    Status,
    /// Begin a shift to the idle color, at 0 %
    Begin {
        /// The color that the release stands on: blue or green
        #[arg(long)]
        to: Color,
        /// The release
        #[arg(long, value_parser = release)]
        release: Release,
    },
    /// Give the target a share of the work; 0 asks the stable color back
    Shift {
        /// 0 to 100, with one decimal at most
        #[arg(value_name = "PERCENT", value_parser = percent::share)]
        share: Share,
    },
    /// Make the target, which serves 100 %, the only color
    Commit,
    /// Give a shift up, once its target serves 0 %
    Abandon,
    /// Say that all that the latest shift has left, in queues say, is finished
    Drained,
    /// Wait until every living process follows the latest revision
    Wait {
        /// How many seconds at most
        #[arg(long, default_value = "300", value_name = "SECONDS", value_parser = seconds)]
        timeout: Duration,
    },
    /// Print a line for each change seen, looking every second, until interrupted
    Watch,
}

impl Args {
    /// The service and stage that are meant.
    pub(crate) fn key(&self) -> Result<ServiceKey, Usage> {
        let service = self.service.as_ref().ok_or(Usage::Missing("--service or SERVICE_NAME"))?;
        let key = ServiceKey::new(service)?;
        match self.stage.as_deref().filter(|stage| !stage.is_empty()) {
            Some(stage) => Ok(key.with_stage(stage)?),
            None => Ok(key),
        }
    }

    /// The store that is meant.
    pub(crate) fn store(&self) -> Result<&StoreAddress, Usage> {
        self.store.as_ref().ok_or(Usage::Missing("--store or BLUEGREEN_STORE"))
    }
}

fn release(name: &str) -> Result<Release, IdentityError> {
    Release::new(name)
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    // 32 bits of seconds: any deadline made of them still is one.
    text.parse::<u32>().map(|seconds| Duration::from_secs(seconds.into()))
}
