//! Weights travel between PyTorch and graven as files.

use std::process::Command;

use graven::prelude::*;
use safetensors::tensor::{Dtype as FileDtype, TensorView};

use crate::fixture::{Comparison, Fixture, Recorded, path};
use crate::tutorial::Tutorial;

/// `tutorial_state_dict.safetensors` is what `safetensors.torch.save_file(network.state_dict(), path)` wrote.
#[test]
fn a_file_that_pytorch_saved_is_loaded() {
    let fixture = Fixture::read("tutorial");
    let mut network = Tutorial::init(Seed(2), &graven_tests::cuda::device()).unwrap();
    network.load(path("tutorial_state_dict.safetensors")).unwrap();
    for name in fixture.names("param.") {
        assert_eq!(network.state().unwrap()[name], *fixture.floats(&format!("param.{name}")), "{name}");
    }
    let mut comparison = Comparison::new(&fixture);
    comparison.check(&network.output(&fixture).unwrap(), "output", "output_distance");
    comparison.finish(1);
}

/// Needs a Python with PyTorch, named by `GRAVEN_TORCH_PYTHON`: the README of the fixtures shows how.
#[test]
fn a_file_that_graven_saved_is_loaded_by_pytorch() {
    let Some(python) = std::env::var_os("GRAVEN_TORCH_PYTHON") else {
        println!("skipped: GRAVEN_TORCH_PYTHON does not name a Python with PyTorch");
        return;
    };
    let fixture = Fixture::read("tutorial");
    let mut network: Tutorial = fixture.network();
    let mut adam = Adam::new(0.01);
    (0..3).for_each(|_| drop(network.step(&fixture, &mut adam).unwrap()));

    let folder = tempfile::tempdir().unwrap();
    let [weights, output] = ["weights.safetensors", "output.safetensors"].map(|file| folder.path().join(file));
    network.save(&weights).unwrap();
    let bytes: Vec<u8> =
        network.output(&fixture).unwrap().as_slice().iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(FileDtype::F32, vec![20, 10], &bytes).unwrap();
    std::fs::write(&output, safetensors::serialize([("output", view)], None).unwrap()).unwrap();

    let mut check = Command::new(python);
    check.arg(path("check_load.py")).args([&weights, &output]).env("PYTHONDONTWRITEBYTECODE", "1");
    let check = check.output().unwrap();
    let text = String::from_utf8_lossy(&check.stdout) + String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success(), "{text}");
}
