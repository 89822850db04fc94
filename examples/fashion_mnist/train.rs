//! The training: epochs, checkpoints, the weights at the end.

use std::io::Write;
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use graven::data::ImageDataset;
use graven::prelude::*;
use indicatif::{ProgressBar, ProgressStyle};

use crate::network::Network;
use crate::options::Options;
use crate::report;
use crate::source::Source;

/// What a training begins with.
#[derive(Clone, Copy)]
enum Start<'a> {
    New,
    Weights(&'a Path),
    Checkpoint(&'a Path),
}

/// The state of a training between two epochs; all of it goes into a checkpoint.
struct Training {
    network: Network,
    adam: Adam,
    settings: Settings,
    /// How many epochs are done.
    epoch: u64,
}

/// What a training must keep to be continued bit for bit.
struct Settings {
    /// What it is trained on, in words.
    data: String,
    seed: u64,
    batch_size: usize,
    lr: f64,
}

/// What an epoch did.
struct Epoch {
    loss: f64,
    accuracy: f64,
    images_per_second: f64,
}

/// Trains, and writes what happens to `out`.
pub(crate) fn train(options: &Options, out: &mut impl Write) -> anyhow::Result<()> {
    let checkpoint = options.checkpoint_path();
    ensure!(checkpoint != options.save, "--checkpoint and --save both name {}", checkpoint.display());
    // Better now than after the last epoch.
    check_folder(&options.save)?;
    check_folder(&checkpoint)?;
    let start = match &options.load {
        Some(path) if Checkpoint::is_checkpoint(path)? => Start::Checkpoint(path),
        Some(path) => Start::Weights(path),
        None => Start::New,
    };

    let source = Source::choose(options, out)?;
    let (train, test) = (source.train()?, source.test()?);
    writeln!(out, "reading {source}")?;
    writeln!(out, "training: {train}")?;
    writeln!(out, "test: {test}")?;

    let mut training = Training::begin(start, options, format!("{}, {train}", source.name()), out)?;
    let Settings { seed, batch_size, lr, .. } = training.settings;
    writeln!(out, "{}", training.network)?;
    let threads = match graven::threads::get() {
        1 => "1 thread".to_owned(),
        n => format!("{n} threads"),
    };
    let device = training.network.device();
    writeln!(out, "on {device} with {threads}, batch size {batch_size}, lr {lr:?}, seed {seed}")?;
    if training.epoch >= options.epochs {
        writeln!(out, "{} of {} epochs are done: nothing to train", training.epoch, options.epochs)?;
    }
    while training.epoch < options.epochs {
        let Epoch { loss, accuracy, images_per_second } = training.epoch(&train, options.epochs)?;
        let test_accuracy = report::evaluate(&training.network, &test)?.accuracy();
        writeln!(
            out,
            "epoch {}/{}: loss {loss:.4}, training accuracy {accuracy:.4}, test accuracy {test_accuracy:.4}, \
             {images_per_second:.0} images/s",
            training.epoch, options.epochs
        )?;
        training.save(&checkpoint)?;
    }

    let confusion = report::evaluate(&training.network, &test)?;
    write!(out, "{confusion}")?;
    training.network.save(&options.save)?;
    writeln!(out, "saved the weights to {}", options.save.display())?;
    writeln!(out, "test accuracy {:.4}", confusion.accuracy())?;
    Ok(())
}

impl Training {
    /// The state before the first epoch to train.
    fn begin(start: Start<'_>, options: &Options, data: String, out: &mut impl Write) -> anyhow::Result<Training> {
        let settings = match start {
            Start::Checkpoint(path) => Settings::of_checkpoint(path, options, data)?,
            _ => Settings::new(options, data),
        };
        let mut network = Network::init(Seed(settings.seed), &Device::best())?;
        let mut adam = Adam::new(settings.lr);
        let mut epoch = 0;
        match start {
            Start::New => {}
            Start::Weights(path) => {
                network.load(path)?;
                writeln!(out, "beginning with the weights of {}", path.display())?;
            }
            Start::Checkpoint(path) => {
                Checkpoint::load(path, &mut network, &mut adam)?;
                // The settings decide, whatever rate came with the optimizer.
                adam.set_lr(settings.lr);
                epoch = saved(path, "epoch")?;
                writeln!(out, "going on after epoch {epoch} of {}", path.display())?;
            }
        }
        Ok(Training { network, adam, settings, epoch })
    }

    /// One walk through the training images, in an order that depends on the seed and the epoch alone.
    fn epoch(&mut self, train: &ImageDataset, epochs: u64) -> anyhow::Result<Epoch> {
        let Settings { seed, batch_size, .. } = self.settings;
        let bar = progress_bar(train.len(), self.epoch + 1, epochs);
        let (mut images, mut labels) = (Tensor::default(), Tensor::default());
        let mut batches = train.batches(batch_size).shuffled(shuffle_seed(seed, self.epoch));
        let (mut loss_sum, mut n_correct, mut n_images) = (0.0, 0, 0);
        let start = Instant::now();
        while batches.next_into(&mut images, &mut labels) {
            let (loss, correct) = self.network.loss_step(&images, &labels, &mut self.adam)?;
            let loss = f64::from(loss.item()?);
            if !loss.is_finite() {
                bail!(
                    "the loss became {loss} in epoch {} after {n_images} images\nhelp: try a smaller --lr than {:?}",
                    self.epoch + 1,
                    self.settings.lr
                );
            }
            loss_sum += loss * labels.len() as f64;
            n_correct += correct.item()?;
            n_images += labels.len();
            bar.inc(labels.len() as u64);
        }
        let seconds = start.elapsed().as_secs_f64();
        bar.finish_and_clear();
        self.epoch += 1;
        let n_images = n_images as f64;
        Ok(Epoch {
            loss: loss_sum / n_images,
            accuracy: n_correct as f64 / n_images,
            images_per_second: n_images / seconds,
        })
    }

    /// Writes the checkpoint: the old one stays whole until the new one is.
    fn save(&self, path: &Path) -> anyhow::Result<()> {
        let Settings { data, seed, batch_size, lr } = &self.settings;
        let metadata = [
            ("data", data.clone()),
            ("epoch", self.epoch.to_string()),
            ("seed", seed.to_string()),
            ("batch_size", batch_size.to_string()),
            ("lr", lr.to_string()),
        ];
        Ok(Checkpoint::save(path, &self.network, &self.adam, &metadata)?)
    }
}

impl Settings {
    /// What the options say, else the defaults.
    fn new(options: &Options, data: String) -> Settings {
        Settings {
            data,
            seed: options.seed.unwrap_or(0),
            batch_size: options.batch_size.unwrap_or(100),
            lr: options.lr.unwrap_or(0.01),
        }
    }

    /// What the options say, else the checkpoint.
    fn of_checkpoint(path: &Path, options: &Options, data: String) -> anyhow::Result<Settings> {
        let saved_data: String = saved(path, "data")?;
        ensure!(
            saved_data == data,
            "{} was trained on {saved_data}, but the data is {data}\n\
             help: name the folder of its data with --data; to begin with its weights on other data, --load what --save \
             wrote",
            path.display()
        );
        Ok(Settings {
            data,
            seed: options.seed.map_or_else(|| saved(path, "seed"), Ok)?,
            batch_size: options.batch_size.map_or_else(|| saved(path, "batch_size"), Ok)?,
            lr: options.lr.map_or_else(|| saved(path, "lr"), Ok)?,
        })
    }
}

/// What [`Training::save`] wrote under this key.
fn saved<T: FromStr>(path: &Path, key: &str) -> anyhow::Result<T> {
    let metadata = Checkpoint::read_metadata(path)?;
    metadata.get(key).and_then(|text| text.parse().ok()).with_context(|| {
        format!(
            "{}: the checkpoint has no usable `{key}`\nhelp: only a checkpoint of this program can be continued",
            path.display()
        )
    })
}

/// Every epoch of every seed has its own order: neighbouring seeds are more epochs apart than any training has.
fn shuffle_seed(seed: u64, epoch: u64) -> Seed {
    Seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(epoch))
}

fn check_folder(file: &Path) -> anyhow::Result<()> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    ensure!(folder.is_dir(), "cannot save to {}: there is no folder {}", file.display(), folder.display());
    ensure!(!file.is_dir(), "cannot save to {}: it is a folder", file.display());
    Ok(())
}

/// A progress bar on standard error, nothing where that is no terminal.
fn progress_bar(n_images: usize, epoch: u64, epochs: u64) -> ProgressBar {
    let template = "{prefix} {bar:40} {human_pos}/{human_len} images, {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(n_images as u64).with_style(style).with_prefix(format!("epoch {epoch}/{epochs}"))
}
