//! How fast this core multiplies at the moment, in loops with more or fewer instructions beside the multiply-adds:
//! `cargo run --release --example pipeline`, on a processor with AVX-512.
//!
//! On a quiet core a tile takes as long as multiply-adds alone. Where somebody works on the other half of it, both share the
//! front of the pipeline, and what takes more instructions takes longer.

#[cfg(target_arch = "x86_64")]
#[path = "pipeline/loops.rs"]
mod loops;

/// The least and the median of many short runs, all loops in turn; None if the processor has no AVX-512.
#[cfg(target_arch = "x86_64")]
fn measured() -> Option<Vec<(&'static str, Vec<f64>)>> {
    let mut all: Vec<(&str, Vec<f64>)> = loops::LOOPS.iter().map(|own| (own.name, Vec::new())).collect();
    for _ in 0..500 {
        for (own, (_, times)) in loops::LOOPS.iter().zip(&mut all) {
            times.extend(own.times(1)?);
        }
    }
    Some(all)
}

#[cfg(not(target_arch = "x86_64"))]
fn measured() -> Option<Vec<(&'static str, Vec<f64>)>> {
    None
}

fn main() {
    let Some(loops) = measured() else {
        return println!("these loops need AVX-512, which this processor does not have");
    };
    println!("{:34} {:>8} {:>8}  ns for a multiply-add of 512 bits", "", "least", "median");
    for (name, mut times) in loops {
        times.sort_by(f64::total_cmp);
        println!("{name:34} {:8.3} {:8.3}", times[0], times[times.len() / 2]);
    }
}
