//! Times one training step of the tutorial network, as `tests/peers/step.py` does for PyTorch: forward, cross entropy,
//! backward and Adam on a batch that is already in memory. Prints one line of JSON with the median over 200 steps.
//!
//! `cargo run --release --example step -- --batch-size 100 --threads 1`

use std::time::Instant;

use clap::Parser;
use graven::prelude::*;

include!("../tests/stages/tutorial.rs");

#[derive(Parser)]
struct Arguments {
    /// Images in a batch.
    #[arg(long, default_value_t = 100)]
    batch_size: usize,
    /// Threads that compute.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

const WARM_UP_STEPS: usize = 50;
const STEPS: usize = 200;

fn main() -> graven::Result<()> {
    let arguments = Arguments::parse();
    graven::threads::set(arguments.threads);
    let data = Silhouettes::train(arguments.batch_size, Seed(0))?;
    let mut network = Network::init(Seed(0), &Device::cpu())?;
    let mut adam = Adam::new(0.01);
    let mut times = Vec::new();
    for step in 0..WARM_UP_STEPS + STEPS {
        let start = Instant::now();
        network.loss_step(data.images(), data.labels(), &mut adam)?;
        if step >= WARM_UP_STEPS {
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{{\"peer\": \"graven\", \"version\": \"{}\", \"batch\": {}, \"threads\": {}, \"median_ms\": {:.4}}}",
        env!("CARGO_PKG_VERSION"),
        arguments.batch_size,
        arguments.threads,
        times[STEPS / 2]
    );
    Ok(())
}
