//! What the user sees: one mistake per file in `errors/`, and beside it every word that rustc prints.
//!
//! Bless with `TRYBUILD=overwrite cargo test -p graven-tests --test errors`, then read the difference. The files hold what one
//! version of rustc prints; `GRAVEN_ERRORS_ANY_TOOLCHAIN=1` compares with whatever version runs the test:
//!
//! ```sh
//! GRAVEN_ERRORS_ANY_TOOLCHAIN=1 CARGO_TARGET_DIR=target/nightly cargo +nightly test -p graven-tests --test errors
//! ```
//!
//! graven's own messages are the same on nightly 1.97 (2026-05-19), letter for letter. What differs there is rustc's, in seven
//! files, behind the first error of mistakes that rustc sees before a macro runs: "no associated function or constant named
//! `init`" for "no function or associated item named `init`" (E0599), or no such error where modules contain each other; and
//! no E0391 after the recursion limit where a module contains itself.

use std::process::Command;

/// The version whose messages the files hold; others word or place their part differently.
const RUSTC: &str = "rustc 1.95.";

#[test]
fn every_mistake_has_one_message() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let version = String::from_utf8_lossy(&version);
    let any = std::env::var_os("GRAVEN_ERRORS_ANY_TOOLCHAIN").is_some();
    if !any && !version.starts_with(RUSTC) {
        println!("skipped: the messages are those of {RUSTC}*, this is {}", version.trim());
        return;
    }
    trybuild::TestCases::new().compile_fail("errors/*.rs");
}
