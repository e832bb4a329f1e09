//! RPC v2 CBOR over HTTP: requests in, plain or gzip; answers and errors out.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{HeaderValue, Request, Response, StatusCode};

use super::cbor::Value;
use super::fault::Fault;

/// CloudWatch's limit of one request, measured here after decompression, which is the stricter
/// reading of "1 MB, which may be compressed".
const BODY_LIMIT: usize = 1_048_576;

/// The input of a request; an empty body is an empty input.
pub(crate) fn input(request: &Request<Bytes>) -> Result<Value, Fault> {
    let body = body(request)?;
    if body.is_empty() {
        return Ok(Value::Map(Vec::new()));
    }
    Value::decode(&body).map_err(|error| Fault::unreadable(format!("not CBOR: {error}")))
}

fn body(request: &Request<Bytes>) -> Result<Bytes, Fault> {
    let encoding = request.headers().get(http::header::CONTENT_ENCODING);
    let body = match encoding.map(HeaderValue::as_bytes) {
        None | Some(b"identity") => request.body().clone(),
        Some(b"gzip") => inflate(request.body())?,
        Some(_) => {
            return Err(Fault::unreadable("content-encoding is neither gzip nor identity"));
        }
    };
    if body.len() > BODY_LIMIT { Err(Fault::too_large(BODY_LIMIT)) } else { Ok(body) }
}

// One byte past the limit is enough to know: what a small body could blow up to is not read.
fn inflate(body: &Bytes) -> Result<Bytes, Fault> {
    let limit = u64::try_from(BODY_LIMIT).unwrap_or(u64::MAX);
    let mut plain = Vec::new();
    match MultiGzDecoder::new(body.as_ref()).take(limit + 1).read_to_end(&mut plain) {
        Ok(_) => Ok(plain.into()),
        Err(error) => Err(Fault::unreadable(format!("not gzip: {error}"))),
    }
}

/// The response to a request: its output, or why it was refused.
pub(crate) fn response(outcome: &Result<Value, Fault>) -> Response<Bytes> {
    match outcome {
        Ok(output) => message(StatusCode::OK, output),
        Err(fault) => refusal(fault),
    }
}

fn refusal(fault: &Fault) -> Response<Bytes> {
    let mut body = vec![
        ("__type".to_owned(), Value::Text(format!("com.amazonaws.cloudwatch#{}", fault.shape))),
        ("message".to_owned(), Value::text(&fault.message)),
    ];
    if !fault.validation.is_empty() {
        let one = |(path, message): &(String, String)| {
            Value::map([("DataPath", Value::text(path)), ("Message", Value::text(message))])
        };
        let all = fault.validation.iter().map(one).collect();
        body.push(("dashboardValidationMessages".to_owned(), Value::List(all)));
    }
    let mut response = message(fault.status, &Value::Map(body));
    if let Ok(code) = HeaderValue::try_from(format!("{};Sender", fault.code)) {
        response.headers_mut().insert("x-amzn-query-error", code);
    }
    response
}

fn message(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(body.encode().into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/cbor"));
    headers.insert("x-amzn-requestid", HeaderValue::from_static("bluegreen-local"));
    response
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzipped(plain: &[u8]) -> Request<Bytes> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        let body = encoder.finish().unwrap();
        Request::builder().header("content-encoding", "gzip").body(body.into()).unwrap()
    }

    #[test]
    fn a_gzip_body_reads_as_the_plain_one() {
        let value = Value::map([("Namespace", Value::text("Orders"))]);
        assert_eq!(input(&gzipped(&value.encode())).unwrap(), value);
    }

    #[test]
    fn a_small_body_that_blows_up_is_refused() {
        let fault = input(&gzipped(&vec![0; 50_000_000])).unwrap_err();
        assert_eq!(fault.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn broken_gzip_and_unknown_encodings_are_refused() {
        let broken = Request::builder().header("content-encoding", "gzip");
        assert!(input(&broken.body("no gzip".into()).unwrap()).is_err());
        let unknown = Request::builder().header("content-encoding", "br");
        assert!(input(&unknown.body(Bytes::new()).unwrap()).is_err());
    }
}
