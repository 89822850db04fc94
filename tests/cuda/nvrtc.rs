//! Kernels through the real NVRTC, which needs no GPU.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{env, fs, ptr};

use libloading::{Library, Symbol};

/// What a kernel takes on a device, as `ptxas` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Registers of a thread.
    pub registers: usize,
    /// Bytes of registers that a thread stores to and loads from memory because it has too few of them.
    pub spills: usize,
    /// Bytes of local memory of a thread: arrays that are indexed at run time, and spilled registers.
    pub stack: usize,
    /// Bytes of shared memory of a block.
    pub shared: usize,
}

/// The NVRTC of this machine; `None` if there is none, which is printed, or is a failure with `GRAVEN_REQUIRE_NVRTC=1`.
///
/// It is looked for in `GRAVEN_NVRTC` (a file), where `tests/cuda/install_nvrtc.sh` puts it, in the virtual environment
/// `VIRTUAL_ENV`, in the toolkit `CUDA_HOME` or `CUDA_PATH`, and where the loader looks.
pub fn real_nvrtc() -> Option<&'static Library> {
    static NVRTC: OnceLock<Option<Library>> = OnceLock::new();
    let library = NVRTC.get_or_init(|| candidates().iter().find_map(|path| open(path))).as_ref();
    if library.is_none() {
        let help = "no NVRTC here; `tests/cuda/install_nvrtc.sh` installs one";
        assert!(env::var_os("GRAVEN_REQUIRE_NVRTC").is_none_or(|value| value != "1"), "{help}");
        println!("skipped: {help}");
    }
    library
}

/// Where NVRTC may be, best first.
fn candidates() -> Vec<PathBuf> {
    let variable = |name| env::var_os(name).map(PathBuf::from);
    let mut paths: Vec<PathBuf> = variable("GRAVEN_NVRTC").into_iter().collect();
    // target/PROFILE/deps/TEST
    let installed = env::current_exe().ok().and_then(|test| Some(test.ancestors().nth(3)?.join("nvrtc")));
    let in_repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/nvrtc");
    for environment in installed.into_iter().chain([in_repository]).chain(variable("VIRTUAL_ENV")) {
        let pythons = fs::read_dir(environment.join("lib")).into_iter().flatten().flatten();
        for python in pythons {
            let packages = python.path().join("site-packages/nvidia");
            paths.push(packages.join("cu13/lib/libnvrtc.so.13"));
            paths.push(packages.join("cuda_nvrtc/lib/libnvrtc.so.12"));
        }
    }
    for toolkit in ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(variable) {
        paths.push(toolkit.join("lib64/libnvrtc.so"));
    }
    paths.extend(["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"].map(PathBuf::from));
    paths
}

fn open(path: &Path) -> Option<Library> {
    // The wheel of NVRTC 13.0 does not tell its loader where its second library lies, so that one is opened first, and stays.
    for entry in fs::read_dir(path.parent()?).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("libnvrtc-builtins.so") && !name.contains("alt") {
            // SAFETY: NVIDIA's library, whose initialisation asks nothing of the program.
            unsafe { Library::new(entry.path()) }.map(std::mem::forget).ok();
        }
    }
    // SAFETY: as above.
    unsafe { Library::new(path) }.ok()
}

/// Compiles a kernel for an architecture (`sm_80`, `sm_90a`) with the real NVRTC. The error is the log of the compiler.
///
/// `source` is the complete text and `name` the name of the kernel. The options are those that the runtime gives to NVRTC.
pub fn compile_real(nvrtc: &Library, source: &str, name: &str, architecture: &str) -> Result<Report, String> {
    let options = [
        "--std=c++20".to_owned(),
        "-default-device".to_owned(),
        format!("--gpu-architecture={architecture}"),
        "--ptxas-options=-v".to_owned(),
    ];
    let (succeeded, log) = Program::new(nvrtc, source, name).compile(&options);
    if !succeeded {
        return Err(log);
    }
    report(&log, name).ok_or_else(|| format!("the log does not tell of `{name}`:\n{log}"))
}

