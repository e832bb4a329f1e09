//! Which service and operation a request is for.

use std::fmt;

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};

/// An AWS service that the world stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Service {
    /// Amazon SQS, over its JSON 1.0 protocol.
    Sqs,
    /// Amazon DynamoDB.
    DynamoDb,
    /// Amazon CloudWatch, over RPCv2 CBOR.
    CloudWatch,
    /// Elastic Load Balancing, version 2, over the query protocol.
    ElbV2,
    /// Amazon ECS.
    Ecs,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sqs => "SQS",
            Self::DynamoDb => "DynamoDB",
            Self::CloudWatch => "CloudWatch",
            Self::ElbV2 => "ELBv2",
            Self::Ecs => "ECS",
        })
    }
}

/// One call: the service, its operation and who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) service: Service,
    pub(crate) operation: String,
    /// The access key of the signature; empty for an unsigned request.
    pub(crate) access_key: String,
}

impl Call {
    /// Reads the call off a request; `None` when it is for no service of this world.
    pub(crate) fn of(request: &Request<Bytes>) -> Option<Self> {
        let (service, operation) = target(request)
            .or_else(|| cbor_operation(request))
            .or_else(|| query_operation(request))?;
        Some(Self { service, operation, access_key: access_key(request).to_owned() })
    }
}

const TARGETS: [(&str, Service); 3] = [
    ("AmazonSQS.", Service::Sqs),
    ("DynamoDB_20120810.", Service::DynamoDb),
    ("AmazonEC2ContainerServiceV20141113.", Service::Ecs),
];

fn target(request: &Request<Bytes>) -> Option<(Service, String)> {
    let target = request.headers().get("x-amz-target")?.to_str().ok()?;
    TARGETS.iter().find_map(|(prefix, service)| {
        let operation = target.strip_prefix(prefix)?;
        Some((*service, operation.to_owned()))
    })
}

const CLOUDWATCH_PATH: &str = "/service/GraniteServiceVersion20100801/operation/";

fn cbor_operation(request: &Request<Bytes>) -> Option<(Service, String)> {
    let operation = request.uri().path().strip_prefix(CLOUDWATCH_PATH)?;
    Some((Service::CloudWatch, operation.to_owned()))
}

const ELBV2_VERSION: &str = "2015-12-01";

fn query_operation(request: &Request<Bytes>) -> Option<(Service, String)> {
    let content_type = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    if !content_type.starts_with("application/x-www-form-urlencoded") {
        return None;
    }
    let field = |name: &str| {
        url::form_urlencoded::parse(request.body())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    (field("Version")? == ELBV2_VERSION).then_some(())?;
    Some((Service::ElbV2, field("Action")?))
}

/// The access key in `Authorization: AWS4-HMAC-SHA256 Credential=KEY/date/region/service/…`.
fn access_key(request: &Request<Bytes>) -> &str {
    request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once("Credential="))
        .and_then(|(_, rest)| rest.split_once('/'))
        .map_or("", |(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, headers: &[(&str, &str)], body: &'static str) -> Request<Bytes> {
        let mut request = Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Bytes::from_static(body.as_bytes())).unwrap()
    }

    #[test]
    fn each_protocol_names_its_service_and_operation() {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let cases = [
            (
                request("/", &[("x-amz-target", "AmazonSQS.SendMessage")], "{}"),
                Some((Service::Sqs, "SendMessage")),
            ),
            (
                request("/", &[("x-amz-target", "DynamoDB_20120810.PutItem")], "{}"),
                Some((Service::DynamoDb, "PutItem")),
            ),
            (
                request("/service/GraniteServiceVersion20100801/operation/PutMetricData", &[], ""),
                Some((Service::CloudWatch, "PutMetricData")),
            ),
            (
                request("/", &[form], "Action=DescribeRules&Version=2015-12-01"),
                Some((Service::ElbV2, "DescribeRules")),
            ),
            (request("/", &[form], "Action=DescribeRules&Version=2012-06-01"), None),
            (request("/", &[("x-amz-target", "Kinesis_20131202.PutRecord")], "{}"), None),
            (request("/", &[], ""), None),
        ];
        for (request, expected) in cases {
            let found = Call::of(&request).map(|call| (call.service, call.operation));
            assert_eq!(found, expected.map(|(s, o)| (s, o.to_owned())), "{request:?}");
        }
    }

    #[test]
    fn the_caller_is_the_access_key_of_the_signature() {
        let signed =
            "AWS4-HMAC-SHA256 Credential=blue/20261122/us-east-1/sqs/aws4_request, Signature=1";
        let target = ("x-amz-target", "AmazonSQS.SendMessage");
        let call = Call::of(&request("/", &[target, ("authorization", signed)], "{}")).unwrap();
        assert_eq!(call.access_key, "blue");
        let call = Call::of(&request("/", &[target], "{}")).unwrap();
        assert_eq!(call.access_key, "");
    }
}
