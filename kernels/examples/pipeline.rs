//! How fast this core multiplies at the moment, in loops with more or fewer instructions beside the multiply-adds:
//! `cargo run --release -p graven-kernels --example pipeline`, on a processor with AVX-512.
//!
//! On a quiet core a tile takes as long as multiply-adds alone. Where somebody works on the other half of it, both share the
//! front of the pipeline, and what takes more instructions takes longer.

#[cfg(target_arch = "x86_64")]
mod loops {
    use std::arch::asm;
    use std::time::Instant;

    /// What the loops read.
    #[repr(C, align(64))]
    pub(super) struct Data([f32; 2048]);

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
                    asm!(
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
        /// An instruction that does nothing for every two.
        one_nop = twelve!("zmm31", "nop\n");
        /// Two of them.
        two_nops = twelve!("zmm31", "nop\nnop\n");
        /// A load for every two.
        one_load = twelve!("zmm31", "vmovups zmm12, [{data}]\n");
        /// Every second multiply-add reads memory itself.
        one_operand = twelve!("[{data} + 64]", "");
        /// A register tile of a product: four floats times six vectors.
        tile = "vbroadcastss zmm24, dword ptr [{data}]", "vbroadcastss zmm25, dword ptr [{data} + 64]",
            "vbroadcastss zmm26, dword ptr [{data} + 128]", "vbroadcastss zmm27, dword ptr [{data} + 192]",
            column!(4096, 0, 1, 2, 3), column!(4160, 4, 5, 6, 7), column!(4224, 8, 9, 10, 11),
            column!(4288, 12, 13, 14, 15), column!(4352, 16, 17, 18, 19), column!(4416, 20, 21, 22, 23);
    }

    /// Prints the nanoseconds of a multiply-add, the least and the median of many short runs, all loops in turn.
    ///
    /// # Safety
    /// The processor has AVX-512.
    pub(super) unsafe fn measure() {
        type Loop = unsafe fn(u64, &Data);
        let loops: [(&str, Loop, u64); 6] = [
            ("multiply-adds alone", alone, 12),
            ("one nop for two", one_nop, 12),
            ("two nops for two", two_nops, 12),
            ("one load for two", one_load, 12),
            ("one of two reads memory", one_operand, 12),
            ("a register tile: 10 loads for 24", tile, 24),
        ];
        let data = Data([0.0; 2048]);
        let mut times = [const { Vec::new() }; 6];
        for _ in 0..500 {
            for ((_, run, n), times) in loops.iter().zip(&mut times) {
                let rounds = 240_000 / n;
                let start = Instant::now();
                // SAFETY: the contract.
                unsafe { run(rounds, &data) };
                times.push(start.elapsed().as_secs_f64() * 1e9 / (rounds * n) as f64);
            }
        }
        println!("{:34} {:>8} {:>8}  ns for a multiply-add of 512 bits", "", "least", "median");
        for ((name, ..), mut times) in loops.into_iter().zip(times) {
            times.sort_by(f64::total_cmp);
            println!("{name:34} {:8.3} {:8.3}", times[0], times[times.len() / 2]);
        }
    }
}

fn main() {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: just checked.
        return unsafe { loops::measure() };
    }
    println!("these loops need AVX-512, which this processor does not have");
}
