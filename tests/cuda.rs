//! The stand-ins of driver and NVRTC, through cudarc: what they run, and which mistakes they show.

use std::sync::Arc;

use cudarc::driver::sys::{CUevent_flags, CUgraphInstantiate_flags, CUresult, CUstreamCaptureMode};
use cudarc::driver::{CudaContext, CudaFunction, CudaStream, DriverError, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::{Ptx, result as nvrtc, sys as nvrtc_sys};
use graven_tests::cuda::{ORDERS, emulated, emulated_failure, emulated_in_all_orders, emulated_with};

#[path = "cuda/kernels.rs"]
mod kernels;

const CAPTURE_MODE: CUstreamCaptureMode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;

/// A context and a stream as the runtime uses them: one stream, no events behind its back.
fn device() -> (Arc<CudaContext>, Arc<CudaStream>) {
    let context = CudaContext::new(0).unwrap();
    // SAFETY: all that these tests do is on one stream.
    unsafe { context.disable_event_tracking() };
    let stream = context.new_stream().unwrap();
    (context, stream)
}

/// The CUBIN of a text, or the result and the log.
fn compile(text: &str, options: &[&str]) -> Result<Vec<u8>, (nvrtc_sys::nvrtcResult, String)> {
    let text = std::ffi::CString::new([kernels::PRELUDE, text].concat()).unwrap();
    let program = nvrtc::create_program(&text, Some(c"kernel.cu")).unwrap();
    // SAFETY: the program is one that NVRTC gave, and is destroyed last; the CUBIN gets as many bytes as it asks for.
    unsafe {
        let compiled = nvrtc::compile_program(program, options);
        let log = nvrtc::get_program_log(program).unwrap();
        let log = std::ffi::CStr::from_ptr(log.as_ptr()).to_string_lossy().into_owned();
        let mut size = 0;
        assert_eq!(nvrtc_sys::nvrtcGetCUBINSize(program, &mut size), nvrtc_sys::nvrtcResult::NVRTC_SUCCESS);
        let mut cubin = vec![0u8; size];
        nvrtc_sys::nvrtcGetCUBIN(program, cubin.as_mut_ptr().cast());
        nvrtc::destroy_program(program).unwrap();
        compiled.map(|()| cubin).map_err(|error| (error.0, log))
    }
}

fn kernel(context: &Arc<CudaContext>, text: &str, name: &str) -> CudaFunction {
    let options = ["--std=c++20", "--gpu-architecture=sm_90a", "-default-device"];
    let cubin = compile(text, &options).unwrap_or_else(|(_, log)| panic!("{name}: {log}"));
    context.load_module(Ptx::from_binary(cubin)).unwrap().load_function(name).unwrap()
}

fn grid(x: u32, y: u32, threads: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (x, y, 1), block_dim: (threads, 1, 1), shared_mem_bytes: 0 }
}

