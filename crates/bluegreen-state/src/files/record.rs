use std::path::Path;
use std::{fs, io};

use bluegreen_core::{Deployment, Member, RecordError, ServiceKey, StoreError};

use super::{failure::failed, layout};

/// The deployment in a file; nothing where there is none.
pub(crate) fn deployment(path: &Path, key: &ServiceKey) -> Result<Option<Deployment>, StoreError> {
    let Some(bytes) = read(path)? else {
        return Ok(None);
    };
    text(bytes)
        .and_then(|text| Deployment::from_json(&text))
        .and_then(|record| match record.service() {
            found if found == key => Ok(record),
            found => Err(malformed(format!("it belongs to the service {found}"))),
        })
        .map(Some)
        .map_err(|source| unreadable(path, source))
}

/// The member in a file; nothing where there is none.
pub(crate) fn member(path: &Path) -> Result<Option<Member>, StoreError> {
    let Some(bytes) = read(path)? else {
        return Ok(None);
    };
    text(bytes)
        .and_then(|text| serde_json::from_str::<Member>(&text).map_err(malformed))
        .and_then(|member| match path.file_name() {
            Some(name) if name == layout::member(&member.instance).as_str() => Ok(member),
            _ => Err(malformed(format!("it belongs to the instance {:?}", member.instance))),
        })
        .map(Some)
        .map_err(|source| unreadable(path, source))
}

/// A member as it is written down.
#[expect(clippy::expect_used, reason = "all keys are strings, so writing cannot fail")]
pub(crate) fn member_text(member: &Member) -> String {
    serde_json::to_string(member).expect("a record of plain fields is always writable")
}

/// An error for text that is no record.
pub(crate) fn malformed(
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> RecordError {
    RecordError::Malformed { source: source.into() }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("read", path, source)),
    }
}

fn text(bytes: Vec<u8>) -> Result<String, RecordError> {
    String::from_utf8(bytes).map_err(malformed)
}

fn unreadable(path: &Path, source: RecordError) -> StoreError {
    StoreError::Unreadable { place: path.display().to_string(), source }
}
