//! How each service words an error of its infrastructure.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};

use super::Fault;
use crate::Service;

/// The service's own answer to a call that a fault strikes.
pub(super) fn of(service: Service, fault: Fault) -> Response<Bytes> {
    let (status, code) = status_and_code(service, fault);
    let message = message(fault);
    match service {
        Service::Sqs => {
            let namespace = match fault {
                Fault::Throttle => "com.amazonaws.sqs",
                _ => "com.amazon.coral.service",
            };
            let mut response = json(status, "1.0", namespace, code, message);
            if let Ok(value) = HeaderValue::from_str(&format!("{code};{}", fault_party(status))) {
                response.headers_mut().insert("x-amzn-query-error", value);
            }
            response
        }
        Service::DynamoDb => {
            let namespace = match fault {
                Fault::Throttle | Fault::InternalError => "com.amazonaws.dynamodb.v20120810",
                _ => "com.amazon.coral.service",
            };
            json(status, "1.0", namespace, code, message)
        }
        Service::Ecs => json(status, "1.1", "com.amazonaws.ecs", code, message),
        Service::CloudWatch => cbor(status, code, message),
        Service::ElbV2 => xml(status, code, message),
    }
}

fn status_and_code(service: Service, fault: Fault) -> (StatusCode, &'static str) {
    match fault {
        Fault::Throttle => (StatusCode::BAD_REQUEST, throttled(service)),
        Fault::AccessDenied => match service {
            Service::Sqs | Service::DynamoDb | Service::Ecs => {
                (StatusCode::BAD_REQUEST, "AccessDeniedException")
            }
            Service::CloudWatch | Service::ElbV2 => (StatusCode::FORBIDDEN, "AccessDenied"),
        },
        Fault::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        Fault::InternalError
        | Fault::Hang
        | Fault::Reset
        | Fault::LostReply
        | Fault::PartialFailure
        | Fault::Delay(_) => (StatusCode::INTERNAL_SERVER_ERROR, broken(service)),
    }
}

const fn throttled(service: Service) -> &'static str {
    match service {
        Service::Sqs => "RequestThrottled",
        Service::DynamoDb => "ProvisionedThroughputExceededException",
        Service::Ecs => "ThrottlingException",
        Service::CloudWatch | Service::ElbV2 => "Throttling",
    }
}

const fn broken(service: Service) -> &'static str {
    match service {
        Service::DynamoDb => "InternalServerError",
        Service::CloudWatch => "InternalServiceFault",
        Service::Ecs => "ServerException",
        Service::Sqs | Service::ElbV2 => "InternalFailure",
    }
}

const fn message(fault: Fault) -> &'static str {
    match fault {
        Fault::Throttle => "Rate exceeded",
        Fault::AccessDenied => "User is not authorized to perform this action (injected)",
        Fault::Unavailable => "The service is unavailable (injected)",
        Fault::InternalError
        | Fault::Hang
        | Fault::Reset
        | Fault::LostReply
        | Fault::PartialFailure
        | Fault::Delay(_) => "The request processing has failed (injected)",
    }
}

fn fault_party(status: StatusCode) -> &'static str {
    if status.is_server_error() { "Receiver" } else { "Sender" }
}

fn json(
    status: StatusCode,
    version: &str,
    namespace: &str,
    code: &str,
    message: &str,
) -> Response<Bytes> {
    let body = serde_json::json!({ "__type": format!("{namespace}#{code}"), "message": message });
    respond(status, &format!("application/x-amz-json-{version}"), body.to_string().into())
}

fn cbor(status: StatusCode, code: &str, message: &str) -> Response<Bytes> {
    let mut body = Vec::new();
    let mut encoder = minicbor::Encoder::new(&mut body);
    let encoded = encoder.map(2).and_then(|encoder| {
        let kind = format!("com.amazonaws.cloudwatch#{code}");
        encoder.str("__type")?.str(&kind)?.str("message")?.str(message)
    });
    debug_assert!(encoded.is_ok(), "a vector takes everything");
    let mut response = respond(status, "application/cbor", body.into());
    response.headers_mut().insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
    response
}

fn xml(status: StatusCode, code: &str, message: &str) -> Response<Bytes> {
    let party = fault_party(status);
    let body = format!(
        "<ErrorResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><Error>\
         <Type>{party}</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
    );
    respond(status, "text/xml", body.into())
}

fn respond(status: StatusCode, content_type: &str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if let Ok(value) = HeaderValue::from_str(content_type) {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    response
}
