//! A device: its context, its streams, its memory.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cudarc::driver::sys::{self, CUdeviceptr};
use cudarc::driver::{CudaContext, CudaStream, DriverError, result};

use super::compile::{self, Architecture, Nvrtc};
use super::program::Programs;
use crate::device::Device;
use crate::error::{Error, Result};

/// Every tensor and every part of a buffer starts at a multiple of this many bytes, as what the driver allocates does.
pub(super) const ALIGN: usize = 256;

/// CUDA 12.0: what is called here is there from then on, and NVRTC of this age compiles for it.
const OLDEST_DRIVER: i32 = 12000;

/// One GPU. It is opened once and stays open until the program ends, so whatever lies on it refers to it freely.
pub(crate) struct Gpu {
    number: usize,
    context: Arc<CudaContext>,
    nvrtc: &'static Nvrtc,
    architecture: Architecture,
    queue: Mutex<Queue>,
    free: Mutex<FreeBlocks>,
    pub(super) programs: Mutex<Programs>,
}

/// What work is submitted to.
pub(super) struct Queue {
    /// Runs everything.
    pub(super) stream: Arc<CudaStream>,
    /// Copies the arguments of a call while an earlier one runs.
    pub(super) uploads: Arc<CudaStream>,
}

/// Blocks that nobody uses any more, by size.
type FreeBlocks = BTreeMap<usize, Vec<Arc<Block>>>;

