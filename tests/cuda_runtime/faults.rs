//! What is missing, too small or damaged: messages, and that nothing is lost.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use graven::__private::*;
use graven::{Adam, Device, Error, Model, Tensor};

use super::testing::{double, points};
use super::*;
use graven_tests::cuda::stand_ins;

#[test]
fn without_a_driver_the_cpu_is_the_best_device() {
    if let Err(error) = Device::cuda(0) {
        let text = error.to_string();
        assert!(text.starts_with("cuda:0: ") && text.contains("\nhelp: "), "{text}");
        assert_eq!(Device::best(), Device::cpu());
    }
}

#[test]
fn the_error_says_what_is_missing() {
    let start = |expected: &str| {
        let text = Device::cuda(0).unwrap_err().to_string();
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(Device::best(), Device::cpu());
        text
    };
    emulated_with(&[("GRAVEN_EMULATION_DEVICES", "0")], || {
        assert!(start("cuda:0: the NVIDIA driver is installed, but ").contains("nvidia-smi"));
    });
    emulated_with(&[("GRAVEN_NVRTC", "/nowhere")], || {
        let text = start("cuda:0: NVRTC was not found");
        assert!(text.contains("/nowhere") && text.contains("pip install \"nvidia-cuda-nvrtc"), "{text}");
    });
    emulated_with(&[("GRAVEN_EMULATION_CAPABILITY", "3.5")], || {
        assert!(start("cuda:0: the GPU has the compute capability 3.5, and NVRTC").contains("nvidia-cuda-nvrtc-cu12"));
    });
    emulated_with(&[("GRAVEN_EMULATION_DEVICES", "2")], || {
        assert_eq!(Device::cuda(1).unwrap().to_string(), "cuda:1");
        assert_eq!(Device::best(), Device::cuda(0).unwrap());
        let text = Device::cuda(2).unwrap_err().to_string();
        assert!(text.starts_with("cuda:2: this machine has 2 GPUs, `cuda:0` to `cuda:1`\nhelp: "), "{text}");
    });
}

#[test]
fn a_tensor_of_another_device_is_an_error() {
    emulated_with(&[("GRAVEN_EMULATION_DEVICES", "2")], || {
        let (x, ..) = points(4);
        let message =
            |network: &Device, tensor: &Device| line(network).forward(&x.to(tensor).unwrap()).unwrap_err().to_string();
        let other = Device::cuda(1).unwrap();
        assert_eq!(
            message(&Device::cpu(), &gpu()),
            "`Line::forward`: `x` lies on cuda:0, but the function runs on cpu, because the network lives there\n\
             help: copy it: `x.to(&device)?`"
        );
        assert!(message(&gpu(), &other).contains("lies on cuda:1, but the function runs on cuda:0"));
        // From one to the other by way of the host.
        let there = x.to(&gpu()).unwrap().to(&other).unwrap();
        assert_eq!((there.device(), vec(&there)), (other.clone(), vec(&x)));
        assert_close(&vec(&line(&other).forward(&there).unwrap()), &vec(&line(&gpu()).forward(&x).unwrap()));
    });
}

#[test]
fn a_full_device_is_an_error_that_names_the_bytes_and_loses_nothing() {
    emulated_with(&[("GRAVEN_EMULATION_MEMORY", "65536")], || {
        let mut line = line(&gpu());
        let mut adam = Adam::new(0.1);
        let (x, targets, labels) = points(20);
        line.loss_step(&x, &targets, &labels, &mut adam).unwrap();
        let before = parameters(&line);
        let (many_x, many_targets, many_labels) = points(20_000);
        let error = line.loss_step(&many_x, &many_targets, &many_labels, &mut adam).unwrap_err();
        let Error::DeviceMemory { wanted, free, .. } = &error else { panic!("{error}") };
        assert!(wanted > free && *wanted >= 20_000 * 12, "{error}");
        let text = format!(
            "cuda:0 has no room for the workspace of Line::loss: {wanted} bytes are wanted, {free} bytes are free"
        );
        assert!(error.to_string().starts_with(&text), "{error}");
        assert_eq!(parameters(&line), before);
        assert!(matches!(many_x.to(&gpu()), Err(Error::DeviceMemory { .. })));
        // It goes on with a batch that fits, as if nothing had been: the numbers of steps and seeds as well.
        let (mut other, mut other_adam) = (super::line(&gpu()), Adam::new(0.1));
        for _ in 0..4 {
            line.loss_step(&x, &targets, &labels, &mut adam).unwrap();
            other.loss_step(&x, &targets, &labels, &mut other_adam).unwrap();
        }
        other.loss_step(&x, &targets, &labels, &mut other_adam).unwrap();
        assert_eq!(parameters(&line), parameters(&other));
    });
    emulated_with(&[("GRAVEN_EMULATION_MEMORY", "100")], || {
        let mut line = line(&Device::cpu());
        let before = parameters(&line);
        assert!(matches!(line.to(&gpu()), Err(Error::DeviceMemory { .. })));
        assert_eq!((line.device(), parameters(&line)), (Device::cpu(), before));
    });
}

