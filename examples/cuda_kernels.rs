//! Compiles the CUDA kernels of the tutorial network and says how long it took; no GPU is needed, only NVRTC.
//!
//! `cargo run --release --example cuda_kernels` compiles, and a second time finds the kernels in the cache;
//! `cargo run --example cuda_kernels -- --source` prints them instead.

use std::io::Write as _;

use clap::Parser;
use graven::prelude::*;

include!("../tests/stages/tutorial.rs");

#[derive(Parser)]
struct Arguments {
    /// The architecture to compile for.
    #[arg(long, default_value = "sm_90a")]
    architecture: String,
    /// Print the text of the kernels, and compile nothing.
    #[arg(long)]
    source: bool,
}

fn main() -> graven::Result<()> {
    let arguments = Arguments::parse();
    if arguments.source {
        // Who reads it may stop before its end.
        let _ = std::io::stdout().write_all(Network::cuda_source().as_bytes());
        return Ok(());
    }
    let report = Network::compile_cuda(&arguments.architecture)?;
    println!(
        "{} kernels for {} in {:.0} ms, {} compiled",
        report.kernels,
        arguments.architecture,
        1e3 * report.time.as_secs_f64(),
        report.compiled
    );
    Ok(())
}