impl Gpu {
    /// The GPU with this number.
    ///
    /// Errors: it cannot be used; the message says what is missing.
    pub(crate) fn find(number: usize) -> Result<&'static Self> {
        static OPEN: Mutex<Vec<&'static Gpu>> = Mutex::new(Vec::new());
        let mut open = lock(&OPEN);
        if let Some(gpu) = open.iter().find(|gpu| gpu.number == number) {
            return Ok(gpu);
        }
        let gpu: &'static Self = Box::leak(Box::new(Self::open(number)?));
        open.push(gpu);
        Ok(gpu)
    }

    /// Whether this machine has a driver and a GPU, even if something else is missing.
    pub(crate) fn is_there() -> bool {
        has_driver() && CudaContext::device_count().is_ok_and(|count| count > 0)
    }

    fn open(number: usize) -> Result<Self> {
        let missing = |what: String, help: String| Error::NoDevice { device: format!("cuda:{number}"), what, help };
        if !has_driver() {
            let help = "install it (`sudo ubuntu-drivers install`, or `sudo apt install nvidia-driver`) and start the \
                        machine again; `Device::best()` takes the CPU meanwhile";
            return Err(missing("this machine has no NVIDIA driver (libcuda.so.1)".into(), help.into()));
        }
        if (1..OLDEST_DRIVER).contains(&driver_version()) {
            let what = format!("the NVIDIA driver is one for CUDA {}, too old", driver_version() / 1000);
            return Err(missing(what, "install a newer one: `sudo ubuntu-drivers install`".into()));
        }
        let no_gpu = |what: &str| {
            let help = "`nvidia-smi -L` lists the GPUs; a container must be started with `--gpus all`";
            missing(format!("the NVIDIA driver is installed, but {what}"), help.into())
        };
        let count = CudaContext::device_count().map_err(|error| no_gpu(&describe(error)))?;
        if count < 1 {
            return Err(no_gpu("there is no GPU"));
        }
        if number >= count as usize {
            let what = if count == 1 {
                "this machine has one GPU, `cuda:0`".to_string()
            } else {
                format!("this machine has {count} GPUs, `cuda:0` to `cuda:{}`", count - 1)
            };
            return Err(missing(what, format!("`Device::cuda({})`", count - 1)));
        }
        let nvrtc = Nvrtc::get().map_err(|what| missing(what, nvrtc_help()))?;
        let failed =
            |error: DriverError| missing(format!("the GPU cannot be used: {}", describe(error)), String::new());
        let context = CudaContext::new(number).map_err(failed)?;
        // SAFETY: no memory is allocated yet, and all later work keeps to the order that the module's docs describe, so no
        // buffer needs events of its own. (With them, a call could not be captured.)
        unsafe { context.disable_event_tracking() };
        let capability = context.compute_capability().map_err(failed)?;
        let old_gpu = |what| missing(what, "an older NVRTC knows it: the package nvidia-cuda-nvrtc-cu12".into());
        let architecture = nvrtc.architecture(capability).map_err(old_gpu)?;
        let stream = context.new_stream().map_err(failed)?;
        let uploads = context.new_stream().map_err(failed)?;
        Ok(Self {
            number,
            context,
            nvrtc,
            architecture,
            queue: Mutex::new(Queue { stream, uploads }),
            free: Mutex::default(),
            programs: Mutex::default(),
        })
    }

    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn device(&'static self) -> Device {
        Device::of(self)
    }

    pub(super) fn nvrtc(&self) -> &'static Nvrtc {
        self.nvrtc
    }

    pub(super) fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    pub(super) fn context(&self) -> &Arc<CudaContext> {
        &self.context
    }

    /// The right to submit work, with the device made current for this thread.
    pub(super) fn queue(&'static self) -> Result<MutexGuard<'static, Queue>> {
        let queue = lock(&self.queue);
        self.context.bind_to_thread().map_err(self.failed("use the device"))?;
        Ok(queue)
    }

    /// An error of the driver, said in our words. What was being done is written down only if there is an error.
    pub(super) fn failed(&'static self, doing: impl fmt::Display) -> impl FnOnce(DriverError) -> Error {
        move |error| Error::Driver { device: self.device(), doing: doing.to_string(), what: describe(error) }
    }

    /// Memory for at least so many bytes. What it holds is left open.
    ///
    /// Errors: there is none left; `what` says what it was for.
    pub(super) fn allocate(&'static self, bytes: usize, what: impl FnOnce() -> String) -> Result<Arc<Block>> {
        let bytes = bytes.max(1).next_multiple_of(ALIGN);
        if let Some(block) = lock(&self.free).get_mut(&bytes).and_then(Vec::pop) {
            return Ok(block);
        }
        self.context.bind_to_thread().map_err(self.failed("use the device"))?;
        // SAFETY: the size is not zero, and the device is current for this thread.
        let mut pointer = unsafe { result::malloc_sync(bytes) };
        if is_out_of_memory(&pointer) {
            self.trim()?;
            // SAFETY: as above.
            pointer = unsafe { result::malloc_sync(bytes) };
        }
        match pointer {
            Ok(pointer) => Ok(Arc::new(Block { gpu: self, pointer, bytes })),
            Err(_) if is_out_of_memory(&pointer) => {
                let free = result::mem_get_info().map_or(0, |(free, _)| free);
                Err(Error::DeviceMemory { device: self.device(), what: what(), wanted: bytes, free })
            }
            Err(error) => Err(self.failed(format!("allocate {bytes} bytes for {}", what()))(error)),
        }
    }

    /// Takes a block back. If somebody else still has it, nothing happens, and it is freed with its last owner.
    pub(super) fn recycle(&self, mut block: Arc<Block>) {
        if Arc::get_mut(&mut block).is_some() {
            lock(&self.free).entry(block.bytes).or_default().push(block);
        }
    }

    /// Gives the blocks that nobody uses back to the driver.
    pub(super) fn trim(&'static self) -> Result<()> {
        self.synchronize()?;
        let free = std::mem::take(&mut *lock(&self.free));
        drop(free);
        Ok(())
    }

    /// Waits until the device has nothing left to do.
    ///
    /// Errors: something has failed there.
    pub(crate) fn synchronize(&'static self) -> Result<()> {
        let queue = self.queue()?;
        queue.uploads.synchronize().map_err(self.failed("finish its copies"))?;
        queue.stream.synchronize().map_err(self.failed("finish its work"))
    }

    /// Copies from the device, after everything submitted so far.
    ///
    /// # Safety
    ///
    /// There are so many bytes, of values of this type, in one allocation behind the pointer.
    pub(super) unsafe fn read<T: Copy>(&'static self, from: CUdeviceptr, to: &mut [T]) -> Result<()> {
        let queue = self.queue()?;
        // SAFETY: the caller vouches for the pointer; `to` stays borrowed until the copy has ended, two lines below.
        unsafe { result::memcpy_dtoh_async(to, from, queue.stream.cu_stream()) }
            .and_then(|()| queue.stream.synchronize())
            .map_err(self.failed("read results"))
    }

    /// Copies to the device, after everything submitted so far and before everything submitted later.
    ///
    /// # Safety
    ///
    /// There are so many bytes in one allocation behind the pointer.
    pub(super) unsafe fn write<T: Copy>(&'static self, from: &[T], to: CUdeviceptr) -> Result<()> {
        let queue = self.queue()?;
        // SAFETY: the caller vouches for the pointer. `from` is ordinary memory, which the driver has read when the call
        // returns ("host memory is copied to a staging buffer immediately", API synchronization behavior).
        unsafe { result::memcpy_htod_async(to, from, queue.stream.cu_stream()) }
            .map_err(self.failed("copy to the device"))
    }

    /// Copies on the device, in order.
    ///
    /// # Safety
    ///
    /// There are so many bytes in one allocation behind each of the pointers, and the two do not overlap.
    pub(super) unsafe fn copy(
        &'static self,
        queue: &Queue,
        from: CUdeviceptr,
        to: CUdeviceptr,
        bytes: usize,
    ) -> Result<()> {
        // SAFETY: passed on from the caller.
        unsafe { result::memcpy_dtod_async(to, from, bytes, queue.stream.cu_stream()) }
            .map_err(self.failed("copy on the device"))
    }
}

