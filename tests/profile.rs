//! The feature `profile`. Emitted code differs with it, so its tests run in a build of their own.

use std::process::Command;

#[test]
fn every_kernel_is_timed() {
    // target/PROFILE/deps/profile-HASH
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    for (kind, passed) in [("--lib", "test result: ok. 2 passed"), ("--doc", "test result: ok. 1 passed")] {
        let output = Command::new(env!("CARGO"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["test", "--package", "graven", "--no-default-features", "--features", "profile", "--target-dir"])
            .arg(target)
            .args([kind, "profile"])
            .output()
            .expect("cargo can be run");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains(passed), "{text}");
    }
}
