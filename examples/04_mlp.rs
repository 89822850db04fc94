//! A classifier: batches of a data set, a loss with a second result beside it, evaluation on other images.
//!
//! `cargo run --release --example 04_mlp`

use graven::prelude::*;

const TRAIN_IMAGES: usize = 4000;
const TEST_IMAGES: usize = 1000;

/// Three layers between the pixels and the classes. What the input of a layer implies may be left out.
#[derive(Module)]
pub struct Mlp {
    #[layer(out_features = 128)]
    hidden1: Linear,
    #[layer(out_features = 64)]
    hidden2: Linear,
    #[layer(p = 0.1)]
    dropout: Dropout,
    #[layer(out_features = 10)]
    out: Linear,
}

network! {
    impl Mlp {
        pub fn forward(&self, images: Tensor<[N, 1, 28, 28]>) -> Tensor<[N, 10]> {
            let t = relu(self.hidden1(images.flatten(start_dim = 1)));
            let t = relu(self.hidden2(t));
            self.out(self.dropout(t))
        }

        /// The mean loss, and how many images were classified correctly: the first result is what a step makes smaller.
        pub fn loss(&self, images: Tensor<[N, 1, 28, 28]>, labels: Tensor<[N], i64>) -> (Tensor<[]>, Tensor<[], i64>) {
            let logits = self.forward(images);
            (cross_entropy(logits, labels), correct(logits, labels))
        }
    }
}

fn main() -> graven::Result<()> {
    let train = Silhouettes::train(TRAIN_IMAGES, Seed(0))?;
    let test = Silhouettes::test(TEST_IMAGES, Seed(0))?;
    let mut mlp = Mlp::init(Seed(0), &Device::best())?;
    let mut adam = Adam::new(0.002);
    for epoch in 0..8 {
        let mut n_correct = 0;
        for (images, labels) in train.batches(100).shuffled(Seed(epoch)) {
            // Dropout is on in here, as everywhere in `_grad` and `_step`, and off in a direct call.
            n_correct += mlp.loss_step(&images, &labels, &mut adam)?.1.item()?;
        }
        println!("epoch {epoch}: training accuracy {:.3}", n_correct as f64 / TRAIN_IMAGES as f64);
    }
    let (loss, n_correct) = mlp.loss(test.images(), test.labels())?;
    let accuracy = n_correct.item()? as f64 / TEST_IMAGES as f64;
    println!("test loss {loss}, test accuracy {accuracy:.3}");
    assert!(accuracy > 0.75);
    Ok(())
}