const N: Size = Size { factor: 1, symbols: &[0] };

const fn plan(cuda: Option<&'static CudaPlan>) -> Plan {
    Plan {
        function: "faulty",
        symbols: &["N"],
        inputs: &[InputPlan { name: "x", dtype: Dtype::F32, dims: &[N], classes: None }],
        outputs: &[OutputPlan { dtype: Dtype::F32, dims: &[N], copied_from: None }],
        values: &[],
        stages: &[],
        gradients: &[],
        parameters: 0,
        trained: &[],
        cuda,
    }
}

fn call(plan: &'static Plan) -> graven::Result<Tensor> {
    static WORKSPACES: Workspaces = Workspaces::new();
    let x = Tensor::<f32>::zeros([4]).unwrap().to(&gpu())?;
    let mut y = Tensor::empty();
    run(plan, Bound::function(&WORKSPACES), &[Argument::from(&x)], &mut [Slot::from(&mut y)])?;
    Ok(y)
}

#[test]
fn a_kernel_that_does_not_compile_is_named() {
    static BROKEN: CudaPlan = CudaPlan {
        kernels: &[
            CudaKernel { name: "conv1_relu", source: &["extern \"C\" __global__ void conv1_relu() {}"] },
            CudaKernel { name: "conv2_relu", source: &["extern \"C\" __global__ ", "void conv2_relu() { nonsense; }"] },
        ],
        groups: &[],
        values: &[],
        launches: &[],
        extents: &[],
    };
    static PLAN: Plan = plan(Some(&BROKEN));
    emulated(|| {
        for _ in 0..2 {
            let text = call(&PLAN).unwrap_err().to_string();
            assert!(text.starts_with("the kernel `conv2_relu` of `faulty` does not compile for sm_90a\n"), "{text}");
            assert!(text.contains("nonsense"), "{text}");
        }
    });
}

#[test]
fn a_function_that_was_compiled_for_the_cpu_only_says_so() {
    static PLAN: Plan = plan(None);
    emulated(|| {
        let text = call(&PLAN).unwrap_err().to_string();
        assert!(text.starts_with("cuda:0: `faulty` was compiled for the CPU only\nhelp: "), "{text}");
    });
}

/// The only file of a folder: where it is, what it holds, and a number that changes when it is replaced.
fn only_file(folder: &Path) -> Option<(PathBuf, Vec<u8>, u64)> {
    let mut entries = std::fs::read_dir(folder).ok()?;
    let path = entries.next()?.unwrap().path();
    assert!(entries.next().is_none());
    let inode = std::fs::metadata(&path).unwrap().ino();
    Some((path.clone(), std::fs::read(path).unwrap(), inode))
}

#[test]
fn kernels_are_compiled_once_for_all_processes() {
    let folder = tempfile::tempdir().unwrap();
    // The processes of the calls below run this function too, in which the others are left out, and so are the files.
    let is_there = std::env::var_os("GRAVEN_EMULATED").is_none() && stand_ins().is_ok();
    let use_it = || {
        let x = Tensor::from_fn([5], |index| index as f32).unwrap().to(&gpu()).unwrap();
        assert_eq!(vec(&double(&x).unwrap()), [0.0, 2.0, 4.0, 6.0, 8.0]);
    };
    let variables = [("GRAVEN_CACHE", folder.path().to_str().unwrap())];
    emulated_with(&variables, use_it);
    let first = only_file(folder.path());
    assert_eq!(first.is_some(), is_there);
    // Found, so not written again.
    emulated_with(&variables, use_it);
    assert_eq!(only_file(folder.path()), first);
    // Damaged, so made again.
    let Some((path, content, _)) = &first else { return emulated_with(&variables, use_it) };
    std::fs::write(path, &content[..content.len() / 2]).unwrap();
    emulated_with(&variables, use_it);
    let (_, again, _) = only_file(folder.path()).unwrap();
    assert!(again.len() > content.len() / 2);
}

#[test]
fn a_cache_that_cannot_be_written_is_no_failure() {
    for cache in ["/dev/null/below", ""] {
        emulated_with(&[("GRAVEN_CACHE", cache)], || {
            let x = Tensor::full([5], 1.5).unwrap().to(&gpu()).unwrap();
            assert_eq!(vec(&double(&x).unwrap()), [3.0; 5]);
        });
    }
}
