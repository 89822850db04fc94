//! What the user sees: one mistake per file in `errors/`, and beside it every word that rustc prints.
//!
//! Bless with `TRYBUILD=overwrite cargo test -p graven-tests --test errors`, then read the diff.

use std::process::Command;

/// The version whose messages the files hold; others word or place their part differently.
const RUSTC: &str = "rustc 1.95.";

#[test]
fn every_mistake_has_one_message() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let version = String::from_utf8_lossy(&version);
    if !version.starts_with(RUSTC) {
        println!("skipped: the messages are those of {RUSTC}*, this is {}", version.trim());
        return;
    }
    trybuild::TestCases::new().compile_fail("errors/*.rs");
}
