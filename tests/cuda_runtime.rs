//! The run time on a device: the stand-ins of driver and NVRTC run its real code, launches, copies, graphs and all.
//!
//! The network is the hand-written one of `runtime/src/testing.rs`; that the compiler's kernels are right is tested elsewhere.

#![allow(missing_docs)]

use graven_tests::cuda::{emulated, emulated_with};

#[path = "../runtime/src/testing.rs"]
#[allow(unreachable_pub, dead_code)]
mod testing;

#[path = "cuda_runtime/calls.rs"]
mod calls;
mod counting;
#[path = "cuda_runtime/faults.rs"]
mod faults;
#[path = "cuda_runtime/moves.rs"]
mod moves;

use graven::{Device, Model, Seed, Tensor};
use testing::Line;

fn line(device: &Device) -> Line {
    Line::init(Seed(3), device).unwrap()
}

fn gpu() -> Device {
    Device::cuda(0).unwrap()
}

/// All parameters.
fn parameters(line: &Line) -> Vec<f32> {
    line.state().unwrap().values().flat_map(|tensor| tensor.to_vec().unwrap()).collect()
}

/// Within the rounding of sums over a batch, in another order.
#[track_caller]
fn assert_close(given: &[f32], expected: &[f32]) {
    assert_eq!(given.len(), expected.len());
    for (given, expected) in given.iter().zip(expected) {
        assert!((given - expected).abs() <= 1e-5 * expected.abs().max(1e-2), "{given} and {expected}");
    }
}

fn vec(tensor: &Tensor) -> Vec<f32> {
    tensor.to_vec().unwrap()
}