/// Numbers with no pattern, in -1..1.
fn numbers(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn elements_are_computed_by_a_lambda_in_a_template() {
    emulated_in_all_orders(|| {
        let (context, stream) = device();
        let pointwise = kernel(&context, kernels::POINTWISE, "pointwise");
        let input = numbers(1000);
        let from = stream.clone_htod(&input).unwrap();
        let mut to = stream.alloc_zeros::<f32>(1000).unwrap();
        // SAFETY: the arguments are those of the kernel.
        unsafe {
            let mut launch = stream.launch_builder(&pointwise);
            launch.arg(&from).arg(&mut to).arg(&1000i64).arg(&0.5f32).launch(grid(4, 1, 256)).unwrap();
        }
        let expected: Vec<f32> = input.iter().map(|x| (0.5 * x + 1.0).tanh()).collect();
        assert_eq!(stream.clone_dtoh(&to).unwrap(), expected);
    });
}

#[test]
fn rows_are_summed_by_shuffles_and_shared_memory() {
    emulated_in_all_orders(|| {
        let (context, stream) = device();
        let row_sum = kernel(&context, kernels::ROW_SUM, "row_sum");
        let input = numbers(5 * 3000);
        let from = stream.clone_htod(&input).unwrap();
        for threads in [32, 256, 1024] {
            let mut sums = stream.alloc_zeros::<f32>(5).unwrap();
            // SAFETY: the arguments are those of the kernel.
            unsafe {
                let mut launch = stream.launch_builder(&row_sum);
                launch.arg(&from).arg(&mut sums).arg(&3000i64).launch(grid(5, 1, threads)).unwrap();
            }
            for (sum, row) in stream.clone_dtoh(&sums).unwrap().iter().zip(input.chunks(3000)) {
                let expected: f64 = row.iter().map(|x| f64::from(*x)).sum();
                // 3000 numbers below 1, added in a tree: an error of a few units in the last place of the partial sums.
                assert!((f64::from(*sum) - expected).abs() < 1e-4, "{threads} threads: {sum}, not {expected}");
            }
        }
    });
}

#[test]
fn a_matrix_is_transposed_by_a_grid_of_two_axes() {
    emulated_in_all_orders(|| {
        let (context, stream) = device();
        let transpose = kernel(&context, kernels::TRANSPOSE, "transpose");
        let (width, height) = (50usize, 37usize);
        let input = numbers(width * height);
        let from = stream.clone_htod(&input).unwrap();
        let mut to = stream.alloc_zeros::<f32>(width * height).unwrap();
        // SAFETY: the arguments are those of the kernel.
        unsafe {
            let mut launch = stream.launch_builder(&transpose);
            launch.arg(&from).arg(&mut to).arg(&50i32).arg(&37i32);
            launch.launch(grid(4, 3, 256)).unwrap();
        }
        let expected: Vec<f32> =
            (0..width).flat_map(|x| (0..height).map(move |y| (x, y))).map(|(x, y)| input[y * width + x]).collect();
        assert_eq!(stream.clone_dtoh(&to).unwrap(), expected);
    });
}

#[test]
fn lanes_vote_and_tell_each_other() {
    emulated_in_all_orders(|| {
        let (context, stream) = device();
        let ballot = kernel(&context, kernels::BALLOT, "ballot");
        let input = numbers(128);
        let from = stream.clone_htod(&input).unwrap();
        let mut bits = stream.alloc_zeros::<u32>(4).unwrap();
        let mut first = stream.alloc_zeros::<f32>(128).unwrap();
        // SAFETY: the arguments are those of the kernel.
        unsafe {
            stream.launch_builder(&ballot).arg(&from).arg(&mut bits).arg(&mut first).launch(grid(2, 1, 64)).unwrap();
        }
        let (bits, first) = (stream.clone_dtoh(&bits).unwrap(), stream.clone_dtoh(&first).unwrap());
        for (warp, lanes) in input.chunks(32).enumerate() {
            let expected = lanes.iter().enumerate().fold(0, |bits, (lane, x)| bits | u32::from(*x > 0.0) << lane);
            assert_eq!(bits[warp], expected);
            let positive = lanes.iter().find(|x| **x > 0.0).unwrap();
            assert!(first[warp * 32..][..32].iter().all(|x| x == positive), "warp {warp}");
        }
    });
}

#[test]
fn blocks_are_shared_among_threads_of_the_machine() {
    for threads in ["1", "4"] {
        emulated_with(&[("GRAVEN_EMULATION_THREADS", threads)], || {
            let (context, stream) = device();
            let row_sum = kernel(&context, kernels::ROW_SUM, "row_sum");
            let ones = stream.clone_htod(&vec![1.0f32; 400 * 512]).unwrap();
            let mut sums = stream.alloc_zeros::<f32>(400).unwrap();
            // SAFETY: the arguments are those of the kernel.
            unsafe {
                let mut launch = stream.launch_builder(&row_sum);
                launch.arg(&ones).arg(&mut sums).arg(&512i64).launch(grid(400, 1, 512)).unwrap();
            }
            assert_eq!(stream.clone_dtoh(&sums).unwrap(), [512.0; 400]);
        });
    }
}

/// output[i] = 2 * output[i] + 1.
const STEP: &str = r#"
extern "C" __global__ void step(float* values, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) values[i] = 2.0f * values[i] + 1.0f;
}"#;

