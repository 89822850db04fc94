//! Two crates outside of the workspace, as users write them: one publishes modules (private fields, a private nested module,
//! two modules of one name, graven under another name), the other builds a network of them, trains it, and holds its own
//! code and all emitted code to strict lints.

use std::path::Path;
use std::process::Command;

fn cargo(arguments: &[&str]) -> (bool, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root.join("outside/app"))
        // Beside the target directory of the workspace, so that a second run is fast.
        .env("CARGO_TARGET_DIR", root.join("../target/outside"))
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

#[test]
fn crates_outside_of_the_workspace_compile_and_train() {
    let (success, text) = cargo(&["run", "--quiet"]);
    assert!(success, "{text}");
    assert!(text.contains("(narrow): Conv2d(4, 4, kernel_size=(1, 1), stride=(1, 1))"), "{text}");
    let losses: Vec<f32> = text.lines().filter_map(|line| line.strip_prefix("loss ")?.parse().ok()).collect();
    assert!(losses.len() == 2 && losses[1] < 0.1 * losses[0], "the loss falls: {losses:?}\n{text}");
    assert!(text.contains("inner [5, 3]"), "{text}");
    assert!(text.contains("energy 7 [1.0, 2.0, 3.0]"), "{text}");
}

#[test]
fn emitted_code_passes_clippy_with_everything_denied() {
    let (success, text) = cargo(&["clippy", "--quiet"]);
    assert!(success, "{text}");
}
