#![doc = include_str!("../README.md")]

mod allowance;
mod bodies;
mod claim_check;
mod closure;
mod config;
mod consumer;
mod context;
mod courier;
mod dispatch;
mod draft;
mod drained;
mod envelope;
mod gate;
mod hand_over;
#[cfg(feature = "dynamodb")]
mod idempotency;
mod message;
mod names;
mod outcome;
mod parked;
mod pass_chance;
mod producer;
mod queues;
mod route;
mod sqs;
mod write_gate;

pub use bodies::Bodies;
pub use claim_check::ClaimCheck;
pub use config::{ConfigError, ConsumerConfig, ProducerConfig};
pub use consumer::{Consumer, ConsumerError, ConsumerHandle, ConsumerReport};
pub use context::Context;
pub use courier::{Courier, CourierReport};
pub use dispatch::{Dispatch, DispatchBuilder, DispatchError, Fallback, UnknownPolicy};
pub use draft::Draft;
pub use drained::{Depth, DrainConfig, DrainError, Drained, drained};
pub use envelope::{Envelope, EnvelopeError, TraceContext};
pub use gate::{Flow, QueueSide, gate};
pub use hand_over::HandOver;
#[cfg(feature = "dynamodb")]
pub use idempotency::{Idempotency, IdempotencyConfig, Idempotent};
pub use message::Message;
pub use names::{NameError, QueueNames};
pub use outcome::{HandlerError, Outcome};
pub use parked::Parked;
pub use pass_chance::pass_chance;
pub use producer::{Producer, SendError, Sent};
pub use queues::{Queues, Subscription};
pub use route::route;
pub use sqs::attributes;
pub use write_gate::{StepDownError, WriteGate, WriteGateBuilder, WriteGateError};
