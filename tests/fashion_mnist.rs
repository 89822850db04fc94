//! The network of the main job learns real images.

use std::path::PathBuf;

use graven::prelude::*;

#[path = "../examples/fashion_mnist/network.rs"]
mod network;

use network::Network;

/// The folder of a real data set: below `GRAVEN_DATA`, or below `shared/data` beside the repository. None, with the
/// reason printed, where it is absent.
fn real_data(name: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("GRAVEN_DATA") {
        Some(root) => PathBuf::from(root),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no folder {}; set GRAVEN_DATA to the folder that holds `{name}`", folder.display());
    None
}

#[test]
fn three_epochs_on_fashion_mnist_reach_the_accuracy_of_pytorch() -> graven::Result<()> {
    let Some(folder) = real_data("fashion-mnist") else { return Ok(()) };
    let (train, test) = (FashionMnist::train(&folder)?, FashionMnist::test(&folder)?);
    let mut network = Network::init(Seed(0), &Device::cpu())?;
    let mut adam = Adam::new(0.01);
    for epoch in 0..3 {
        for (images, labels) in train.batches(100).shuffled(Seed(epoch)) {
            network.loss_step(&images, &labels, &mut adam)?;
        }
    }
    let (loss, n_correct) = network.loss(test.images(), test.labels())?;
    let accuracy = n_correct.item()? as f64 / test.len() as f64;
    println!("loss {loss}, accuracy {accuracy}");
    assert!(accuracy > MIN_ACCURACY, "{accuracy}");
    Ok(())
}