impl PartialEq for Gpu {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Gpu {}

impl Hash for Gpu {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cuda:{}", self.number)
    }
}

/// Memory on a device.
pub(crate) struct Block {
    gpu: &'static Gpu,
    pointer: CUdeviceptr,
    bytes: usize,
}

impl Block {
    pub(super) fn gpu(&self) -> &'static Gpu {
        self.gpu
    }

    pub(super) fn pointer(&self) -> CUdeviceptr {
        self.pointer
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // An error here is one of earlier work, which the next call reports, or the driver is shutting down.
        if self.gpu.context.bind_to_thread().is_ok() {
            // SAFETY: the pointer came from the driver's allocator, and nobody else has this block. The driver waits for
            // the work that uses it.
            let _ = unsafe { result::free_sync(self.pointer) };
        }
    }
}

/// Host memory that is never paged out, which a device copies from while the host goes on.
pub(super) struct Pinned {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: it owns its bytes, as a boxed slice does.
unsafe impl Send for Pinned {}

impl Pinned {
    /// So many zeros.
    pub(super) fn new(gpu: &'static Gpu, bytes: usize) -> Result<Self> {
        let no_memory = DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        let allocate = || {
            gpu.context.bind_to_thread()?;
            // SAFETY: the size is not zero, and the device is current for this thread.
            let start = unsafe { result::malloc_host(bytes.max(1), 0) }?;
            NonNull::new(start.cast::<u8>()).ok_or(no_memory)
        };
        let doing = format_args!("allocate {bytes} bytes of pinned host memory");
        let start = allocate().map_err(gpu.failed(doing))?;
        // SAFETY: so many bytes were just allocated.
        unsafe { start.write_bytes(0, bytes) };
        Ok(Self { start, bytes })
    }
}

impl Deref for Pinned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes are allocated and initialised, and borrowed as this is.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }
}

impl DerefMut for Pinned {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.bytes) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: it came from `malloc_host`, and its owner has waited for the copies from it.
        let _ = unsafe { result::free_host(self.start.as_ptr().cast()) };
    }
}

/// A kernel that is loaded. Modules stay loaded as long as their device is open: until the program ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function(sys::CUfunction);