#[test]
fn a_captured_graph_runs_when_it_is_launched_and_not_before() {
    for streams in ["eager", "lazy"] {
        emulated_with(&[("GRAVEN_EMULATION_STREAMS", streams)], || {
            let (context, stream) = device();
            let step = kernel(&context, STEP, "step");
            let mut values = stream.clone_htod(&[0.0f32, 1.0, 2.0]).unwrap();
            stream.synchronize().unwrap();
            stream.begin_capture(CAPTURE_MODE).unwrap();
            for _ in 0..2 {
                // SAFETY: the arguments are those of the kernel.
                unsafe {
                    stream.launch_builder(&step).arg(&mut values).arg(&3i32).launch(grid(1, 1, 32)).unwrap();
                }
            }
            let graph = stream.end_capture(CUgraphInstantiate_flags(0)).unwrap().unwrap();
            graph.upload().unwrap();
            assert_eq!(stream.clone_dtoh(&values).unwrap(), [0.0, 1.0, 2.0]);
            graph.launch().unwrap();
            assert_eq!(stream.clone_dtoh(&values).unwrap(), [3.0, 7.0, 11.0]);
            graph.launch().unwrap();
            assert_eq!(stream.clone_dtoh(&values).unwrap(), [15.0, 31.0, 47.0]);
        });
    }
}

/// Thread i reads what thread i + 1 wrote, with or without a barrier between.
fn neighbours(barrier: &str) -> String {
    format!(
        r#"
extern "C" __global__ void neighbours(float* output) {{
    SHARED(float, values, 64);
    values[threadIdx.x] = threadIdx.x;
    {barrier}
    output[threadIdx.x] = values[(threadIdx.x + 1) % 64];
}}"#
    )
}

#[test]
fn a_missing_barrier_gives_other_results_in_another_order() {
    for order in ORDERS {
        emulated_with(&[("GRAVEN_EMULATION_ORDER", order)], || {
            let (context, stream) = device();
            let right: Vec<f32> = (0..64).map(|i| ((i + 1) % 64) as f32).collect();
            let run = |barrier| {
                let neighbours = kernel(&context, &neighbours(barrier), "neighbours");
                let mut output = stream.alloc_zeros::<f32>(64).unwrap();
                // SAFETY: the arguments are those of the kernel.
                unsafe {
                    stream.launch_builder(&neighbours).arg(&mut output).launch(grid(1, 1, 64)).unwrap();
                }
                stream.clone_dtoh(&output).unwrap()
            };
            assert_eq!(run("__syncthreads();"), right);
            let wrong = run("");
            let wrong = wrong.iter().zip(&right).filter(|(value, right)| value != right).count();
            // Forward, nobody's neighbour has written, but for the last thread's; in reverse, only the last thread's has not.
            match std::env::var("GRAVEN_EMULATION_ORDER").unwrap().as_str() {
                "forward" => assert_eq!(wrong, 63),
                "reverse" => assert_eq!(wrong, 1),
                _ => assert!((2..63).contains(&wrong), "{wrong}"),
            }
        });
    }
}

/// Launches a kernel `fault` with one pointer to 64 floats, by 64 threads; what it fails with, as text.
fn fault(text: &str) -> String {
    let (context, stream) = device();
    let fault = kernel(&context, text, "fault");
    let mut output = stream.alloc_zeros::<f32>(64).unwrap();
    // SAFETY: the arguments are those of the kernel, which the stand-in driver watches.
    let launched = unsafe { stream.launch_builder(&fault).arg(&mut output).launch(grid(1, 1, 64)) };
    let error = launched.expect_err("the launch fails");
    // As with the driver, a fault stays.
    assert_eq!(stream.synchronize().unwrap_err().0, error.0);
    error.error_string().unwrap().to_string_lossy().into_owned()
}

