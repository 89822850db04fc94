//! The same networks, batches and optimizers as in PyTorch: output, loss, every gradient, and the parameters after five
//! steps. `fixtures/README.md` says what was recorded, and how far rounding alone carries a result.

#![allow(missing_docs, reason = "the networks of tests")]

#[path = "pytorch/fixture.rs"]
mod fixture;

#[path = "pytorch/blocks.rs"]
mod blocks;
#[path = "pytorch/functions.rs"]
mod functions;
#[path = "pytorch/layers.rs"]
mod layers;
#[path = "pytorch/optimizers.rs"]
mod optimizers;
#[path = "pytorch/residual.rs"]
mod residual;
#[path = "pytorch/state_dict.rs"]
mod state_dict;
#[path = "pytorch/tutorial.rs"]
mod tutorial;

use std::process::Command;

use graven_kernels::cpu::Isa;

/// The set is chosen once in a process, so each of the others gets a process of its own.
#[test]
fn every_instruction_set_of_this_processor_computes_the_same() {
    for isa in Isa::available().filter(|isa| *isa != Isa::detect()) {
        let tests = std::env::current_exe().unwrap();
        let output = Command::new(tests)
            .args(["--skip", "every_instruction_set", "--skip", "a_cuda_device"])
            .env("GRAVEN_ISA", isa.name())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "with {}:\n{text}", isa.name());
        assert!(text.contains("the_set_asked_for_is_used ... ok"), "{text}");
    }
}

/// On the stand-ins of driver and NVRTC, in a process of its own.
#[test]
fn a_cuda_device_computes_the_same() {
    if std::env::var_os("GRAVEN_TEST_DEVICE").is_some() {
        return;
    }
    let mut command = match graven_tests::cuda::emulated_command() {
        Ok(command) => command,
        Err(reason) => return graven_tests::cuda::skip(&reason),
    };
    let output = command
        .args(["--skip", "every_instruction_set", "--skip", "a_cuda_device"])
        .env("GRAVEN_TEST_DEVICE", "cuda")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("0 failed"), "{text}");
}

#[test]
fn the_set_asked_for_is_used() {
    if let Ok(name) = std::env::var("GRAVEN_ISA") {
        assert_eq!(Isa::detect().name(), name);
    }
}
