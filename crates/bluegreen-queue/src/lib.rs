#![doc = include_str!("../README.md")]

mod allowance;
mod bodies;
mod config;
mod consumer;
mod context;
mod dispatch;
mod envelope;
mod gate;
mod message;
mod names;
mod outcome;
mod parked;
mod producer;
mod queues;
mod route;
mod sqs;
mod write_gate;

pub use bodies::Bodies;
pub use config::{ConfigError, ConsumerConfig, ProducerConfig};
pub use consumer::{Consumer, ConsumerError, ConsumerHandle, ConsumerReport};
pub use context::Context;
pub use dispatch::{Dispatch, DispatchBuilder, DispatchError, Fallback, UnknownPolicy};
pub use envelope::{Envelope, EnvelopeError, TraceContext};
pub use gate::{Flow, QueueSide, gate};
pub use message::Message;
pub use names::{NameError, QueueNames};
pub use outcome::{HandlerError, Outcome};
pub use parked::Parked;
pub use producer::{Producer, SendError, Sent};
pub use queues::{Queues, Subscription};
pub use route::route;
pub use sqs::attributes;
pub use write_gate::{StepDownError, WriteGate, WriteGateBuilder, WriteGateError};
