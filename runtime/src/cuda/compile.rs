//! NVRTC: from the text of a kernel to the device's code.
//!
//! The library is bound here rather than through cudarc, so that the one that was found is the one that is used, and so that a
//! missing library or function is an error.

use std::ffi::{CStr, CString, c_char, c_int};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::Library;

/// A file of NVRTC, or the folder that it lies in.
const VARIABLE: &str = "GRAVEN_NVRTC";

/// How to get the library.
pub(super) const HELP: &str = "it is a part of the CUDA toolkit, not of the driver; alone it is had by
    python3 -m venv .nv && .nv/bin/pip install \"nvidia-cuda-nvrtc==13.0.*\"
    export GRAVEN_NVRTC=$(echo $PWD/.nv/lib/python3*/site-packages/nvidia/cu13/lib)";

type Program = *mut std::ffi::c_void;

/// A number; 0 is success.
type Status = c_int;

/// Declares the functions of the library, and how they are found in it.
macro_rules! functions {
    ($($field:ident = $name:literal: fn($($argument:ty),*) -> $result:ty;)*) => {
        struct Functions {
            $($field: unsafe extern "C" fn($($argument),*) -> $result,)*
        }

        impl Functions {
            fn find(library: &Library) -> Result<Self, String> {
                $(
                    // SAFETY: the signature is the one in `nvrtc.h`, the same since CUDA 11.2.
                    let $field = *unsafe { library.get($name) }.map_err(|error| error.to_string())?;
                )*
                Ok(Self { $($field),* })
            }
        }
    };
}

functions! {
    version = b"nvrtcVersion\0": fn(*mut c_int, *mut c_int) -> Status;
    error_string = b"nvrtcGetErrorString\0": fn(Status) -> *const c_char;
    n_architectures = b"nvrtcGetNumSupportedArchs\0": fn(*mut c_int) -> Status;
    architectures = b"nvrtcGetSupportedArchs\0": fn(*mut c_int) -> Status;
    create = b"nvrtcCreateProgram\0":
        fn(*mut Program, *const c_char, *const c_char, c_int, *const *const c_char, *const *const c_char) -> Status;
    compile = b"nvrtcCompileProgram\0": fn(Program, c_int, *const *const c_char) -> Status;
    log_size = b"nvrtcGetProgramLogSize\0": fn(Program, *mut usize) -> Status;
    log = b"nvrtcGetProgramLog\0": fn(Program, *mut c_char) -> Status;
    cubin_size = b"nvrtcGetCUBINSize\0": fn(Program, *mut usize) -> Status;
    cubin = b"nvrtcGetCUBIN\0": fn(Program, *mut c_char) -> Status;
    ptx_size = b"nvrtcGetPTXSize\0": fn(Program, *mut usize) -> Status;
    ptx = b"nvrtcGetPTX\0": fn(Program, *mut c_char) -> Status;
    destroy = b"nvrtcDestroyProgram\0": fn(*mut Program) -> Status;
}

/// The library. Several threads may compile at the same time.
pub(super) struct Nvrtc {
    functions: Functions,
    /// Such as (13, 0).
    pub(super) version: (c_int, c_int),
    /// The architectures that it compiles for, such as 90.
    known: Vec<c_int>,
    /// Where the functions live.
    _library: Library,
}

/// What kernels are compiled for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Architecture {
    /// `sm_90a`, or `compute_90` if the device is newer than NVRTC.
    pub(super) name: String,
}

impl Architecture {
    /// Code for this very device, rather than text that the driver compiles further.
    fn is_real(&self) -> bool {
        self.name.starts_with("sm_")
    }
}

