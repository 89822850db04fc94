//! How fast this core multiplies at the moment, in loops with more or fewer instructions beside the multiply-adds:
//! `cargo run --release --example pipeline`, on a processor with AVX-512.
//!
//! On a quiet core a tile takes as long as multiply-adds alone. Where somebody works on the other half of it, both share the
//! front of the pipeline, and what takes more instructions takes longer.

#[cfg(target_arch = "x86_64")]
#[macro_use]
#[path = "pipeline/loops.rs"]
mod loops;

#[cfg(target_arch = "x86_64")]
mod more {
    use crate::loops::{ALONE, Data, Loop, TILE};

    repeated! {
        /// An instruction that does nothing for every two.
        one_nop = twelve!("zmm31", "nop\n");
        /// Two of them.
        two_nops = twelve!("zmm31", "nop\nnop\n");
        /// A load for every two.
        one_load = twelve!("zmm31", "vmovups zmm12, [{data}]\n");
        /// Every second multiply-add reads memory itself.
        one_operand = twelve!("[{data} + 64]", "");
    }

    /// What each loop has beside multiply-adds.
    const LOOPS: [(&str, Loop); 6] = [
        ("multiply-adds alone", ALONE),
        ("one nop for two", Loop { run: one_nop, n: 12 }),
        ("two nops for two", Loop { run: two_nops, n: 12 }),
        ("one load for two", Loop { run: one_load, n: 12 }),
        ("one of two reads memory", Loop { run: one_operand, n: 12 }),
        ("a register tile: 10 loads for 24", TILE),
    ];

    /// The times of many short runs, all loops in turn; None if the processor has no AVX-512.
    pub(crate) fn measured() -> Option<Vec<(&'static str, Vec<f64>)>> {
        let mut all: Vec<(&str, Vec<f64>)> = LOOPS.iter().map(|(name, _)| (*name, Vec::new())).collect();
        for _ in 0..500 {
            for ((_, own), (_, times)) in LOOPS.iter().zip(&mut all) {
                times.extend(own.times(1)?);
            }
        }
        Some(all)
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod more {
    pub(crate) fn measured() -> Option<Vec<(&'static str, Vec<f64>)>> {
        None
    }
}

fn main() {
    let Some(loops) = more::measured() else {
        return println!("these loops need AVX-512, which this processor does not have");
    };
    println!("{:34} {:>8} {:>8}  ns for a multiply-add of 512 bits", "", "least", "median");
    for (name, mut times) in loops {
        times.sort_by(f64::total_cmp);
        println!("{name:34} {:8.3} {:8.3}", times[0], times[times.len() / 2]);
    }
}