// SAFETY: a handle that the driver lets every thread use.
unsafe impl Send for Function {}
// SAFETY: as above.
unsafe impl Sync for Function {}

/// A block for every so many elements, in two axes, and its threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) blocks: (u32, u32),
    pub(super) threads: u32,
}

impl Function {
    /// Loads a kernel from what NVRTC made of its text.
    pub(super) fn load(gpu: &'static Gpu, name: &str, image: &[u8]) -> Result<Self> {
        gpu.context.bind_to_thread().map_err(gpu.failed("use the device"))?;
        let failed = |error| {
            let (major, minor) = gpu.nvrtc.version;
            let known = driver_version();
            let (known_major, known_minor) = (known / 1000, known % 1000 / 10);
            let versions =
                format!("compiled by NVRTC {major}.{minor}; the driver is one for CUDA {known_major}.{known_minor}");
            gpu.failed(format_args!("load the kernel `{name}`, {versions}"))(error)
        };
        let symbol = std::ffi::CString::new(name).unwrap_or_default();
        // Text for the driver's compiler ends with a zero; device code bears its own length.
        // SAFETY: the image came from NVRTC, directly or through the cache, which compares a checksum.
        let module = unsafe { result::module::load_data(image.as_ptr().cast::<c_void>()) }.map_err(failed)?;
        // SAFETY: the module was just loaded.
        unsafe { result::module::get_function(module, symbol) }.map(Self).map_err(failed)
    }

    /// Submits a launch; every argument is 8 bytes wide.
    ///
    /// # Safety
    ///
    /// The kernel takes these arguments, and its pointers point to memory that is large enough for this grid.
    pub(super) unsafe fn launch(
        self,
        queue: &Queue,
        grid: Grid,
        arguments: &mut [u64],
    ) -> std::result::Result<(), DriverError> {
        /// More than any kernel has.
        const MOST: usize = 64;
        let mut pointers = [std::ptr::null_mut::<c_void>(); MOST];
        assert!(arguments.len() <= MOST, "compiler bug: a kernel with {} arguments", arguments.len());
        for (pointer, argument) in pointers.iter_mut().zip(&mut *arguments) {
            *pointer = std::ptr::from_mut(argument).cast();
        }
        let (blocks, threads) = ((grid.blocks.0, grid.blocks.1, 1), (grid.threads, 1, 1));
        let pointers = &mut pointers[..arguments.len()];
        // SAFETY: passed on from the caller; the driver reads the arguments before it returns.
        unsafe { result::launch_kernel(self.0, blocks, threads, 0, queue.stream.cu_stream(), pointers) }
    }
}

/// Nothing behind a lock is left half done by a panic: all of it is replaced or extended in one go.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// cudarc panics where the driver's library is missing, so it is asked for first.
fn has_driver() -> bool {
    // SAFETY: loading the driver's library runs its initialisers, which are meant to be run so.
    unsafe { sys::is_culib_present() }
}

fn is_out_of_memory<T>(result: &std::result::Result<T, DriverError>) -> bool {
    matches!(result, Err(DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY)))
}

/// `an illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS)`
fn describe(error: DriverError) -> String {
    let text = error.error_string().map_or("unknown error".into(), |text| text.to_string_lossy());
    format!("{text} ({:?})", error.0)
}

/// What CUDA the driver knows, 12080 for 12.8; 0 if it does not say.
fn driver_version() -> i32 {
    let mut version = 0;
    // SAFETY: the driver is there; it writes one integer.
    let known = unsafe { sys::cuDriverGetVersion(&mut version) } == sys::CUresult::CUDA_SUCCESS;
    if known { version } else { 0 }
}

/// How to get NVRTC. Its major version must be one that the driver knows.
fn nvrtc_help() -> String {
    if (1..13000).contains(&driver_version()) {
        compile::HELP.replace("nvidia-cuda-nvrtc==13.0.*", "nvidia-cuda-nvrtc-cu12").replace("/cu13/", "/cuda_nvrtc/")
    } else {
        compile::HELP.into()
    }
}