impl Nvrtc {
    /// The library of this machine.
    ///
    /// Errors: there is none; the text says where it was looked for.
    pub(super) fn get() -> Result<&'static Self, String> {
        static NVRTC: OnceLock<Result<Nvrtc, String>> = OnceLock::new();
        NVRTC.get_or_init(|| Self::open(&Places::of_this_machine())).as_ref().map_err(Clone::clone)
    }

    /// The first that can be used.
    fn open(places: &Places) -> Result<Self, String> {
        let mut faults = Vec::new();
        for path in places.candidates() {
            match Self::load(&path) {
                Ok(nvrtc) => return Ok(nvrtc),
                // A name without a folder fails where the system has no such library, which is nothing to report.
                Err(fault) if path.components().count() > 1 => faults.push(format!("{}: {fault}", path.display())),
                Err(_) => {}
            }
        }
        let mut text = "NVRTC was not found, the library that compiles kernels (libnvrtc.so)".to_string();
        if let Some(given) = &places.given {
            text.push_str(&format!("; {VARIABLE} is {}, which holds none", given.display()));
        }
        faults.iter().for_each(|fault| text.push_str(&format!("\nnote: {fault}")));
        Err(text)
    }

    fn load(path: &Path) -> Result<Self, String> {
        // The library opens this one by its name alone, which fails where it has no RUNPATH (13.0 from PyPI), unless it is
        // loaded already.
        let builtins = path.parent().map(|folder| files(folder, "libnvrtc-builtins.so")).unwrap_or_default();
        for builtins in builtins {
            // SAFETY: loading a library of NVIDIA runs its initialisers, which are meant to be run so.
            if let Ok(builtins) = unsafe { Library::new(builtins) } {
                std::mem::forget(builtins);
            }
        }
        // SAFETY: as above.
        let library = unsafe { Library::new(path) }.map_err(|error| error.to_string())?;
        let functions = Functions::find(&library)?;
        let (mut major, mut minor, mut n_known) = (0, 0, 0);
        // SAFETY: it writes two integers.
        functions.check(unsafe { (functions.version)(&mut major, &mut minor) })?;
        // SAFETY: it writes one integer.
        functions.check(unsafe { (functions.n_architectures)(&mut n_known) })?;
        let mut known = vec![0; n_known.max(0) as usize];
        // SAFETY: it writes as many integers as it has just said.
        functions.check(unsafe { (functions.architectures)(known.as_mut_ptr()) })?;
        Ok(Self { functions, version: (major, minor), known, _library: library })
    }

    /// What to compile for on a device of this compute capability.
    ///
    /// Errors: the device is older than all that the library knows.
    pub(super) fn architecture(&self, (major, minor): (i32, i32)) -> Result<Architecture, String> {
        let number = 10 * major + minor;
        let name = if self.known.contains(&number) {
            // From 9.0 on, `a` stands for all that this very architecture can do.
            format!("sm_{number}{}", if number >= 90 && minor == 0 { "a" } else { "" })
        } else {
            let older = self.known.iter().copied().filter(|&known| known < number).max();
            let too_old = || {
                let (oldest, version) = (self.known.iter().min().unwrap_or(&0), self.version);
                format!(
                    "the GPU has the compute capability {major}.{minor}, and NVRTC {}.{} knows none below {}.{}",
                    version.0,
                    version.1,
                    oldest / 10,
                    oldest % 10
                )
            };
            format!("compute_{}", older.ok_or_else(too_old)?)
        };
        Ok(Architecture { name })
    }

    /// An architecture by its name: `sm_90a`, `compute_90`.
    ///
    /// Errors: the library does not know it.
    pub(super) fn architecture_named(&self, name: &str) -> Result<Architecture, String> {
        let number = name.strip_prefix("sm_").or_else(|| name.strip_prefix("compute_"));
        let number = number.and_then(|number| number.trim_end_matches(['a', 'f']).parse().ok());
        if number.is_some_and(|number| self.known.contains(&number)) {
            return Ok(Architecture { name: name.into() });
        }
        let known: Vec<String> = self.known.iter().map(|number| format!("sm_{number}")).collect();
        let (major, minor) = self.version;
        Err(format!("NVRTC {major}.{minor} knows no such architecture, but {}", known.join(", ")))
    }

    /// Everything beside the text that the code depends on.
    pub(super) fn options(&self, architecture: &Architecture) -> [String; 3] {
        // No fast mathematics: the same numbers as on the CPU, to rounding.
        ["--std=c++20".into(), "-default-device".into(), format!("--gpu-architecture={}", architecture.name)]
    }

    /// Compiles a kernel.
    ///
    /// Errors: what NVRTC says about the text.
    pub(super) fn compile(&self, name: &str, source: &str, architecture: &Architecture) -> Result<Vec<u8>, String> {
        let text = |text: &str| CString::new(text).map_err(|_| "the text holds a zero".to_string());
        let (source, file) = (text(source)?, text(&format!("{name}.cu"))?);
        let options = self.options(architecture).map(|option| CString::new(option).unwrap_or_default());
        let options = options.each_ref().map(|option| option.as_ptr());
        let call = &self.functions;
        let mut program = Work { functions: call, program: std::ptr::null_mut() };
        let none = std::ptr::null();
        // SAFETY: the texts end with a zero and outlive the call; there are no headers.
        call.check(unsafe { (call.create)(&mut program.program, source.as_ptr(), file.as_ptr(), 0, none, none) })?;
        // SAFETY: the program was just made; the options end with zeros and outlive the call.
        let status = unsafe { (call.compile)(program.program, options.len() as c_int, options.as_ptr()) };
        if let Err(error) = call.check(status) {
            let log = program.bytes(call.log_size, call.log).unwrap_or_default();
            return Err(format!("{error}\n{}", String::from_utf8_lossy(&log).trim_matches(['\0', '\n'])));
        }
        let (size, get) =
            if architecture.is_real() { (call.cubin_size, call.cubin) } else { (call.ptx_size, call.ptx) };
        program.bytes(size, get)
    }
}

