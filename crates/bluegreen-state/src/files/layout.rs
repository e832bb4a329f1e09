//! Where the records are:
//!
//! ```text
//! <root>/<stage>/<service>/deployment.json
//! <root>/<stage>/<service>/members/<instance>.json
//! ```

use std::path::{Path, PathBuf};

use bluegreen_core::ServiceKey;

/// The folder of services without a stage. No stage has a dot in its name.
const NO_STAGE: &str = "no.stage";

/// The deployment's record in its service's folder.
pub(crate) const DEPLOYMENT: &str = "deployment.json";

/// Longer names are cut and told apart by a hash; file systems take 255 bytes.
const LONGEST: usize = 180;

/// The folder of a service.
pub(crate) fn service(root: &Path, key: &ServiceKey) -> PathBuf {
    root.join(key.stage().unwrap_or(NO_STAGE)).join(key.service())
}

/// The folder of a service's members.
pub(crate) fn members(root: &Path, key: &ServiceKey) -> PathBuf {
    service(root, key).join("members")
}

/// The name of an instance's record. An instance is any text, so what could leave the folder, hide
/// the file, or fall together where upper and lower case are one, is written as `%` and two digits.
pub(crate) fn member(instance: &str) -> String {
    let mut name = String::with_capacity(instance.len() + 5);
    for (at, byte) in instance.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            b'.' if at > 0 => name.push('.'),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.is_empty() {
        name.push('%');
    }
    if name.len() > LONGEST {
        name.truncate(LONGEST - 34);
        // No short name holds two signs in a row.
        name.push_str(&format!("%%{:032x}", fnv_1a(instance.as_bytes())));
    }
    name.push_str(".json");
    name
}

/// The 128-bit hash of Fowler, Noll and Vo: stable for good, and enough against chance.
fn fnv_1a(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_ordinary_instance_is_readable_in_its_file_name() {
        assert_eq!(member("ip-10-0-0-1.ec2.internal-7"), "ip-10-0-0-1.ec2.internal-7.json");
        assert_eq!(member("../../etc/passwd"), "%2e.%2f..%2fetc%2fpasswd.json");
        assert_eq!(member(""), "%.json");
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv_1a(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv_1a(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }

    #[test]
    fn a_service_without_stage_shares_no_folder_with_any_stage() {
        let orders = ServiceKey::new("orders").unwrap();
        let root = Path::new("/r");
        assert_eq!(service(root, &orders), Path::new("/r/no.stage/orders"));
        assert!(orders.clone().with_stage(NO_STAGE).is_err());
        let staging = orders.with_stage("staging").unwrap();
        assert_eq!(members(root, &staging), Path::new("/r/staging/orders/members"));
    }

    proptest! {
        #[test]
        fn any_instance_stays_in_the_folder_and_no_two_share_a_file(
            one in ".{0,300}", other in ".{0,300}"
        ) {
            let name = member(&one);
            prop_assert!(name.len() <= LONGEST + 5 && !name.starts_with('.'));
            prop_assert!(name.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b'\\'));
            prop_assert!(!name.bytes().any(|b| b.is_ascii_uppercase()));
            prop_assert_eq!(name == member(&other), one == other);
        }

        #[test]
        fn long_instances_that_differ_at_the_end_differ(tail: u64, other: u64) {
            let long = "x".repeat(400);
            let (one, two) = (format!("{long}{tail}"), format!("{long}{other}"));
            prop_assert_eq!(member(&one) == member(&two), tail == other);
        }
    }
}
