//! Batch calls of which some entries fail, as AWS documents it and seldom does it.

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

use super::Sqs;
use super::protocol::write;

impl Sqs {
    /// Executes every second entry of a batch call and refuses the others, the first among them,
    /// as if SQS itself had failed. Another call is executed as it is.
    pub(crate) async fn handle_in_part(
        &self,
        operation: &str,
        access_key: &str,
        request: &Request<Bytes>,
    ) -> Response<Bytes> {
        let Some((kept, refused)) = part(request.body()) else {
            return self.handle(operation, access_key, request).await;
        };
        let mut answer = json!({ "Successful": [], "Failed": [] });
        if let Some(body) = kept {
            let mut part = Request::new(Bytes::from(body.to_string()));
            part.headers_mut().clone_from(request.headers());
            part.uri_mut().clone_from(request.uri());
            let response = self.handle(operation, access_key, &part).await;
            match serde_json::from_slice(response.body()) {
                Ok(answered) if response.status().is_success() => answer = answered,
                _ => return response,
            }
        }
        if let Some(failed) = answer.get_mut("Failed").and_then(Value::as_array_mut) {
            failed.extend(refused);
        }
        write(&answer).unwrap_or_else(super::SqsError::into_response)
    }
}

/// The body with the entries that are executed, if there are any, and the refusals of the others;
/// nothing when it has no entries at all.
fn part(body: &Bytes) -> Option<(Option<Value>, Vec<Value>)> {
    let mut body: Value = serde_json::from_slice(body).ok()?;
    let entries = std::mem::take(body.get_mut("Entries")?.as_array_mut()?);
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for (place, entry) in entries.into_iter().enumerate() {
        if place % 2 == 1 {
            kept.push(entry);
        } else {
            let id = entry.get("Id").cloned().unwrap_or_default();
            refused.push(json!({
                "Id": id, "SenderFault": false, "Code": "InternalFailure",
                "Message": "The entry could not be processed (injected)",
            }));
        }
    }
    if refused.is_empty() {
        return None;
    }
    let body = (!kept.is_empty()).then(|| {
        *body.get_mut("Entries").unwrap_or(&mut Value::Null) = kept.into();
        body
    });
    Some((body, refused))
}
