//! The main job: trains the convolutional network of the PyTorch tutorials on Fashion-MNIST or MNIST, measures it, saves
//! it, and predicts pictures with it.
//!
//! ```text
//! cargo run --release --example fashion_mnist                                    # finds data, or draws some
//! cargo run --release --example fashion_mnist -- --data DIR --epochs 10
//! cargo run --release --example fashion_mnist -- --load network.checkpoint.safetensors --epochs 20   # goes on
//! cargo run --release --example fashion_mnist -- --load network.safetensors --evaluate
//! cargo run --release --example fashion_mnist -- --load network.safetensors --predict picture.png
//! ```

#[path = "fashion_mnist/network.rs"]
mod network;
#[path = "fashion_mnist/options.rs"]
mod options;
#[path = "fashion_mnist/picture.rs"]
mod picture;
#[path = "fashion_mnist/report.rs"]
mod report;
#[path = "fashion_mnist/source.rs"]
mod source;
#[path = "fashion_mnist/train.rs"]
mod train;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use graven::prelude::*;

use network::Network;
use options::Options;
use source::Source;

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(answer) => {
            // `--help` arrives here as well. Nothing can be said where the terminal is gone.
            let _ = answer.print();
            return if answer.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let Err(error) = run(&options, &mut io::stdout()) else { return ExitCode::SUCCESS };
    let message = match error.downcast_ref::<io::Error>() {
        // Whoever closes the pipe, as `head` does, has read enough.
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::FAILURE,
        Some(error) => format!("cannot write to the standard output: {error}"),
        None => error.to_string(),
    };
    let _ = writeln!(io::stderr(), "error: {message}");
    ExitCode::FAILURE
}

fn run(options: &Options, out: &mut impl Write) -> anyhow::Result<()> {
    if let Some(threads) = options.threads {
        graven::threads::set(threads);
    }
    match (&options.load, &options.predict) {
        (Some(weights), Some(picture)) => predict(options, weights, picture, out),
        (Some(weights), None) if options.evaluate => evaluate(options, weights, out),
        _ => train::train(options, out),
    }
}

/// Measures saved weights on the test set.
fn evaluate(options: &Options, weights: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let network = load(weights)?;
    let source = Source::choose(options, out)?;
    let test = source.test()?;
    writeln!(out, "evaluating {} on the test images of {source}: {test}", weights.display())?;
    let confusion = report::evaluate(&network, &test)?;
    write!(out, "{confusion}")?;
    writeln!(out, "test accuracy {:.4}", confusion.accuracy())?;
    Ok(())
}

/// Prints the classes of a picture, the most probable first.
fn predict(options: &Options, weights: &Path, path: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let network = load(weights)?;
    let picture = picture::read(path, options.dataset)?;
    writeln!(out, "{}", picture.description)?;
    let logits = network.forward(&picture.tensor)?;
    let mut classes: Vec<(f64, &str)> =
        report::softmax(logits.as_slice()).into_iter().zip(Source::class_names(options.dataset)).collect();
    classes.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (probability, class) in classes {
        writeln!(out, "{class:<12} {probability:.4}")?;
    }
    Ok(())
}

/// A network with the weights of a file, which may be a checkpoint.
fn load(weights: &Path) -> anyhow::Result<Network> {
    let mut network = Network::init(Seed(0), &Device::best())?;
    network.load(weights)?;
    Ok(network)
}
