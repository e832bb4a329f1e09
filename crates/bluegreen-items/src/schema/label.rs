//! How a schema version is stored.

use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen_core::{ContractVersion, ContractVersionError};

/// The attribute for a version: the number 2 for `2.0`, the string `2.1` for others.
///
/// Existing tables hold plain numbers, and code that reads them must go on reading them. A minor
/// version cannot be a number, because DynamoDB makes no difference between 1.1 and 1.10.
pub(crate) fn to_attribute(version: ContractVersion) -> AttributeValue {
    match version.minor() {
        0 => AttributeValue::N(version.major().to_string()),
        _ => AttributeValue::S(version.to_string()),
    }
}

/// The version that was stored, as a number or a string.
pub(crate) fn read(attribute: &AttributeValue) -> Result<ContractVersion, ContractVersionError> {
    match attribute {
        AttributeValue::N(text) | AttributeValue::S(text) => text.parse(),
        // Makes the error say what was found.
        other => format!("{other:?}").parse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_reads_back_and_the_articles_numbers_are_read() {
        for version in [(1, 0), (2, 0), (1, 10), (1, 1), (65_535, 65_535)] {
            let version = ContractVersion::new(version.0, version.1);
            assert_eq!(read(&to_attribute(version)), Ok(version));
        }
        assert_eq!(to_attribute(ContractVersion::new(2, 0)), AttributeValue::N("2".to_owned()));
        assert_eq!(read(&AttributeValue::N("2".to_owned())), Ok(ContractVersion::new(2, 0)));
        assert!(read(&AttributeValue::Bool(true)).is_err());
        assert!(read(&AttributeValue::N("-1".to_owned())).is_err());
    }
}
