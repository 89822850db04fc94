//! Times the tutorial network on a GPU for `tests/gpu/run.py`: training steps at several batch sizes, and inference of one
//! image. Batches are on the device; prints one line of JSON for each work.
//!
//! `cargo run --release --example gpu -- --batch-sizes 100,1000,10000`

use std::time::Instant;

use clap::Parser;
use graven::prelude::*;

include!("../tests/stages/tutorial.rs");

#[derive(Parser)]
struct Arguments {
    /// Images in a batch, several with commas.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    batch_sizes: Vec<usize>,
    /// Steps that are timed, between two waits for the device.
    #[arg(long, default_value_t = 200)]
    steps: usize,
    /// Repetitions, of which the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

fn main() -> graven::Result<()> {
    let arguments = Arguments::parse();
    let device = Device::cuda(0)?;
    for &batch in &arguments.batch_sizes {
        let data = Silhouettes::train(batch, Seed(0))?;
        let (images, labels) = (data.images().to(&device)?, data.labels().to(&device)?);
        let mut network = Network::init(Seed(0), &device)?;
        let mut adam = Adam::new(0.001);
        let train = || network.loss_step(&images, &labels, &mut adam)?.0.item();
        report("training step", batch, &arguments, train)?;
    }
    let network = Network::init(Seed(0), &device)?;
    let image = Tensor::<f32>::zeros([1, 1, 28, 28])?.to(&device)?;
    report("inference", 1, &arguments, || network.forward(&image)?.to_vec().map(|logits| logits[0]))
}

/// Milliseconds of one step, waiting for each as a service would (`latency_ms`).
fn report(
    work: &str,
    batch: usize,
    arguments: &Arguments,
    mut step: impl FnMut() -> graven::Result<f32>,
) -> graven::Result<()> {
    for _ in 0..20 {
        step()?;
    }
    let mut rounds = Vec::new();
    for _ in 0..arguments.rounds {
        let start = Instant::now();
        for _ in 0..arguments.steps {
            step()?;
        }
        rounds.push(1e3 * start.elapsed().as_secs_f64() / arguments.steps as f64);
    }
    rounds.sort_by(f64::total_cmp);
    let median = rounds[rounds.len() / 2];
    println!("{{\"peer\": \"graven\", \"work\": \"{work}\", \"batch\": {batch}, \"median_ms\": {median:.5}}}");
    Ok(())
}
