//! CUDA without a GPU: the stand-ins of driver and NVRTC for tests that run kernels, and the real NVRTC for tests that only
//! compile them.
//!
//! The stand-ins (`tests/cuda/*.cpp`) are built once by g++, below cargo's target folder. They are found by the names of the
//! libraries that they stand for, and the loader reads where to look when a process starts; so a test runs in a process of
//! its own:
//!
//! ```ignore
//! #[test]
//! fn kernels_are_launched() {
//!     graven_tests::cuda::emulated(|| {
//!         // Here, there is a device 0, whose kernels run on the CPU.
//!     });
//! }
//! ```

use std::any::type_name;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{env, fs, process};

#[path = "nvrtc.rs"]
mod nvrtc;

pub use nvrtc::{Report, compile_real, real_nvrtc};

/// The orders in which the threads of a block take their turns: `GRAVEN_EMULATION_ORDER`.
pub const ORDERS: [&str; 3] = ["forward", "reverse", "random"];

/// Which call of [`emulated_with`], among those of its test, this process was started for.
const CALL: &str = "GRAVEN_EMULATED";
/// What such a process prints when that call has come to its end.
const DONE: &str = "emulated to the end";

/// Runs `test` in a process in which the stand-ins are the CUDA driver and NVRTC; panics if it fails there.
///
/// `test` must be a closure in the function with `#[test]`: its type tells the name of the test. Where the stand-ins cannot be
/// built, the reason is printed and nothing runs, unless `GRAVEN_REQUIRE_EMULATION=1` makes that a failure.
pub fn emulated(test: impl FnOnce()) {
    emulated_with(&[], test);
}

/// As [`emulated`], once for each of [`ORDERS`].
pub fn emulated_in_all_orders(test: impl Fn()) {
    for order in ORDERS {
        emulated_with(&[("GRAVEN_EMULATION_ORDER", order)], &test);
    }
}

/// As [`emulated`], with variables of the stand-in driver, which `tests/cuda/driver.cpp` lists.
pub fn emulated_with<F: FnOnce()>(variables: &[(&str, &str)], test: F) {
    match in_process(variables, test) {
        Some(Ok(errors)) => print!("{errors}"),
        Some(Err(output)) => panic!("{output}"),
        None => {}
    }
}

/// As [`emulated`] for a test that must fail, or end its process: what it prints. `None` where nothing runs.
pub fn emulated_failure<F: FnOnce()>(test: F) -> Option<String> {
    in_process(&[], test).map(|result| result.expect_err("the test fails"))
}

/// Runs `test` in a process of its own: what it printed, as an error if it failed. `None` where it cannot run, and in
/// processes that were started for this call or another.
fn in_process<F: FnOnce()>(variables: &[(&str, &str)], test: F) -> Option<Result<String, String>> {
    let name = test_name(type_name::<F>());
    let call = count_call(name).to_string();
    if let Some(started_for) = env::var_os(CALL) {
        // The other calls of the test have processes of their own.
        if started_for == *call {
            test();
            println!("{DONE}");
        }
        return None;
    }
    let mut command = match emulated_command() {
        Ok(command) => command,
        Err(reason) => {
            skip(&reason);
            return None;
        }
    };
    let output = command
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CALL, &call)
        .envs(variables.iter().copied())
        .output()
        .expect("a test can be started again");
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // A wrong name would run no test, and succeed.
    if output.status.success() && printed.contains(DONE) {
        return Some(Ok(errors.into_owned()));
    }
    Some(Err(format!("`{name}` with {variables:?}: {}\n{printed}\n{errors}", output.status)))
}

/// This program once more, in a process in which the stand-ins are the CUDA driver and NVRTC.
///
/// # Errors
/// Why the stand-ins cannot be built.
pub fn emulated_command() -> Result<Command, String> {
    let folder = stand_ins()?;
    let mut command = Command::new(env::current_exe().expect("a test knows its program"));
    command.env("LD_LIBRARY_PATH", search_path(folder));
    command.env("GRAVEN_NVRTC", folder.join("libnvrtc.so")).env("GRAVEN_CACHE", folder.join("cache"));
    Ok(command)
}

/// Why a test is skipped; a failure with `GRAVEN_REQUIRE_EMULATION=1`.
pub fn skip(reason: &str) {
    assert!(env::var_os("GRAVEN_REQUIRE_EMULATION").is_none_or(|value| value != "1"), "{reason}");
    println!("skipped, as CUDA cannot be emulated here: {reason}");
}

