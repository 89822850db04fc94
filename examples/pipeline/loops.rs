//! Loops of multiply-adds in assembly for AVX-512: what they are made of, and the two that say how much of a core is left.

use std::time::Instant;

/// What the loops read.
#[repr(C, align(64))]
pub(crate) struct Data([f32; 2048]);

/// A function that runs the lines so many times, with a pointer to [`Data`] as `{data}`.
macro_rules! repeated {
    ($($(#[$doc:meta])* $name:ident = $($line:expr),+;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// The processor has AVX-512.
        unsafe fn $name(rounds: u64, data: &Data) {
            // SAFETY: the processor has the instructions; they read inside of `data` and write registers that are named here.
            unsafe {
                std::arch::asm!(
                    "vpxord zmm30, zmm30, zmm30",
                    "vpxord zmm31, zmm31, zmm31",
                    "2: # {data}",
                    $($line,)+
                    "dec {rounds}",
                    "jnz 2b",
                    rounds = inout(reg) rounds => _,
                    data = in(reg) data,
                    out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _, out("zmm6") _,
                    out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _, out("zmm12") _, out("zmm13") _,
                    out("zmm14") _, out("zmm15") _, out("zmm16") _, out("zmm17") _, out("zmm18") _, out("zmm19") _,
                    out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _, out("zmm24") _, out("zmm25") _,
                    out("zmm26") _, out("zmm27") _, out("zmm28") _, out("zmm30") _, out("zmm31") _,
                    options(nostack, readonly),
                );
            }
        }
    )*};
}

/// Two multiply-adds, the second with `$other` for an operand, and what stands beside them.
macro_rules! pair {
    ($a:literal, $b:literal, $other:literal, $beside:literal) => {
        concat!("vfmadd231ps zmm", $a, ", zmm30, zmm31\nvfmadd231ps zmm", $b, ", zmm30, ", $other, "\n", $beside)
    };
}

/// Twelve multiply-adds.
macro_rules! twelve {
    ($other:literal, $beside:literal) => {
        concat!(
            pair!(0, 1, $other, $beside),
            pair!(2, 3, $other, $beside),
            pair!(4, 5, $other, $beside),
            pair!(6, 7, $other, $beside),
            pair!(8, 9, $other, $beside),
            pair!(10, 11, $other, $beside)
        )
    };
}

/// A vector times four floats that wait in registers.
macro_rules! column {
    ($at:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "vmovups zmm28, [{data} + ",
            $at,
            "]\n",
            "vfmadd231ps zmm",
            $a,
            ", zmm24, zmm28\nvfmadd231ps zmm",
            $b,
            ", zmm25, zmm28\n",
            "vfmadd231ps zmm",
            $c,
            ", zmm26, zmm28\nvfmadd231ps zmm",
            $d,
            ", zmm27, zmm28\n"
        )
    };
}

repeated! {
    /// Nothing else.
    alone = twelve!("zmm31", "");
    /// A register tile of a product: four floats times six vectors.
    tile = "vbroadcastss zmm24, dword ptr [{data}]", "vbroadcastss zmm25, dword ptr [{data} + 64]",
        "vbroadcastss zmm26, dword ptr [{data} + 128]", "vbroadcastss zmm27, dword ptr [{data} + 192]",
        column!(4096, 0, 1, 2, 3), column!(4160, 4, 5, 6, 7), column!(4224, 8, 9, 10, 11),
        column!(4288, 12, 13, 14, 15), column!(4352, 16, 17, 18, 19), column!(4416, 20, 21, 22, 23);
}

/// A loop, which any processor with AVX-512 may run, and how many multiply-adds it has.
pub(crate) struct Loop {
    pub(crate) run: unsafe fn(u64, &Data),
    pub(crate) n: u64,
}

/// Multiply-adds alone.
pub(crate) const ALONE: Loop = Loop { run: alone, n: 12 };

/// The register tile of a product.
pub(crate) const TILE: Loop = Loop { run: tile, n: 24 };

impl Loop {
    /// Nanoseconds of a multiply-add of 512 bits in each of `runs` short runs; None if the processor has no AVX-512.
    pub(crate) fn times(&self, runs: usize) -> Option<impl Iterator<Item = f64>> {
        let Loop { run, n } = *self;
        let data = Data([0.0; 2048]);
        is_x86_feature_detected!("avx512f").then(|| {
            (0..runs).map(move |_| {
                let rounds = 240_000 / n;
                let start = Instant::now();
                // SAFETY: the processor has AVX-512.
                unsafe { run(rounds, &data) };
                start.elapsed().as_secs_f64() * 1e9 / (rounds * n) as f64
            })
        })
    }
}