impl Functions {
    fn check(&self, status: Status) -> Result<(), String> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: it takes any number and gives a text that is never freed.
        Err(unsafe { CStr::from_ptr((self.error_string)(status)) }.to_string_lossy().into_owned())
    }
}

/// A compilation.
struct Work<'a> {
    functions: &'a Functions,
    program: Program,
}

impl Work<'_> {
    /// Something that the program holds.
    fn bytes(
        &self,
        size: unsafe extern "C" fn(Program, *mut usize) -> Status,
        get: unsafe extern "C" fn(Program, *mut c_char) -> Status,
    ) -> Result<Vec<u8>, String> {
        let mut n_bytes = 0;
        // SAFETY: the program exists; it writes one number.
        self.functions.check(unsafe { size(self.program, &mut n_bytes) })?;
        let mut bytes = vec![0_u8; n_bytes];
        // SAFETY: it writes as many bytes as it has just said.
        self.functions.check(unsafe { get(self.program, bytes.as_mut_ptr().cast()) })?;
        Ok(bytes)
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        if !self.program.is_null() {
            // SAFETY: the program exists and is used no more.
            unsafe { (self.functions.destroy)(&mut self.program) };
        }
    }
}

/// Where NVRTC may lie.
#[derive(Debug, Default)]
struct Places {
    /// `$GRAVEN_NVRTC`
    given: Option<PathBuf>,
    /// Folders of CUDA toolkits.
    toolkits: Vec<PathBuf>,
    /// `$VIRTUAL_ENV`
    environment: Option<PathBuf>,
}

impl Places {
    fn of_this_machine() -> Self {
        let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let usual = Some(PathBuf::from("/usr/local/cuda"));
        Self {
            given: folder(VARIABLE),
            toolkits: [folder("CUDA_HOME"), folder("CUDA_PATH"), usual].into_iter().flatten().collect(),
            environment: folder("VIRTUAL_ENV"),
        }
    }

    /// What to try, in this order. What the user names is the only place if it is there.
    fn candidates(&self) -> Vec<PathBuf> {
        if let Some(given) = &self.given {
            return if given.is_dir() { files(given, FILE) } else { vec![given.clone()] };
        }
        let mut candidates: Vec<PathBuf> = NAMES.iter().map(PathBuf::from).collect();
        for toolkit in &self.toolkits {
            ["lib64", "lib", "bin"].iter().for_each(|folder| candidates.extend(files(&toolkit.join(folder), FILE)));
        }
        if let Some(environment) = &self.environment {
            // lib/python3.11/site-packages, and on Windows Lib/site-packages
            let pythons = folders(&environment.join("lib")).into_iter().map(|python| python.join("site-packages"));
            for packages in pythons.chain([environment.join("Lib/site-packages")]) {
                for folder in ["cu13/lib", "cuda_nvrtc/lib", "cu13/bin", "cuda_nvrtc/bin"] {
                    candidates.extend(files(&packages.join("nvidia").join(folder), FILE));
                }
            }
        }
        candidates
    }
}

