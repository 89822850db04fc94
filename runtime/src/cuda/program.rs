//! The kernels of a function: looked up in the cache, compiled in parallel where they are not there, and loaded.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use graven_kernels::cuda::WIDE_INDEX;

use super::cache::Cache;
use super::compile::{self, Architecture, Nvrtc};
use super::driver::{Function, Gpu, lock};
use crate::error::{Error, Result};
use crate::plan::{CudaKernel, Plan};

/// If it is set, every kernel is reported on standard error: whether it was compiled, and in which time.
const VERBOSE: &str = "GRAVEN_CUDA_VERBOSE";

/// The kernels that are loaded, by their texts: two functions may share one.
pub(super) type Programs = HashMap<String, Function>;

impl Gpu {
    /// Loads the kernels of a function, in their order; for a [wide](crate::plan::CudaPlan::is_wide) call or not.
    ///
    /// Errors: one does not compile; the driver refuses it.
    pub(super) fn load(&'static self, function: &str, kernels: &[&CudaKernel], wide: bool) -> Result<Vec<Function>> {
        let before = if wide { WIDE_INDEX } else { "" };
        let texts: Vec<String> = kernels.iter().map(|kernel| before.to_owned() + &kernel.source.concat()).collect();
        // Held until the end, so that two threads do not compile the same.
        let mut programs = lock(&self.programs);
        let mut missing: Vec<(&str, &str)> = Vec::new();
        for (kernel, text) in kernels.iter().zip(&texts) {
            if !programs.contains_key(text) && !missing.contains(&(kernel.name, text)) {
                missing.push((kernel.name, text));
            }
        }
        if !missing.is_empty() {
            let built = build(self.nvrtc(), self.architecture(), function, &missing)?;
            for ((name, text), built) in missing.into_iter().zip(built) {
                programs.insert(text.into(), Function::load(self, name, &built.image)?);
            }
        }
        Ok(texts.iter().map(|text| programs[text]).collect())
    }

    /// Loads one kernel.
    ///
    /// Errors: as for [`load`](Self::load).
    pub(super) fn load_one(&'static self, function: &str, kernel: &CudaKernel) -> Result<Function> {
        Ok(self.load(function, &[kernel], false)?[0])
    }
}

/// What was done to get the code of some kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compiled {
    /// How many kernels there are.
    pub kernels: usize,
    /// How many of them were not in the cache.
    pub compiled: usize,
    /// How long it took, from texts to code; loading NVRTC is a part of it if nothing was compiled before.
    pub time: Duration,
}

/// Compiles all kernels of some functions for an architecture such as `sm_90a`, through the cache, as a call does for the
/// device that it runs on. It needs NVRTC, but no driver and no GPU.
///
/// Errors: there is no NVRTC, or it does not know the architecture; a kernel does not compile.
pub(crate) fn compile_kernels(plans: &[&'static Plan], architecture: &str) -> Result<Compiled> {
    let start = Instant::now();
    let missing = |what| Error::NoDevice { device: architecture.into(), what, help: compile::HELP.into() };
    let nvrtc = Nvrtc::get().map_err(missing)?;
    let unknown = |what| Error::NoDevice {
        device: architecture.into(),
        what,
        help: "give the architecture of the GPU: `sm_` and its compute capability without the point".into(),
    };
    let architecture = nvrtc.architecture_named(architecture).map_err(unknown)?;
    let kernels: Vec<&CudaKernel> = plans.iter().filter_map(|plan| plan.cuda).flat_map(|cuda| cuda.kernels).collect();
    let texts: Vec<String> = kernels.iter().map(|kernel| kernel.source.concat()).collect();
    let mut distinct: Vec<(&str, &str)> = Vec::new();
    for (kernel, text) in kernels.iter().zip(&texts) {
        if !distinct.contains(&(kernel.name, text)) {
            distinct.push((kernel.name, text));
        }
    }
    let function = plans.first().map_or("", |plan| plan.function);
    let built = build(nvrtc, &architecture, function, &distinct)?;
    let compiled = built.iter().filter(|built| built.compiled).count();
    Ok(Compiled { kernels: distinct.len(), compiled, time: start.elapsed() })
}

/// The code of some kernels, (name, text) each, by as many threads as there are cores.
fn build(nvrtc: &Nvrtc, architecture: &Architecture, function: &str, kernels: &[(&str, &str)]) -> Result<Vec<Built>> {
    let start = Instant::now();
    let cache = Cache::of_this_user();
    // The longest texts first, so that no thread is left with one of them at the end.
    let mut order: Vec<usize> = (0..kernels.len()).collect();
    order.sort_by_key(|&index| Reverse(kernels[index].1.len()));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (name, text) = kernels[index];
            done.push((index, build_one(nvrtc, architecture, &cache, name, text)));
        }
        done
    };
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(kernels.len());
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..n_threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        done.extend(others.into_iter().flat_map(|other| other.join().expect("a compilation does not panic")));
        done
    });
    done.sort_by_key(|(index, _)| *index);
    let failed = |index: usize, log| Error::Kernel {
        function: function.into(),
        kernel: kernels[index].0.into(),
        architecture: architecture.name.clone(),
        log,
    };
    let built = done.into_iter().map(|(index, built)| built.map_err(|log| failed(index, log)));
    let built = built.collect::<Result<Vec<Built>>>()?;
    report(|| {
        let compiled = built.iter().filter(|built| built.compiled).count();
        let (n_kernels, ms) = (kernels.len(), milliseconds(start.elapsed()));
        format!("{function}: {n_kernels} kernels in {ms:.1} ms, {compiled} compiled by {n_threads} threads")
    });
    Ok(built)
}

fn build_one(
    nvrtc: &Nvrtc,
    architecture: &Architecture,
    cache: &Cache,
    name: &str,
    text: &str,
) -> std::result::Result<Built, String> {
    let ((major, minor), options) = (nvrtc.version, nvrtc.options(architecture));
    let key = format!("{name}\nNVRTC {major}.{minor} {}\n{text}", options.join(" "));
    if let Some(image) = cache.get(&key) {
        report(|| format!("{name}: from the cache"));
        return Ok(Built { image, compiled: false });
    }
    let start = Instant::now();
    let image = nvrtc.compile(name, text, architecture)?;
    let ms = milliseconds(start.elapsed());
    report(|| format!("{name}: compiled in {ms:.1} ms for {}, {} bytes", architecture.name, image.len()));
    cache.put(&key, &image);
    Ok(Built { image, compiled: true })
}

/// The code of a kernel, and whether it had to be compiled.
struct Built {
    image: Vec<u8>,
    compiled: bool,
}

fn milliseconds(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

fn report(text: impl FnOnce() -> String) {
    if std::env::var_os(VERBOSE).is_some_and(|value| !value.is_empty() && value != "0") {
        eprintln!("graven: {}", text());
    }
}