/// Where the networks of a test live: the device that `GRAVEN_TEST_DEVICE=cuda` asks for, else the CPU.
#[must_use]
pub fn device() -> graven::Device {
    match env::var("GRAVEN_TEST_DEVICE").as_deref() {
        Err(_) | Ok("cpu") => graven::Device::cpu(),
        Ok("cuda") => graven::Device::cuda(0).unwrap_or_else(|error| panic!("{error}")),
        Ok(other) => panic!("GRAVEN_TEST_DEVICE is cpu or cuda, not {other}"),
    }
}

/// How many calls of a test came before.
fn count_call(test: &'static str) -> usize {
    static CALLS: Mutex<BTreeMap<&str, usize>> = Mutex::new(BTreeMap::new());
    let mut calls = CALLS.lock().unwrap_or_else(PoisonError::into_inner);
    let count = calls.entry(test).or_default();
    *count += 1;
    *count - 1
}

/// The name of the test that holds a closure: `cuda::part::test::{{closure}}` -> `part::test`.
fn test_name(closure: &'static str) -> &'static str {
    let path = closure.trim_start_matches('&').split("::{{closure}}").next().expect("split gives one part at least");
    path.split_once("::").expect("a test is in a crate").1
}

fn search_path(folder: &Path) -> OsString {
    let mut path = folder.as_os_str().to_owned();
    if let Some(rest) = env::var_os("LD_LIBRARY_PATH") {
        path.push(":");
        path.push(rest);
    }
    path
}

/// The folder that holds the stand-ins `libcuda.so.1` and `libnvrtc.so`. Builds them if need be; the error says why it cannot.
pub fn stand_ins() -> Result<&'static Path, String> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOLDER.get_or_init(build).as_deref().map_err(String::clone)
}

/// How a stand-in is built.
struct StandIn {
    file: &'static str,
    /// Under which other name it is asked for.
    alias: &'static str,
    sources: &'static [&'static str],
    options: &'static [&'static str],
}

const STAND_INS: [StandIn; 2] = [
    StandIn {
        file: "libcuda.so.1",
        alias: "libcuda.so",
        sources: &["driver.cpp", "engine.cpp"],
        options: &["-O2", "-pthread", "-ldl"],
    },
    StandIn { file: "libnvrtc.so.13", alias: "libnvrtc.so", sources: &["nvrtc.cpp"], options: &["-O1"] },
];

fn build() -> Result<PathBuf, String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("the stand-ins know Linux on x86-64 only".to_owned());
    }
    let version = Command::new("g++").arg("--version").output();
    let version =
        version.map_err(|error| format!("g++ does not run ({error}); on Debian: apt-get install g++"))?.stdout;

    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda");
    let mut hasher = DefaultHasher::new();
    version.hash(&mut hasher);
    sources.hash(&mut hasher);
    for name in ["emulation.h", "engine.h", "engine.cpp", "driver.cpp", "nvrtc.cpp"] {
        fs::read(sources.join(name)).map_err(|error| format!("{name}: {error}"))?.hash(&mut hasher);
    }
    // Cargo marks its target folder with this file. A test that was copied elsewhere must not write beside itself.
    let test = env::current_exe().map_err(|error| error.to_string())?;
    let temporary = env::temp_dir();
    let target = test.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file()).unwrap_or(&temporary);
    let folder = target.join(format!("cuda-emulation-{:016x}", hasher.finish()));
    if folder.exists() {
        return Ok(folder);
    }

    // Built beside it and then renamed: several tests may do this at once.
    let unfinished = target.join(format!("cuda-emulation-{}.part", process::id()));
    fs::create_dir_all(&unfinished).map_err(|error| format!("{}: {error}", unfinished.display()))?;
    for library in &STAND_INS {
        compile(library, &sources, &unfinished)?;
        // It may be there from a process with the same number that was stopped half way.
        let alias = unfinished.join(library.alias);
        let _ = fs::remove_file(&alias);
        #[cfg(unix)]
        std::os::unix::fs::symlink(library.file, alias).map_err(|error| error.to_string())?;
    }
    if fs::rename(&unfinished, &folder).is_err() {
        let _ = fs::remove_dir_all(&unfinished);
    }
    if folder.exists() { Ok(folder) } else { Err(format!("cannot make {}", folder.display())) }
}

fn compile(library: &StandIn, sources: &Path, folder: &Path) -> Result<(), String> {
    let file = library.file;
    let output = Command::new("g++")
        .args(["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden"])
        .arg(format!("-Wl,-soname,{file}"))
        .arg(format!("-DEMULATION_HEADER=\"{}\"", sources.join("emulation.h").display()))
        .arg("-o")
        .arg(folder.join(file))
        .args(library.sources.iter().map(|source| sources.join(source)))
        .args(library.options)
        .output()
        .map_err(|error| format!("g++ does not run: {error}"))?;
    // That they do not compile is a mistake in this repository, not in the machine.
    assert!(output.status.success(), "{file} does not compile:\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
