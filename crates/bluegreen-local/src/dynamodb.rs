//! A stand-in for DynamoDB: dynoxide, which keeps tables in SQLite in memory and is verified by its
//! authors against AWS.
//!
//! What differs from AWS, besides speed and throttling: items whose time to live has passed stay
//! until [`DynamoDb::sweep_expired`]; reads are always consistent; every index is up to date at once;
//! `IN` takes more than 100 operands, `TransactGetItems` answers more than 4 MB, and a condition that
//! compares what has no order, or asks for a type that there is none of, is not met where AWS refuses
//! it.

mod tokens;
mod transaction_size;

use std::fmt;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bluegreen_core::Clock;
use bytes::Bytes;
use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;
use dynoxide::{Database, DynoxideError};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokens::Tokens;

/// The tables of a world. Clones share them.
#[derive(Clone)]
pub struct DynamoDb {
    /// Why there is no database, where memory for it could not be had: every call says so.
    database: Result<Database, Arc<str>>,
    tokens: Tokens,
}

impl fmt::Debug for DynamoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDb").finish_non_exhaustive()
    }
}

impl DynamoDb {
    pub(crate) fn new(clock: Clock) -> Self {
        let database = Database::memory_with_clock(Arc::new(WorldClock(clock)));
        let database = database.map_err(|error| Arc::from(error.to_string()));
        Self { database, tokens: Tokens::new(clock) }
    }

    /// Deletes the items whose time to live has passed by the clock of the world; how many there
    /// were. AWS does it within a few days; here it is done only when asked for.
    #[must_use = "an error is reported as nothing swept, which a test should notice"]
    pub fn sweep_expired(&self) -> usize {
        self.database.as_ref().ok().and_then(|database| database.sweep_ttl().ok()).unwrap_or(0)
    }

    /// Runs on the thread that asks, without a pause: a call takes some ten to hundreds of
    /// microseconds, and under a paused clock no time passes meanwhile.
    #[expect(clippy::unused_async, reason = "all services are called alike")]
    pub(crate) async fn handle(
        &self,
        operation: &str,
        request: &Request<Bytes>,
    ) -> Response<Bytes> {
        let outcome = match (&self.database, std::str::from_utf8(request.body())) {
            (Err(error), _) => Err(DynoxideError::InternalServerError(error.to_string())),
            (_, Err(error)) => Err(DynoxideError::SerializationException(error.to_string())),
            (Ok(database), Ok(body)) if is_deep(body) => {
                run_deep(database, &self.tokens, operation, body)
            }
            (Ok(database), Ok(body)) => run(database, &self.tokens, operation, body),
        };
        match outcome {
            Ok(body) => respond(StatusCode::OK, body),
            Err(error) => {
                let status = StatusCode::from_u16(error.status_code());
                respond(status.unwrap_or(StatusCode::BAD_REQUEST), error.to_json())
            }
        }
    }
}

/// The operations that are answered, by the name of each and the method behind it.
macro_rules! operations {
    ($database:ident, $operation:ident, $body:ident, { $($name:literal => $method:ident,)* }) => {
        match $operation {
            $($name => call($operation, $body, |request| $database.$method(request)),)*
            _ => Err(DynoxideError::UnsupportedCapability($operation.to_owned())),
        }
    };
}

fn run(
    database: &Database,
    tokens: &Tokens,
    operation: &str,
    body: &str,
) -> Result<String, DynoxideError> {
    if operation == "TransactWriteItems" {
        return call(operation, body, |mut request: TransactWriteItemsRequest| {
            transaction_size::check(database, &request)?;
            let token = request.client_request_token.take();
            request.client_request_token = token.as_deref().map(|token| tokens.name(token));
            let answer = database.transact_write_items(request)?;
            token.iter().for_each(|token| tokens.completed(token));
            Ok(answer)
        });
    }
    operations!(database, operation, body, {
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "CreateTable" => create_table,
        "DeleteItem" => delete_item,
        "DeleteTable" => delete_table,
        "DescribeTable" => describe_table,
        "DescribeTimeToLive" => describe_time_to_live,
        "GetItem" => get_item,
        "ListTables" => list_tables,
        "PutItem" => put_item,
        "Query" => query,
        "Scan" => scan,
        "TransactGetItems" => transact_get_items,
        "UpdateItem" => update_item,
        "UpdateTable" => update_table,
        "UpdateTimeToLive" => update_time_to_live,
    })
}