#[test]
fn threads_that_part_are_reported() {
    emulated_in_all_orders(|| {
        let text = fault(
            "extern \"C\" __global__ void fault(float* output) {\n\
             if (threadIdx.x < 7) { output[0] = 1; __syncthreads(); }\n\
             else {\n __syncthreads(); }\n}",
        );
        assert!(text.contains("kernel `fault`, block (0, 0, 0)") && text.contains("parted"), "{text}");
    });
    emulated(|| {
        let text = fault(
            "extern \"C\" __global__ void fault(float* output) {\n\
             if (threadIdx.x < 32) __syncthreads();\n\
             else output[0] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);\n\
             if (threadIdx.x % 2) __syncwarp();\n__syncthreads();\n}",
        );
        assert!(text.contains("threads of a warp have parted"), "{text}");
    });
}

#[test]
fn writes_behind_an_array_are_reported() {
    emulated(|| {
        let text = fault(
            "extern \"C\" __global__ void fault(float* output) {\n\
             SHARED(float, small, 63); SHARED(float, other, 8);\n\
             small[threadIdx.x] = other[0]; __syncthreads(); output[threadIdx.x] = small[0] + 1; small[threadIdx.x] = 0; }",
        );
        assert!(text.contains("shared array `small`"), "{text}");
    });
    emulated(|| {
        let text = fault("extern \"C\" __global__ void fault(float* output) { output[threadIdx.x + 1] = 1; }");
        assert!(text.contains("kernel `fault` wrote behind the end of an allocation of 256 bytes"), "{text}");
    });
    emulated(|| {
        let text = fault("extern \"C\" __global__ void fault(float*) { SHARED(float, big, 12289); big[0] = 0; }");
        assert!(text.contains("more than 48 KB of shared memory, at `big`"), "{text}");
    });
}

#[test]
fn the_kernel_that_ends_a_process_is_named() {
    let ends = |body: &str| drop(fault(&format!("extern \"C\" __global__ void fault(float* output) {{ {body} }}")));
    let far = emulated_failure(|| ends("output[threadIdx.x == 5 ? 1ll << 40 : 0] = 1;"));
    let deep =
        emulated_failure(|| ends("volatile char big[200000]; big[threadIdx.x] = 0; output[0] = big[threadIdx.x];"));
    for (message, thread) in [(far, "(5, 0, 0)"), (deep, "(0, 0, 0)")] {
        let expected = format!("kernel `fault`, block (0, 0, 0), thread {thread}: Segmentation fault");
        assert!(message.is_none_or(|message| message.contains(&expected)), "{expected}");
    }
}

#[test]
fn memory_that_nobody_wrote_is_not_a_number() {
    emulated(|| {
        let (context, stream) = device();
        let text = r#"
extern "C" __global__ void unset(float* output) {
    SHARED(float, values, 64);
    output[threadIdx.x] = values[threadIdx.x];
}"#;
        let unset = kernel(&context, text, "unset");
        // SAFETY: that the memory is not set is what is tested; the stand-in driver sets it.
        let fresh = unsafe { stream.alloc::<f32>(64) }.unwrap();
        assert!(stream.clone_dtoh(&fresh).unwrap().iter().all(|x| x.is_nan()));
        let mut output = stream.alloc_zeros::<f32>(64).unwrap();
        // SAFETY: the arguments are those of the kernel.
        unsafe { stream.launch_builder(&unset).arg(&mut output).launch(grid(1, 1, 64)).unwrap() };
        assert!(stream.clone_dtoh(&output).unwrap().iter().all(|x| x.is_nan()));
    });
}

