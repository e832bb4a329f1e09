//! What all batch operations share.

use std::collections::HashSet;

use super::errors::{Kind, Result, SqsError};
use super::protocol::{BatchResult, FailedEntry};

const MAX_ENTRIES: usize = 10;

/// Refuses a batch as a whole: none or more than ten entries, ids out of form or given twice.
pub(super) fn check<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Result<()> {
    let entries = ids.len();
    if entries == 0 {
        let message = "There should be at least one entry in the request.";
        return Err(SqsError::new(Kind::EmptyBatchRequest, message));
    }
    if entries > MAX_ENTRIES {
        let message =
            format!("Maximum number of entries per request are 10. You have sent {entries}.");
        return Err(SqsError::new(Kind::TooManyEntriesInBatchRequest, message));
    }
    let mut seen = HashSet::with_capacity(entries);
    for id in ids {
        if !is_id(id) {
            let message = "A batch entry id can only contain alphanumeric characters, hyphens and \
                           underscores. It can be at most 80 letters long.";
            return Err(SqsError::new(Kind::InvalidBatchEntryId, message));
        }
        if !seen.insert(id) {
            return Err(SqsError::new(
                Kind::BatchEntryIdsNotDistinct,
                format!("Id {id} repeated."),
            ));
        }
    }
    Ok(())
}

fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=80).contains(&id.len()) && id.bytes().all(allowed)
}

/// Sorts the outcomes of the entries into those that went well and those that did not.
pub(super) fn collect<T>(outcomes: impl Iterator<Item = (String, Result<T>)>) -> BatchResult<T> {
    let mut result = BatchResult { successful: Vec::new(), failed: Vec::new() };
    for (id, outcome) in outcomes {
        match outcome {
            Ok(done) => result.successful.push(done),
            Err(error) => result.failed.push(FailedEntry {
                id,
                sender_fault: error.kind != Kind::InternalFailure,
                code: error.code(),
                message: error.message,
            }),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_refused_as_a_whole_by_its_ids() {
        let long = "a".repeat(81);
        let eleven: Vec<String> = (0..11).map(|n| n.to_string()).collect();
        let cases = [
            (vec!["1", "2-b_C"], Ok(())),
            (vec![], Err(Kind::EmptyBatchRequest)),
            (eleven.iter().map(String::as_str).collect(), Err(Kind::TooManyEntriesInBatchRequest)),
            (vec!["1", "1"], Err(Kind::BatchEntryIdsNotDistinct)),
            (vec![""], Err(Kind::InvalidBatchEntryId)),
            (vec!["a b"], Err(Kind::InvalidBatchEntryId)),
            (vec![long.as_str()], Err(Kind::InvalidBatchEntryId)),
        ];
        for (ids, expected) in cases {
            let found = check(ids.iter().copied()).map_err(|error| error.kind);
            assert_eq!(found, expected, "{ids:?}");
        }
    }
}
