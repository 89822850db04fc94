//! Modules in modules: a block with sizes of its own, an array of them, a chain of both.
//!
//! `cargo run --release --example 05_modules`

use graven::prelude::*;

/// Two convolutions around which the input takes a short cut. The sizes are put in where the block is used.
#[derive(Module)]
pub struct Block<const CHANNELS: usize> {
    #[layer(in_channels = CHANNELS, out_channels = CHANNELS, kernel_size = 3, padding = 1)]
    conv1: Conv2d,
    #[layer(in_channels = CHANNELS, out_channels = CHANNELS, kernel_size = 3, padding = 1)]
    conv2: Conv2d,
}

network! {
    impl Block {
        pub fn forward(&self, t: Tensor<[N, CHANNELS, H, W]>) -> Tensor<[N, CHANNELS, H, W]> {
            relu(t + self.conv2(relu(self.conv1(t))))
        }
    }
}

/// A small residual network.
#[derive(Module)]
pub struct ResNet {
    #[layer(in_channels = 1, out_channels = 8, kernel_size = 3, stride = 2, padding = 1)]
    stem: Conv2d,
    blocks: [Block<8>; 3],
    #[layer(in_features = 8, out_features = 10)]
    out: Linear,
}

network! {
    impl ResNet {
        pub fn forward(&self, images: Tensor<[N, 1, 28, 28]>) -> Tensor<[N, 10]> {
            let mut t = relu(self.stem(images));
            // Unrolled while compiling: three blocks, each with its own weights.
            for block in &self.blocks {
                t = block(t);
            }
            self.out(mean(t, dim = [2, 3]))
        }
    }
}

fn main() -> graven::Result<()> {
    let mut network = ResNet::init(Seed(0), &Device::best())?;
    println!("{network}");
    // Layers are fields, and their keys are those of PyTorch's state dict.
    assert_eq!(network.blocks[2].conv1.weight.shape(), [8, 8, 3, 3]);
    assert_eq!(network.blocks[2].conv1.weight.name(), "blocks.2.conv1.weight");
    assert_eq!(network.num_parameters(), 80 + 3 * 2 * 584 + 90);

    let images = Silhouettes::test(4, Seed(0))?;
    let logits = network.forward(images.images())?;
    println!("{logits}");
    assert_eq!(logits.shape(), [4, 10]);

    // Without the second convolution of each block, what remains is the short cut.
    for block in &mut network.blocks {
        block.conv2.weight.set(&Tensor::zeros([8, 8, 3, 3])?)?;
    }
    assert_ne!(network.forward(images.images())?, logits);
    Ok(())
}