/// Whether an expression of the request has so many joins, denials and brackets that dynoxide, which
/// goes down some levels for each, may need more stack than a thread has: AWS takes 300 operators.
fn is_deep(body: &str) -> bool {
    /// Not even brackets alone make so short a text deep.
    const SHORT: usize = 64;
    const FLAT: usize = 12;
    let mut texts = body.split("Expression\"").skip(1).filter_map(|rest| rest.split('"').nth(1));
    texts.any(|text| {
        let levels = |text: &str| -> usize {
            ["AND", "OR", "NOT", "("].iter().map(|level| text.matches(level).count()).sum()
        };
        // Who escapes letters may hide any number of them.
        let may_hide = || text.contains("\\u") || text.ends_with('\\');
        text.len() > SHORT && (levels(&text.to_ascii_uppercase()) > FLAT || may_hide())
    })
}

/// The same on a thread with more stack, which the caller's thread waits for.
fn run_deep(
    database: &Database,
    tokens: &Tokens,
    operation: &str,
    body: &str,
) -> Result<String, DynoxideError> {
    const STACK: usize = 64 << 20;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let thread = thread.spawn_scoped(scope, || run(database, tokens, operation, body));
        let failed = |error: &str| Err(DynoxideError::InternalServerError(error.to_owned()));
        match thread.map(|thread| thread.join()) {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => failed("the evaluation of an expression panicked"),
            Err(error) => failed(&error.to_string()),
        }
    })
}

fn call<Q: DeserializeOwned, A: Serialize>(
    operation: &str,
    body: &str,
    execute: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let answer = serde_json::from_str(body)
        .map_err(|error| unreadable(&error))
        .and_then(execute)
        .map_err(|error| enveloped(operation, error))?;
    serde_json::to_string(&answer)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// What DynamoDB says of a request that cannot be read. dynoxide's readers mark the class of the
/// error at the front of its text.
fn unreadable(error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let is_validation = ["missing field", "unknown variant", "invalid type: null", "Supplied"];
    if let Some((marker, message)) = text.split_once(':') {
        match marker {
            "VALIDATION_REQUEST" => return DynoxideError::EnvelopedValidation(message.to_owned()),
            "VALIDATION" | "VALIDATION_AS_READ" => {
                return DynoxideError::ValidationException(message.to_owned());
            }
            "SERIALIZATION" | "SERIALIZATION_AS_READ" => {
                return DynoxideError::SerializationException(message.to_owned());
            }
            _ => {}
        }
    }
    if is_validation.iter().any(|part| text.contains(part)) {
        DynoxideError::ValidationException(text.to_owned())
    } else {
        DynoxideError::SerializationException(text.to_owned())
    }
}

/// On writes of one item, DynamoDB puts these words before some validation errors.
fn enveloped(operation: &str, error: DynoxideError) -> DynoxideError {
    const ENVELOPE: &str = "1 validation error detected: ";
    match error {
        DynoxideError::EnvelopedValidation(message)
            if matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem")
                && !message.starts_with(ENVELOPE) =>
        {
            DynoxideError::ValidationException(format!("{ENVELOPE}{message}"))
        }
        error => error,
    }
}

fn respond(status: StatusCode, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/x-amz-json-1.0");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// The clock of the world, as dynoxide asks for it.
struct WorldClock(Clock);

impl dynoxide::storage_backend::Clock for WorldClock {
    fn now_unix_secs(&self) -> u64 {
        self.0.now_millis() / 1_000
    }

    fn now_unix_secs_f64(&self) -> f64 {
        self.0.now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
    }
}
