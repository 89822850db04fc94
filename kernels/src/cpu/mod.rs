//! What the CPU kernels share: the instruction set, lanes of floats, layouts, elementwise loops, vectorisable mathematics.
//!
//! A kernel is written once, as an `#[inline(always)]` function over `lanes::Lanes` (one vector of 16 floats), and
//! `instantiate!` makes one `#[target_feature]` function per instruction set from it, with a `match` on [`Isa`] in front.
//! An [`Isa`] can only be had from detection, which is what the calls into those functions rest on.
//!
//! ```
//! use graven_kernels::cpu::{Context, Isa, map::{Map, map}};
//!
//! let cx = Context::whole(Isa::detect(), 0);
//! let spec = Map { dims: [2, 3], strides: [[3, 1], [0, 1]] };
//! let (input, bias) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [10.0, 20.0, 30.0]);
//! let mut output = [0.0; 6];
//! map(&cx, &spec, [&input, &bias], &mut output, |[x, b]| x + b);
//! assert_eq!(output, [11.0, 22.0, 33.0, 14.0, 25.0, 36.0]);
//! ```

use std::sync::OnceLock;

pub mod layout;
pub mod map;
pub mod math;
pub mod optimizer;
pub mod sums;

pub(crate) mod gemm;
pub(crate) mod lanes;
pub(crate) mod relu;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod tile;
pub(crate) mod walk;

/// The instruction sets that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// x86-64 with AVX-512 F, BW, VL, DQ, and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// x86-64 with AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 64-bit Arm.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// What every processor of the target has.
    Portable,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
            Kind::Portable => "portable",
        }
    }

    /// Whether the processor that runs this has the set.
    fn is_here(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && Kind::Avx2.is_here()
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            Kind::Portable => true,
        }
    }
}

/// Every set of this target, the best one first.
const KINDS: &[Kind] = &[
    #[cfg(target_arch = "x86_64")]
    Kind::Avx512,
    #[cfg(target_arch = "x86_64")]
    Kind::Avx2,
    #[cfg(target_arch = "aarch64")]
    Kind::Neon,
    Kind::Portable,
];

/// An instruction set that the running processor has: AVX-512, AVX2 with FMA, NEON, or what every processor of the target has.
///
/// The same computation gives the same bits on the same set, and may differ in the last bits between two sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa {
    kind: Kind,
    /// Whether a multiply-add of 512 bits takes two steps, so that it may read memory each time, while a store delays it. Kernels choose
    /// their way by that, never their results.
    in_halves: bool,
}

impl Isa {
    /// The best set of this processor, found once.
    ///
    /// The environment variable `GRAVEN_ISA` (`avx512`, `avx2`, `neon` or `portable`), read on the first call, lowers the
    /// choice; a set that the processor does not have, or an unknown name, is not followed.
    #[must_use]
    pub fn detect() -> Isa {
        static DETECTED: OnceLock<Isa> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            let wanted = std::env::var("GRAVEN_ISA").unwrap_or_default();
            let named = Isa::available().find(|isa| isa.name() == wanted);
            named.or_else(|| Isa::available().next()).unwrap_or(Isa { kind: Kind::Portable, in_halves: false })
        })
    }

    /// Every set that this processor has, the best one first; the last one is `portable`.
    pub fn available() -> impl Iterator<Item = Isa> {
        let in_halves = has_halves();
        KINDS.iter().filter(|kind| kind.is_here()).map(move |&kind| Isa { kind, in_halves })
    }

    /// The name as `GRAVEN_ISA` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.kind.name()
    }

    /// Runs `f` inside a function that is compiled for this set, so that loops in `f` are vectorised for it once the
    /// compiler has inlined it there.
    #[inline]
    pub fn run<R>(self, f: impl FnOnce() -> R) -> R {
        match self.kind {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
                fn run<R>(f: impl FnOnce() -> R) -> R {
                    f()
                }
                // SAFETY: an `Isa` of this kind exists only if `Kind::is_here` found these features.
                unsafe { run(f) }
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => {
                #[target_feature(enable = "avx2,fma")]
                fn run<R>(f: impl FnOnce() -> R) -> R {
                    f()
                }
                // SAFETY: an `Isa` of this kind exists only if `Kind::is_here` found these features.
                unsafe { run(f) }
            }
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => {
                #[target_feature(enable = "neon")]
                fn run<R>(f: impl FnOnce() -> R) -> R {
                    f()
                }
                // SAFETY: an `Isa` of this kind exists only if `Kind::is_here` found this feature.
                unsafe { run(f) }
            }
            Kind::Portable => f(),
        }
    }

    pub(crate) fn kind(self) -> Kind {
        self.kind
    }

    pub(crate) fn in_halves(self) -> bool {
        self.in_halves
    }

    /// The same set on units of the other width.
    #[cfg(test)]
    pub(crate) fn with_halves(self, in_halves: bool) -> Isa {
        Isa { in_halves, ..self }
    }
}

