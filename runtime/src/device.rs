//! Where a network lives and runs.

use std::fmt;
use std::sync::OnceLock;

use crate::cuda::Gpu;
use crate::error::Result;

/// Where a network lives and runs: its parameters are there, and its functions run there.
///
/// ```
/// use graven::Device;
///
/// assert_eq!(Device::cpu().to_string(), "cpu");
/// match Device::cuda(0) {
///     Ok(gpu) => assert_eq!(gpu.to_string(), "cuda:0"),
///     Err(error) => println!("{error}"), // says what is missing, and how to install it
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Device {
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Cpu,
    Cuda(&'static Gpu),
}

impl Device {
    /// The processor that this program runs on, with the widest instruction set that it has.
    #[must_use]
    pub const fn cpu() -> Self {
        Self { kind: Kind::Cpu }
    }

    /// The NVIDIA GPU with this number, counted from 0 as `nvidia-smi` and `CUDA_VISIBLE_DEVICES` do.
    ///
    /// A program that was built without CUDA may run where CUDA is: the driver and NVRTC (the library that compiles kernels,
    /// a part of the CUDA toolkit) are looked for when this is called first. NVRTC is searched for in `$GRAVEN_NVRTC` (a
    /// file or a folder), where the system's libraries are, in `$CUDA_HOME`, `$CUDA_PATH` and `/usr/local/cuda`, and in the
    /// Python environment `$VIRTUAL_ENV`.
    ///
    /// Errors: there is no driver, no such GPU, or no NVRTC; the message says which and how to install it. This crate was
    /// built without its feature `cuda`.
    pub fn cuda(number: usize) -> Result<Self> {
        Ok(Gpu::find(number)?.device())
    }

    /// The fastest device of this machine: the first GPU if there is one that can be used, otherwise the CPU.
    ///
    /// Where there is a GPU that cannot be used, because NVRTC is missing, say, a note on standard error tells why.
    #[must_use]
    pub fn best() -> Self {
        static BEST: OnceLock<Device> = OnceLock::new();
        let choose = || match Gpu::find(0) {
            Ok(gpu) => gpu.device(),
            Err(error) => {
                if Gpu::is_there() {
                    eprintln!("note: graven runs on the CPU: {error}");
                }
                Self::cpu()
            }
        };
        BEST.get_or_init(choose).clone()
    }

    /// Waits until all calls that were made so far have ended; on the CPU they have ended when they return. For measuring:
    /// whoever reads a result waits for it anyway.
    ///
    /// Errors: something has failed on the device.
    pub fn synchronize(&self) -> Result<()> {
        self.gpu().map_or(Ok(()), Gpu::synchronize)
    }

    pub(crate) const fn of(gpu: &'static Gpu) -> Self {
        Self { kind: Kind::Cuda(gpu) }
    }

    /// The GPU; `None` for the CPU.
    pub(crate) const fn gpu(&self) -> Option<&'static Gpu> {
        match self.kind {
            Kind::Cpu => None,
            Kind::Cuda(gpu) => Some(gpu),
        }
    }
}

impl Default for Device {
    fn default() -> Self {
        Self::best()
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Cpu => f.write_str("cpu"),
            Kind::Cuda(gpu) => write!(f, "cuda:{}", gpu.number()),
        }
    }
}