/// Reads lines such as
///
/// ```text
/// ptxas info    : Compiling entry function 'scale' for 'sm_90a'
/// ptxas info    : Function properties for scale
///     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
/// ptxas info    : Used 12 registers, used 0 barriers, 512 bytes smem
/// ```
fn report(log: &str, name: &str) -> Option<Report> {
    let rest = &log[log.find(&format!("Compiling entry function '{name}'"))?..];
    // The number before a word.
    let number = |word: &str| rest[..rest.find(word)?].split_whitespace().next_back()?.parse::<usize>().ok();
    let used = rest.lines().find(|line| line.contains("registers"))?;
    let shared = used.split(',').find_map(|part| part.trim().strip_suffix(" bytes smem")?.parse().ok());
    Some(Report {
        registers: number(" registers")?,
        spills: number(" bytes spill stores")? + number(" bytes spill loads")?,
        stack: number(" bytes stack frame")?,
        shared: shared.unwrap_or(0),
    })
}

/// A program of NVRTC.
struct Program<'a> {
    nvrtc: &'a Library,
    handle: *mut c_void,
}

impl<'a> Program<'a> {
    fn new(nvrtc: &'a Library, source: &str, name: &str) -> Self {
        type Create = unsafe extern "C" fn(
            *mut *mut c_void,
            *const c_char,
            *const c_char,
            c_int,
            *const *const c_char,
            *const *const c_char,
        ) -> c_int;
        let source = CString::new(source).expect("a kernel has no zero bytes");
        let name = CString::new(format!("{name}.cu")).expect("a name has no zero bytes");
        let mut handle = ptr::null_mut();
        // SAFETY: the type is that of nvrtc.h; both texts end with zero, and there are no headers.
        let result = unsafe {
            let create: Symbol<'_, Create> = nvrtc.get("nvrtcCreateProgram").expect("NVRTC has it");
            create(&mut handle, source.as_ptr(), name.as_ptr(), 0, ptr::null(), ptr::null())
        };
        assert_eq!(result, 0, "nvrtcCreateProgram");
        Self { nvrtc, handle }
    }

    /// Whether it compiles, and the log.
    fn compile(&self, options: &[String]) -> (bool, String) {
        type Compile = unsafe extern "C" fn(*mut c_void, c_int, *const *const c_char) -> c_int;
        type LogSize = unsafe extern "C" fn(*mut c_void, *mut usize) -> c_int;
        type Log = unsafe extern "C" fn(*mut c_void, *mut c_char) -> c_int;
        let options: Vec<CString> = options.iter().map(|option| CString::new(option.as_str()).unwrap()).collect();
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        // SAFETY: the types are those of nvrtc.h; the options end with zero and live until the call returns; the log gets as
        // many bytes as it asks for, and ends with zero.
        unsafe {
            let compile: Symbol<'_, Compile> = self.nvrtc.get("nvrtcCompileProgram").expect("NVRTC has it");
            let log_size: Symbol<'_, LogSize> = self.nvrtc.get("nvrtcGetProgramLogSize").expect("NVRTC has it");
            let get_log: Symbol<'_, Log> = self.nvrtc.get("nvrtcGetProgramLog").expect("NVRTC has it");
            let succeeded = compile(self.handle, options.len() as c_int, options.as_ptr()) == 0;
            let mut size = 0;
            log_size(self.handle, &mut size);
            let mut log = vec![0u8; size.max(1)];
            get_log(self.handle, log.as_mut_ptr().cast());
            let log = CStr::from_bytes_until_nul(&log).expect("a log ends with zero");
            (succeeded, log.to_string_lossy().into_owned())
        }
    }
}

impl Drop for Program<'_> {
    fn drop(&mut self) {
        type Destroy = unsafe extern "C" fn(*mut *mut c_void) -> c_int;
        // SAFETY: the type is that of nvrtc.h, and the handle is one that NVRTC gave.
        unsafe {
            let destroy: Symbol<'_, Destroy> = self.nvrtc.get("nvrtcDestroyProgram").expect("NVRTC has it");
            destroy(&mut self.handle);
        }
    }
}