#[cfg(not(windows))]
const FILE: &str = "libnvrtc.so";
#[cfg(windows)]
const FILE: &str = "nvrtc64";

/// Where the system looks for libraries.
#[cfg(not(windows))]
const NAMES: [&str; 3] = ["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"];
#[cfg(windows)]
const NAMES: [&str; 2] = ["nvrtc64_130_0.dll", "nvrtc64_120_0.dll"];

/// The files of a folder whose names start so, the newest version first; none if there is no such folder.
fn files(folder: &Path, start: &str) -> Vec<PathBuf> {
    let is_wanted = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(start) && !name.contains(".alt.")
    };
    let mut files: Vec<PathBuf> = entries(folder).filter(is_wanted).collect();
    files.sort();
    files.reverse();
    files
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).filter(|path| path.is_dir()).collect()
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    std::fs::read_dir(absolute).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_looked_for_in_this_order() {
        let folder = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "no library").unwrap();
            path
        };
        let given = make("given/libnvrtc.so.13");
        make("given/libnvrtc-builtins.so.13.0");
        let toolkit = make("cuda/lib64/libnvrtc.so.12");
        let python = make("venv/lib/python3.12/site-packages/nvidia/cu13/lib/libnvrtc.so.13");
        let mut places = Places {
            given: None,
            toolkits: vec![folder.path().join("none"), folder.path().join("cuda")],
            environment: Some(folder.path().join("venv")),
        };
        let usual: Vec<PathBuf> = NAMES.iter().map(PathBuf::from).collect();
        assert_eq!(places.candidates(), [usual, vec![toolkit, python]].concat());
        places.given = Some(folder.path().join("given"));
        assert_eq!(places.candidates(), std::slice::from_ref(&given));
        let message = Nvrtc::open(&places).err().unwrap();
        assert!(message.contains("GRAVEN_NVRTC is ") && message.contains("\nnote: "), "{message}");
        places.given = Some(given.clone());
        assert_eq!(places.candidates(), [given]);
        places.given = Some("/nowhere/libnvrtc.so".into());
        assert!(Nvrtc::open(&places).err().unwrap().contains("/nowhere/libnvrtc.so"));
    }

    /// Needs NVRTC, but no driver and no GPU.
    #[test]
    fn a_kernel_becomes_code_or_a_message_with_its_name() {
        let nvrtc = match Nvrtc::get() {
            Ok(nvrtc) => nvrtc,
            Err(reason) => return println!("skipped: {reason}"),
        };
        assert!(nvrtc.version.0 >= 12);
        let architecture = |major, minor| nvrtc.architecture((major, minor)).unwrap();
        assert_eq!(architecture(9, 0).name, "sm_90a");
        assert_eq!(architecture(8, 6).name, "sm_86");
        assert!(nvrtc.architecture((1, 3)).unwrap_err().contains("compute capability 1.3, and NVRTC"));
        let newer = architecture(99, 0);
        assert!(newer.name.starts_with("compute_1"), "{newer:?}");
        let source = "extern \"C\" __global__ void relu_2(float* t) { t[threadIdx.x] = fmaxf(t[threadIdx.x], 0.0f); }";
        for architecture in [architecture(9, 0), architecture(8, 0), newer] {
            let image = nvrtc.compile("relu_2", source, &architecture).unwrap();
            assert_eq!(image.starts_with(b"\x7fELF"), architecture.is_real());
            assert!(architecture.is_real() || image.ends_with(b"\0"));
        }
        let broken = source.replace("t[threadIdx.x], 0", "x[threadIdx.x], 0");
        let log = nvrtc.compile("relu_2", &broken, &architecture(9, 0)).unwrap_err();
        assert!(log.contains("relu_2.cu(1): error: identifier \"x\" is undefined"), "{log}");
    }
}