/// Whether the processor is a Zen 4, which has AVX-512 on units of 256 bits.
fn has_halves() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::__cpuid;
        let (maker, version) = (__cpuid(0), __cpuid(1));
        let name = [maker.ebx, maker.edx, maker.ecx].map(u32::to_le_bytes);
        // Base and extended family.
        let family = (version.eax >> 8 & 0xF) + (version.eax >> 20 & 0xFF);
        name.as_flattened() == b"AuthenticAMD" && family == 0x19
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// What a kernel knows about its call besides sizes and slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The instruction set to run on.
    pub isa: Isa,
    /// How many samples of the tile are real, at least one. What lies behind them, copies or nothing, nobody reads the results of.
    pub count: usize,
    /// Index in the batch of the tile's first sample.
    pub first: usize,
    /// Seed of the step, for dropout.
    pub seed: u64,
    /// Whether a sum over samples is added to what its output holds, from earlier tiles; otherwise it overwrites that.
    pub adds: bool,
    /// Whether the memory that a kernel keeps from tile to tile holds what an earlier tile made of the same parameters; otherwise
    /// the kernel fills it.
    pub prepared: bool,
}

impl Context {
    /// The context of a kernel that works on complete tensors.
    #[must_use]
    pub fn whole(isa: Isa, seed: u64) -> Context {
        Context { isa, count: 1, first: 0, seed, adds: false, prepared: false }
    }
}

/// Makes `$name` from `$generic`, a function over `lanes::Lanes`: one `#[target_feature]` function per instruction set and
/// a `match` in front. `unsafe fn`s stay unsafe: what `$generic` asks of its caller, `$name` asks as well.
macro_rules! instantiate {
    ($(#[$attribute:meta])* $visibility:vis unsafe fn $name:ident = $generic:ident($($argument:ident: $type:ty),* $(,)?)) => {
        $(#[$attribute])*
        #[allow(clippy::missing_safety_doc)]
        $visibility unsafe fn $name(isa: $crate::cpu::Isa, $($argument: $type),*) {
            match isa.kind() {
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::Kind::Avx512 => {
                    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
                    unsafe fn avx512($($argument: $type),*) {
                        // SAFETY: the caller keeps the contract of the generic function; the features are on here.
                        unsafe { $generic::<$crate::cpu::lanes::Avx512>($($argument),*) }
                    }
                    // SAFETY: an `Isa` of this kind exists only if detection found these features.
                    unsafe { avx512($($argument),*) }
                }
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::Kind::Avx2 => {
                    #[target_feature(enable = "avx2,fma")]
                    unsafe fn avx2($($argument: $type),*) {
                        // SAFETY: the caller keeps the contract of the generic function; the features are on here.
                        unsafe { $generic::<$crate::cpu::lanes::Avx2>($($argument),*) }
                    }
                    // SAFETY: an `Isa` of this kind exists only if detection found these features.
                    unsafe { avx2($($argument),*) }
                }
                #[cfg(target_arch = "aarch64")]
                $crate::cpu::Kind::Neon => {
                    #[target_feature(enable = "neon")]
                    unsafe fn neon($($argument: $type),*) {
                        // SAFETY: the caller keeps the contract of the generic function; the feature is on here.
                        unsafe { $generic::<$crate::cpu::lanes::Neon>($($argument),*) }
                    }
                    // SAFETY: an `Isa` of this kind exists only if detection found this feature.
                    unsafe { neon($($argument),*) }
                }
                $crate::cpu::Kind::Portable => {
                    // SAFETY: the caller keeps the contract of the generic function; no features are needed.
                    unsafe { $generic::<$crate::cpu::lanes::Portable>($($argument),*) }
                }
            }
        }
    };
}
pub(crate) use instantiate;
