//! SQS's errors, as its JSON protocol words them.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

/// What is wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    EmptyBatchRequest,
    InternalFailure,
    InvalidAddress,
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidBatchEntryId,
    InvalidMessageContents,
    InvalidParameterValue,
    MessageNotInflight,
    MissingParameter,
    OverLimit,
    PurgeQueueInProgress,
    QueueDeletedRecently,
    QueueDoesNotExist,
    QueueNameExists,
    ReceiptHandleIsInvalid,
    Serialization,
    TooManyEntriesInBatchRequest,
    UnknownOperation,
}

impl Kind {
    /// The name of the error's shape, and the code that the older query protocol had for it:
    /// SDKs match on the latter.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::BatchEntryIdsNotDistinct => (
                "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            ),
            Self::BatchRequestTooLong => (
                "com.amazonaws.sqs#BatchRequestTooLong",
                "AWS.SimpleQueueService.BatchRequestTooLong",
            ),
            Self::EmptyBatchRequest => {
                ("com.amazonaws.sqs#EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest")
            }
            Self::InternalFailure => {
                ("com.amazon.coral.service#InternalFailure", "InternalFailure")
            }
            Self::InvalidAddress => ("com.amazonaws.sqs#InvalidAddress", "InvalidAddress"),
            Self::InvalidAttributeName => {
                ("com.amazonaws.sqs#InvalidAttributeName", "InvalidAttributeName")
            }
            Self::InvalidAttributeValue => {
                ("com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue")
            }
            Self::InvalidBatchEntryId => (
                "com.amazonaws.sqs#InvalidBatchEntryId",
                "AWS.SimpleQueueService.InvalidBatchEntryId",
            ),
            Self::InvalidMessageContents => {
                ("com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents")
            }
            Self::InvalidParameterValue => {
                ("com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue")
            }
            Self::MessageNotInflight => (
                "com.amazonaws.sqs#MessageNotInflight",
                "AWS.SimpleQueueService.MessageNotInflight",
            ),
            Self::MissingParameter => {
                ("com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter")
            }
            Self::OverLimit => ("com.amazonaws.sqs#OverLimit", "OverLimit"),
            Self::PurgeQueueInProgress => (
                "com.amazonaws.sqs#PurgeQueueInProgress",
                "AWS.SimpleQueueService.PurgeQueueInProgress",
            ),
            Self::QueueDeletedRecently => (
                "com.amazonaws.sqs#QueueDeletedRecently",
                "AWS.SimpleQueueService.QueueDeletedRecently",
            ),
            Self::QueueDoesNotExist => {
                ("com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
            }
            Self::QueueNameExists => ("com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists"),
            Self::ReceiptHandleIsInvalid => {
                ("com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid")
            }
            Self::Serialization => {
                ("com.amazon.coral.service#SerializationException", "MalformedInput")
            }
            Self::TooManyEntriesInBatchRequest => (
                "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            ),
            Self::UnknownOperation => {
                ("com.amazon.coral.service#UnknownOperationException", "InvalidAction")
            }
        }
    }
}

/// A refused call, or a refused entry of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SqsError {
    pub(super) kind: Kind,
    pub(super) message: String,
}

pub(super) type Result<T> = std::result::Result<T, SqsError>;

impl SqsError {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A parameter whose value is out of place, in AWS's wording.
    pub(super) fn invalid(parameter: &str, value: impl std::fmt::Display, reason: &str) -> Self {
        let message =
            format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}");
        Self::new(Kind::InvalidParameterValue, message)
    }

    pub(super) fn missing(parameter: &str) -> Self {
        let message = format!("The request must contain the parameter {parameter}.");
        Self::new(Kind::MissingParameter, message)
    }

    pub(super) fn no_such_queue() -> Self {
        Self::new(Kind::QueueDoesNotExist, "The specified queue does not exist.")
    }

    /// The code of the query protocol, as it also stands in a batch's failed entry.
    pub(super) const fn code(&self) -> &'static str {
        self.kind.names().1
    }

    pub(super) fn into_response(self) -> Response<Bytes> {
        let (shape, code) = self.kind.names();
        let (status, party) = match self.kind {
            Kind::InternalFailure => (StatusCode::INTERNAL_SERVER_ERROR, "Receiver"),
            _ => (StatusCode::BAD_REQUEST, "Sender"),
        };
        let body = serde_json::json!({ "__type": shape, "message": self.message });
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
        if let Ok(value) = HeaderValue::from_str(&format!("{code};{party}")) {
            headers.insert("x-amzn-query-error", value);
        }
        response
    }
}
