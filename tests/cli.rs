//! The main job as a user runs it: what it prints, what it writes, how it fails.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use graven::data::ImageDataset;
use graven::prelude::*;

/// The example `fashion_mnist`, built as this test was: cargo knows the path of programs of this package only.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // target/PROFILE/deps/cli-HASH
        let test = std::env::current_exe().unwrap();
        let target = test.ancestors().nth(3).unwrap();
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        let output = Command::new(env!("CARGO"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["build", "--package", "graven-examples", "--example", "fashion_mnist"])
            .args(["--profile", profile, "--message-format", "json"])
            .arg("--target-dir")
            .arg(target)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "the example does not build");
        let messages = String::from_utf8(output.stdout).unwrap();
        let messages = messages.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut programs = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
        programs.next().expect("cargo names what it built")
    })
}

/// Runs the program in this folder.
fn run(folder: &Path, arguments: &[impl AsRef<OsStr>]) -> Output {
    Command::new(program()).args(arguments).current_dir(folder).output().unwrap()
}

/// What the program prints, which must not fail.
fn prints(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What the program says when it fails, without having trained or written anything.
fn fails(folder: &Path, arguments: &[&str]) -> String {
    let files = || fs::read_dir(folder).unwrap().count();
    let n_files = files();
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("epoch"), "{arguments:?}");
    assert_eq!(files(), n_files, "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The number in the last line, `test accuracy 0.NNNN`.
fn accuracy(printed: &str) -> f64 {
    let last = printed.lines().last().unwrap();
    let number = last.strip_prefix("test accuracy ").unwrap_or_else(|| panic!("the last line is `{last}`"));
    assert_eq!(number.len(), "0.1234".len(), "{last}");
    number.parse().unwrap()
}

/// A folder with the files of a data set as small as that, in a subfolder `data`.
fn folder_with_data(n_train: usize, n_test: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let write = |part: &str, dataset: &ImageDataset| {
        let file = |name: &str| folder.path().join("data").join(format!("{part}-{name}-ubyte"));
        let pixels: Vec<u8> = dataset.images().as_slice().iter().map(|pixel| (pixel * 255.0).round() as u8).collect();
        let labels: Vec<u8> = dataset.labels().as_slice().iter().map(|&label| label as u8).collect();
        fs::write(file("images-idx3"), idx(&[dataset.len(), 28, 28], &pixels)).unwrap();
        fs::write(file("labels-idx1"), idx(&[dataset.len()], &labels)).unwrap();
    };
    write("train", &Silhouettes::train(n_train, Seed(0)).unwrap());
    write("t10k", &Silhouettes::test(n_test, Seed(0)).unwrap());
    folder
}

/// The bytes of an IDX file.
fn idx(dims: &[usize], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|&dim| bytes.extend((dim as u32).to_be_bytes()));
    bytes.extend(values);
    bytes
}

#[test]
fn a_folder_without_data_is_an_error_and_not_the_synthetic_set() {
    let folder = tempfile::tempdir().unwrap();
    for data in ["no-such-folder", "."] {
        let message = fails(folder.path(), &["--data", data]);
        assert!(message.starts_with(&format!("error: {data}: no `train-images-idx3-ubyte`")), "{message}");
        assert!(message.contains("looked for") && message.contains("\nhelp: "), "{message}");
    }
}

#[test]
fn a_damaged_file_is_named() {
    let folder = folder_with_data(20, 10);
    let file = folder.path().join("data/train-images-idx3-ubyte");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let message = fails(folder.path(), &["--data", "data"]);
    assert!(message.starts_with("error: data/train-images-idx3-ubyte: "), "{message}");
}

#[test]
fn without_data_it_says_that_it_draws_some_and_learns_it() {
    let folder = tempfile::tempdir().unwrap();
    let printed = prints(folder.path(), &["--epochs", "1"]);
    assert!(printed.starts_with("no files of Fashion-MNIST in data/"), "{printed}");
    assert!(printed.contains("SYNTHETIC"), "{printed}");
    assert!(accuracy(&printed) > 0.7, "{printed}");
    for file in ["network.safetensors", "network.checkpoint.safetensors"] {
        assert!(folder.path().join(file).is_file(), "{file}");
    }
}

#[test]
fn a_resumed_training_equals_an_uninterrupted_one_bit_for_bit() {
    let folder = folder_with_data(330, 100);
    let settings = ["--batch-size", "40", "--lr", "0.005", "--seed", "3"];
    let train = |name: &str, epochs: &str, more: &[&str]| {
        let save = format!("{name}.safetensors");
        prints(folder.path(), &[&["--epochs", epochs, "--save", &save], more].concat())
    };
    let whole = train("whole", "3", &[&settings[..], &["--threads", "2"]].concat());
    train("parts", "1", &settings);
    // The settings come from the checkpoint, and the number of threads does not matter.
    let rest = train("parts", "3", &["--load", "parts.checkpoint.safetensors", "--threads", "1"]);
    for kind in ["safetensors", "checkpoint.safetensors"] {
        let [whole, parts] =
            ["whole", "parts"].map(|name| fs::read(folder.path().join(format!("{name}.{kind}"))).unwrap());
        assert!(whole == parts, "the files *.{kind} differ");
    }
    let epochs = |printed: &str| -> Vec<String> {
        let lines = printed.lines().filter(|line| line.starts_with("epoch "));
        // All but the speed, which stands last.
        lines.map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect()
    };
    assert_eq!(epochs(&whole).len(), 3);
    assert_eq!(epochs(&whole)[1..], epochs(&rest));

    let evaluated = prints(folder.path(), &["--load", "whole.safetensors", "--evaluate"]);
    assert_eq!(accuracy(&evaluated), accuracy(&whole));

    let other = folder_with_data(50, 20);
    fs::copy(folder.path().join("parts.checkpoint.safetensors"), other.path().join("c.safetensors")).unwrap();
    let message = fails(other.path(), &["--load", "c.safetensors"]);
    assert!(message.contains("c.safetensors was trained on Fashion-MNIST, 330 images"), "{message}");
}

#[test]
fn files_that_are_no_weights_or_cannot_be_written_are_named() {
    let folder = folder_with_data(20, 10);
    fs::write(folder.path().join("cut.safetensors"), [7; 100]).unwrap();
    for (arguments, expected) in [
        (&["--load", "cut.safetensors"][..], "error: cut.safetensors: "),
        (&["--load", "none.safetensors"], "error: cannot read none.safetensors: "),
        (&["--save", "none/n.safetensors"], "error: cannot save to none/n.safetensors: there is no folder none"),
        (
            &["--batch-size", "0"],
            "error: invalid value '0' for '--batch-size <N>': expected a whole number of at least 1",
        ),
        (&["--epochs", "0"], "error: invalid value '0' for '--epochs <N>': expected a whole number of at least 1"),
    ] {
        let message = fails(folder.path(), arguments);
        assert!(message.starts_with(expected), "{message}");
    }
}
