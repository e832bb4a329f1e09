//! What the service says when it is not told enough.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::process::Command;

fn refused(variables: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_orders"))
        .env_clear()
        .env("RUST_LOG", "error")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_missing_variable_is_named() {
    assert!(refused(&[]).contains("DD_TABLE_NAME is not set"));
    assert!(refused(&[("DD_TABLE_NAME", "orders")]).contains("DB_CONNECTION is not set"));
}

#[test]
fn a_misspelled_color_is_refused_with_what_is_allowed() {
    let said = refused(&[
        ("DD_TABLE_NAME", "orders"),
        ("DB_CONNECTION", "postgresql://localhost/orders"),
        ("SERVICE_NAME", "orders"),
        ("ENVIRONMENT_COLOR", "Green"),
    ]);
    assert!(said.contains("ENVIRONMENT_COLOR is wrong"), "{said}");
    assert!(
        said.contains(r#"\"blue\" and \"green\""#) || said.contains(r#""blue" and "green""#),
        "{said}"
    );
}
