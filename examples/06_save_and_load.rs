//! Files: weights for later use and for PyTorch, and checkpoints from which a training goes on as if it had not stopped.
//!
//! `cargo run --release --example 06_save_and_load`

use graven::prelude::*;

/// One hidden layer, enough to have weights.
#[derive(Module)]
pub struct Network {
    #[layer(in_features = 784, out_features = 32)]
    hidden: Linear,
    #[layer(in_features = 32, out_features = 10)]
    out: Linear,
}

network! {
    impl Network {
        pub fn forward(&self, images: Tensor<[N, 1, 28, 28]>) -> Tensor<[N, 10]> {
            self.out(relu(self.hidden(images.flatten(start_dim = 1))))
        }

        pub fn loss(&self, images: Tensor<[N, 1, 28, 28]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
            cross_entropy(self.forward(images), labels)
        }
    }
}

fn train(network: &mut Network, adam: &mut Adam, epochs: std::ops::Range<u64>) -> graven::Result<()> {
    let dataset = Silhouettes::train(500, Seed(0))?;
    for (images, labels) in epochs.flat_map(|epoch| dataset.batches(100).shuffled(Seed(epoch))) {
        network.loss_step(&images, &labels, adam)?;
    }
    Ok(())
}

fn main() -> graven::Result<()> {
    let path = |name: &str| std::env::temp_dir().join(format!("graven-{}-{name}.safetensors", std::process::id()));
    let (weights, checkpoint, device) = (path("network"), path("checkpoint"), Device::best());

    // Four epochs without a break, with a checkpoint after the second.
    let (mut network, mut adam) = (Network::init(Seed(0), &device)?, Adam::new(0.01));
    train(&mut network, &mut adam, 0..2)?;
    Checkpoint::save(&checkpoint, &network, &adam, &[("epoch", "2".to_owned())])?;
    train(&mut network, &mut adam, 2..4)?;
    network.save(&weights)?; // PyTorch reads it with `safetensors.torch.load_file`

    // The last two again, from the checkpoint: the same weights, bit for bit.
    let (mut resumed, mut adam) = (Network::init(Seed(1), &device)?, Adam::new(0.01));
    let metadata = Checkpoint::load(&checkpoint, &mut resumed, &mut adam)?;
    assert_eq!(metadata["epoch"], "2");
    train(&mut resumed, &mut adam, 2..4)?;
    assert_eq!(resumed.state()?, network.state()?);

    let mut loaded = Network::init(Seed(2), &device)?;
    loaded.load(&weights)?;
    let images = Silhouettes::test(3, Seed(0))?;
    assert_eq!(loaded.forward(images.images())?, network.forward(images.images())?);
    println!("loaded from {}", weights.display());
    [weights, checkpoint].iter().for_each(|file| drop(std::fs::remove_file(file)));
    Ok(())
}