fn refused<T>(result: Result<T, DriverError>) -> CUresult {
    result.err().expect("the driver refuses").0
}

#[test]
fn copies_outside_of_an_allocation_are_refused() {
    emulated(|| {
        let (_context, stream) = device();
        let memory = stream.clone_htod(&[1.0f32; 16]).unwrap();
        let address = cudarc::driver::DevicePtr::device_ptr(&memory, &stream).0;
        let copy = |offset: u64, count: usize| {
            let mut host = vec![0.0f32; count];
            // SAFETY: `host` has room; the stand-in driver checks the device's side.
            unsafe { cudarc::driver::result::memcpy_dtoh_sync(&mut host, address + offset) }
        };
        assert_eq!(copy(0, 16), Ok(()));
        assert_eq!(copy(32, 8), Ok(()));
        assert_eq!(refused(copy(32, 9)), CUresult::CUDA_ERROR_INVALID_VALUE);
        assert_eq!(refused(copy(u64::MAX - address, 1)), CUresult::CUDA_ERROR_INVALID_VALUE);
        drop(memory);
        stream.synchronize().unwrap();
        assert_eq!(refused(copy(0, 16)), CUresult::CUDA_ERROR_INVALID_VALUE);
    });
}

#[test]
fn a_capture_refuses_what_the_driver_refuses() {
    emulated(|| {
        let (context, stream) = device();
        let memory = stream.clone_htod(&[1.0f32; 16]).unwrap();
        let capture = |call: &dyn Fn() -> CUresult| {
            stream.synchronize().unwrap();
            stream.begin_capture(CAPTURE_MODE).unwrap();
            let result = call();
            // After a refusal, the capture is lost.
            let ended = refused(stream.end_capture(CUgraphInstantiate_flags(0)));
            assert_eq!(ended, CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
            result
        };
        let unsupported = CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        assert_eq!(capture(&|| refused(stream.alloc_zeros::<f32>(16))), unsupported);
        assert_eq!(capture(&|| refused(stream.synchronize())), unsupported);
        assert_eq!(capture(&|| refused(context.synchronize())), unsupported);
        let address = cudarc::driver::DevicePtr::device_ptr(&memory, &stream).0;
        let read = || {
            // SAFETY: as many elements as are copied.
            unsafe { cudarc::driver::result::memcpy_dtoh_sync(&mut [0.0f32; 16], address) }
        };
        assert_eq!(capture(&|| refused(read())), unsupported);
        // SAFETY: nothing is done with the memory.
        assert_eq!(capture(&|| refused(unsafe { context.alloc_pinned::<f32>(16) })), unsupported);
        let event = stream.record_event(None).unwrap();
        assert_eq!(capture(&|| refused(stream.wait(&event))), CUresult::CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
        assert_eq!(refused(context.default_stream().begin_capture(CAPTURE_MODE)), unsupported);
        assert_eq!(stream.clone_dtoh(&memory).unwrap(), [1.0; 16]);
    });
}

#[test]
fn lazy_streams_show_who_does_not_wait() {
    emulated_with(&[("GRAVEN_EMULATION_STREAMS", "lazy")], || {
        let (context, stream) = device();
        let other = context.new_stream().unwrap();
        let step = kernel(&context, STEP, "step");
        let mut values = stream.clone_htod(&[1.0f32]).unwrap();
        stream.synchronize().unwrap();
        // SAFETY: it is set before it is read.
        let mut pinned = unsafe { context.alloc_pinned::<f32>(1) }.unwrap();
        pinned.as_mut_slice().unwrap()[0] = 10.0;
        // SAFETY: the arguments are those of the kernel.
        unsafe { stream.launch_builder(&step).arg(&mut values).arg(&1i32).launch(grid(1, 1, 32)).unwrap() };
        assert_eq!(other.clone_dtoh(&values).unwrap(), [1.0], "another stream does not see what this one has not done");
        let event = stream.record_event(None).unwrap();
        other.wait(&event).unwrap();
        assert_eq!(other.clone_dtoh(&values).unwrap(), [3.0], "but does after waiting");

        // What is copied from pinned memory is what stands there when the copy is done.
        let address = cudarc::driver::DevicePtrMut::device_ptr_mut(&mut values, &stream).0;
        let host = pinned.as_mut_slice().unwrap();
        // SAFETY: both sides have one element.
        unsafe { cudarc::driver::result::memcpy_htod_async(address, host, stream.cu_stream()).unwrap() };
        host[0] = 20.0;
        assert_eq!(stream.clone_dtoh(&values).unwrap(), [20.0]);
    });
}

#[test]
fn copies_fills_and_events_work_on_streams_of_both_kinds() {
    for streams in ["eager", "lazy"] {
        emulated_with(&[("GRAVEN_EMULATION_STREAMS", streams)], || {
            let (_context, stream) = device();
            let flags = Some(CUevent_flags::CU_EVENT_DEFAULT);
            let start = stream.record_event(flags).unwrap();
            let from = stream.clone_htod(&[1.0f32, 2.0, 3.0]).unwrap();
            let mut to = stream.alloc_zeros::<f32>(4).unwrap();
            stream.memcpy_dtod(&from, &mut to.slice_mut(1..)).unwrap();
            let end = stream.record_event(flags).unwrap();
            end.synchronize().unwrap();
            assert!(end.is_complete() && start.elapsed_ms(&end).unwrap() >= 0.0);
            assert_eq!(stream.clone_dtoh(&to).unwrap(), [0.0, 1.0, 2.0, 3.0]);
            stream.memset_zeros(&mut to.slice_mut(2..)).unwrap();
            assert_eq!(stream.clone_dtoh(&to).unwrap(), [0.0, 1.0, 0.0, 0.0]);
        });
    }
}

#[test]
fn memory_runs_out_where_it_is_told_to() {
    emulated_with(&[("GRAVEN_EMULATION_MEMORY", "1000000")], || {
        let (context, stream) = device();
        let half = stream.alloc_zeros::<u8>(500_000).unwrap();
        assert_eq!(context.mem_get_info().unwrap(), (500_000, 1_000_000));
        assert_eq!(refused(stream.alloc_zeros::<u8>(500_001)), CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        drop(half);
        stream.alloc_zeros::<u8>(1_000_000).unwrap();
    });
}

#[test]
fn a_machine_may_have_a_driver_and_no_device() {
    emulated_with(&[("GRAVEN_EMULATION_DEVICES", "0")], || {
        assert_eq!(refused(CudaContext::new(0)), CUresult::CUDA_ERROR_NO_DEVICE);
    });
    emulated(|| assert_eq!(refused(CudaContext::new(1)), CUresult::CUDA_ERROR_INVALID_DEVICE));
}

#[test]
fn launches_are_checked() {
    emulated(|| {
        let (context, stream) = device();
        let pointwise = kernel(&context, kernels::POINTWISE, "pointwise");
        let from = stream.clone_htod(&[0.0f32; 4]).unwrap();
        let mut to = stream.alloc_zeros::<f32>(4).unwrap();
        // SAFETY: the arguments are those of the kernel, and the stand-in driver checks the rest.
        let mut launch = |config| unsafe {
            stream.launch_builder(&pointwise).arg(&from).arg(&mut to).arg(&4i64).arg(&1.0f32).launch(config)
        };
        assert_eq!(refused(launch(grid(0, 1, 32))), CUresult::CUDA_ERROR_INVALID_VALUE, "no blocks");
        assert_eq!(refused(launch(grid(1, 65536, 32))), CUresult::CUDA_ERROR_INVALID_VALUE, "too many blocks");
        assert_eq!(refused(launch(grid(1, 1, 257))), CUresult::CUDA_ERROR_INVALID_VALUE, "more than __launch_bounds__");
        launch(grid(1, 1, 256)).unwrap();

        // An address of the host where the kernel takes one of the device.
        let host = [0.0f32; 4].as_ptr() as u64;
        // SAFETY: the stand-in driver refuses the address.
        let launched = unsafe {
            let mut launch = stream.launch_builder(&pointwise);
            launch.arg(&host).arg(&mut to).arg(&4i64).arg(&1.0f32).launch(grid(1, 1, 256))
        };
        assert_eq!(refused(launched), CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
    });
}

#[test]
fn nvrtc_refuses_what_it_refuses() {
    use nvrtc_sys::nvrtcResult::{NVRTC_ERROR_COMPILATION, NVRTC_ERROR_INVALID_OPTION};
    emulated(|| {
        let sm_90a = "--gpu-architecture=sm_90a";
        let (result, log) =
            compile("extern \"C\" __global__ void broken() {\n    int x = y;\n}", &[sm_90a]).unwrap_err();
        assert_eq!(result, NVRTC_ERROR_COMPILATION);
        assert!(
            log.contains("kernel.cu:") && log.contains("‘y’ was not declared") | log.contains("'y' was not declared"),
            "{log}"
        );
        let (result, log) = compile("#include <stdio.h>\n", &[sm_90a]).unwrap_err();
        assert_eq!(result, NVRTC_ERROR_COMPILATION, "{log}");
        let (result, log) = compile("", &["--fast"]).unwrap_err();
        assert!(result == NVRTC_ERROR_INVALID_OPTION && log.contains("--fast"), "{log}");
        let (result, log) = compile("", &["--gpu-architecture=sm_12"]).unwrap_err();
        assert!(result == NVRTC_ERROR_INVALID_OPTION && log.contains("gpu-architecture"), "{log}");
        // For a virtual architecture there is no machine code.
        assert_eq!(compile(STEP, &["--gpu-architecture=compute_80"]).unwrap(), [0u8; 0]);
    });
}

#[test]
fn a_module_runs_on_its_architecture() {
    emulated_with(&[("GRAVEN_EMULATION_CAPABILITY", "8.6")], || {
        let (context, _stream) = device();
        assert_eq!(context.compute_capability().unwrap(), (8, 6));
        let load = |architecture: &str| {
            let cubin = compile(STEP, &[&format!("--gpu-architecture={architecture}")]).unwrap();
            context.load_module(Ptx::from_binary(cubin)).map(|_| ())
        };
        for good in ["sm_80", "sm_86"] {
            load(good).unwrap();
        }
        for bad in ["sm_75", "sm_89", "sm_90a"] {
            assert_eq!(refused(load(bad)), CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU, "{bad}");
        }
        let options = cudarc::nvrtc::CompileOptions { arch: Some("compute_80"), ..Default::default() };
        let ptx = cudarc::nvrtc::compile_ptx_with_opts(STEP, options).unwrap();
        context.load_module(ptx).unwrap().load_function("step").unwrap();
        assert_eq!(refused(context.load_module(Ptx::from_src("no module"))), CUresult::CUDA_ERROR_INVALID_IMAGE);
    });
}

#[test]
fn calls_can_be_counted() {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let path = trace.path().to_str().unwrap();
    emulated_with(&[("GRAVEN_EMULATION_TRACE", path)], || {
        let (context, stream) = device();
        let mut values = stream.clone_htod(&[1.0f32]).unwrap();
        let step = kernel(&context, STEP, "step");
        // SAFETY: the arguments are those of the kernel.
        unsafe { stream.launch_builder(&step).arg(&mut values).arg(&1i32).launch(grid(1, 1, 32)).unwrap() };
        let trace = std::fs::read_to_string(std::env::var("GRAVEN_EMULATION_TRACE").unwrap()).unwrap();
        for call in ["cuMemcpyHtoDAsync", "cuLaunchKernel", "run step"] {
            assert_eq!(trace.lines().filter(|line| *line == call).count(), 1, "{call} in\n{trace}");
        }
    });
}
