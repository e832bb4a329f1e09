use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Which store a program is told to use, as written on a command line or in the environment.
///
/// | text | store |
/// |---|---|
/// | `memory:` | the process's own memory |
/// | `file:/var/lib/bluegreen` | the files below a folder; a relative path works too |
/// | `dynamodb:bluegreen` | a DynamoDB table, by name or ARN |
///
/// ```
/// # use bluegreen_state::StoreAddress;
/// let address: StoreAddress = "dynamodb:bluegreen".parse()?;
/// assert_eq!(address, StoreAddress::Dynamo("bluegreen".to_owned()));
/// # Ok::<(), bluegreen_state::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreAddress {
    /// The process's own memory.
    Memory,
    /// The files below this folder.
    Files(PathBuf),
    /// The DynamoDB table of this name or ARN.
    Dynamo(String),
}

impl FromStr for StoreAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = |reason| AddressError { found: text.to_owned(), reason };
        let (kind, rest) = text.split_once(':').ok_or_else(|| wrong(ALLOWED))?;
        match kind {
            "memory" if rest.is_empty() => Ok(Self::Memory),
            "memory" => Err(wrong("nothing follows memory:")),
            "file" => {
                // Both spellings of a URL without a host: file:/path and file:///path.
                let path = match rest.strip_prefix("//") {
                    Some(path) if path.starts_with('/') => path,
                    Some(_) => return Err(wrong("a file has no host: write file:/path")),
                    None => rest,
                };
                if path.is_empty() {
                    Err(wrong("the path is missing"))
                } else {
                    Ok(Self::Files(path.into()))
                }
            }
            "dynamodb" if is_table(rest) => Ok(Self::Dynamo(rest.to_owned())),
            "dynamodb" => Err(wrong("a table's name is 3 to 255 characters of a-z A-Z 0-9 - _ .")),
            _ => Err(wrong(ALLOWED)),
        }
    }
}

const ALLOWED: &str = "allowed are memory:, file:PATH and dynamodb:TABLE";

/// DynamoDB's own rule for names; an ARN is left to AWS to judge.
fn is_table(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (3..=255).contains(&name.len()) && name.bytes().all(allowed) || name.starts_with("arn:")
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Files(path) => write!(f, "file:{}", path.display()),
            Self::Dynamo(table) => write!(f, "dynamodb:{table}"),
        }
    }
}

/// The text names no store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} names no store: {reason}")]
pub struct AddressError {
    found: String,
    reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_as_it_is_written() {
        let arn = "arn:aws:dynamodb:eu-west-1:000000000000:table/bluegreen";
        for (text, address) in [
            ("memory:", StoreAddress::Memory),
            ("file:/a/b", StoreAddress::Files("/a/b".into())),
            ("file:a", StoreAddress::Files("a".into())),
            ("dynamodb:blue.green", StoreAddress::Dynamo("blue.green".to_owned())),
            (&format!("dynamodb:{arn}"), StoreAddress::Dynamo(arn.to_owned())),
        ] {
            assert_eq!(text.parse().as_ref(), Ok(&address), "{text}");
            assert_eq!(address.to_string(), text);
        }
        assert_eq!("file:///a".parse(), Ok(StoreAddress::Files("/a".into())));
    }

    #[test]
    fn what_names_no_store_says_what_was_found_and_what_is_allowed() {
        for wrong in [
            "",
            "memory",
            "memory:x",
            "file:",
            "file://host/a",
            "dynamodb:",
            "dynamodb:a b",
            "s3:x",
        ] {
            let error = wrong.parse::<StoreAddress>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{wrong:?} names no store: ")), "{error}");
        }
    }
}
