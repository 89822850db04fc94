//! Kernels through the real NVRTC, for an old and a new architecture, without a GPU.

use graven_kernels::cpu::optimizer;
use graven_kernels::cuda::{PRELUDE, WIDE_INDEX};
use graven_tests::cuda::{compile_real, real_nvrtc};

#[path = "cuda/kernels.rs"]
mod kernels;

const ARCHITECTURES: [&str; 2] = ["sm_80", "sm_90a"];
const KERNELS: [(&str, &str); 6] = [
    ("pointwise", kernels::POINTWISE),
    ("row_sum", kernels::ROW_SUM),
    ("transpose", kernels::TRANSPOSE),
    ("ballot", kernels::BALLOT),
    ("sgd_step", optimizer::SGD_CUDA),
    ("adam_step", optimizer::ADAM_CUDA),
];

#[test]
fn kernels_compile_without_spills() {
    let Some(nvrtc) = real_nvrtc() else { return };
    for architecture in ARCHITECTURES {
        for (name, text) in KERNELS {
            let report = compile_real(nvrtc, &[kernels::PRELUDE, text].concat(), name, architecture);
            let report = report.unwrap_or_else(|log| panic!("{name} for {architecture}:\n{log}"));
            assert!((1..=255).contains(&report.registers), "{name} for {architecture}: {report:?}");
            assert_eq!((report.spills, report.stack), (0, 0), "{name} for {architecture}: {report:?}");
        }
        let report = compile_real(nvrtc, &[kernels::PRELUDE, kernels::TRANSPOSE].concat(), "transpose", architecture);
        assert_eq!(report.unwrap().shared, 16 * 17 * 4, "{architecture}");
    }
}

#[test]
fn spills_and_stack_are_seen() {
    let Some(nvrtc) = real_nvrtc() else { return };
    // An array that is indexed at run time lies in memory; 300 values that are all alive do not fit into 255 registers.
    let stack = r#"
extern "C" __global__ void stack(const int* order, float* output) {
    float values[64];
    for (int i = 0; i < 64; i++) values[order[i] & 63] = output[i];
    for (int i = 0; i < 64; i++) output[i] = values[order[i + 64] & 63];
}"#;
    let report = compile_real(nvrtc, stack, "stack", "sm_80").unwrap();
    assert!(report.stack >= 256, "{report:?}");

    let spills = r#"
extern "C" __global__ void __launch_bounds__(1024) spills(const float* input, float* output) {
    float values[300];
    #pragma unroll
    for (int i = 0; i < 300; i++) values[i] = input[i * 1024 + threadIdx.x];
    __syncthreads();
    #pragma unroll
    for (int i = 0; i < 300; i++) output[i * 1024 + threadIdx.x] = values[i] * values[299 - i];
}"#;
    let report = compile_real(nvrtc, spills, "spills", "sm_80").unwrap();
    assert!(report.spills > 0, "{report:?}");
}

#[test]
fn mistakes_come_with_the_log() {
    let Some(nvrtc) = real_nvrtc() else { return };
    let log =
        compile_real(nvrtc, "extern \"C\" __global__ void broken() { int x = y; }", "broken", "sm_80").unwrap_err();
    assert!(log.contains("broken.cu(1)") && log.contains("\"y\""), "{log}");
    let log = compile_real(nvrtc, "", "nothing", "sm_1").unwrap_err();
    assert!(log.contains("gpu-architecture"), "{log}");
}

#[test]
fn positions_are_as_wide_as_a_call_asks_for() {
    let Some(nvrtc) = real_nvrtc() else { return };
    for (before, bytes) in [("", 4), (WIDE_INDEX, 8)] {
        let kernel = "extern \"C\" __global__ void nothing() {}";
        let text = format!("{before}{PRELUDE}static_assert(sizeof(Index) == {bytes});\n{kernel}");
        compile_real(nvrtc, &text, "nothing", "sm_80").unwrap_or_else(|log| panic!("{bytes} bytes:\n{log}"));
    }
}
