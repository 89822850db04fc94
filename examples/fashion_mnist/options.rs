//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, ValueEnum};

/// Trains a small convolutional network on Fashion-MNIST or MNIST, measures it, saves it, predicts pictures with it
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Folder of the data set's files [default: data, and a synthetic set where that has none]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// The data set
    #[arg(long, value_enum, default_value_t = Dataset::Fashion)]
    pub(crate) dataset: Dataset,

    /// How often to walk through the training images, those before a checkpoint included
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one::<u64>)]
    pub(crate) epochs: u64,

    /// Images per training step [default: that of the checkpoint, or 100]
    #[arg(long, value_name = "N", value_parser = at_least_one::<usize>)]
    pub(crate) batch_size: Option<usize>,

    /// Learning rate of Adam [default: that of the checkpoint, or 0.01]
    #[arg(long, value_name = "RATE", value_parser = learning_rate)]
    pub(crate) lr: Option<f64>,

    /// Seed of the first weights and of the order of the images [default: that of the checkpoint, or 0]
    #[arg(long)]
    pub(crate) seed: Option<u64>,

    /// Threads to compute with; the result does not depend on it [default: all cores]
    #[arg(long, value_name = "N", value_parser = at_least_one::<usize>)]
    pub(crate) threads: Option<usize>,

    /// Weights to begin with, or a checkpoint to go on from
    #[arg(long, value_name = "FILE")]
    pub(crate) load: Option<PathBuf>,

    /// Only measure the weights of --load on the test images
    #[arg(long, requires = "load", conflicts_with = "predict")]
    pub(crate) evaluate: bool,

    /// Only classify this picture (PNG or JPEG) of one thing on a plain background with the weights of --load
    #[arg(long, value_name = "IMAGE", requires = "load")]
    pub(crate) predict: Option<PathBuf>,

    /// Where to save the weights
    #[arg(long, value_name = "FILE", default_value = "network.safetensors")]
    pub(crate) save: PathBuf,

    /// Where to save the state of the training after every epoch [default: beside the weights, *.checkpoint.safetensors]
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
}

/// The data sets that this job knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dataset {
    /// Fashion-MNIST: garments
    Fashion,
    /// MNIST: handwritten digits
    Mnist,
}

impl Options {
    /// Where the checkpoint is saved.
    pub(crate) fn checkpoint_path(&self) -> PathBuf {
        self.checkpoint.clone().unwrap_or_else(|| self.save.with_extension("checkpoint.safetensors"))
    }
}

fn at_least_one<T: FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T, String> {
    text.parse()
        .ok()
        .filter(|number| *number >= T::from(1))
        .ok_or_else(|| "expected a whole number of at least 1".to_owned())
}

fn learning_rate(text: &str) -> Result<f64, String> {
    let lr: f64 = text.parse().map_err(|_| "expected a number, such as 0.01".to_owned())?;
    if lr.is_finite() && lr > 0.0 { Ok(lr) } else { Err("expected a finite number above 0".to_owned()) }
}
