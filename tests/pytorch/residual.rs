//! Networks of many convolutions, some of modules from another file.

use graven::prelude::*;

use crate::blocks::{BasicBlock, Down};
use crate::fixture::{check, recorded};

#[derive(Module)]
struct Residual {
    #[layer(in_channels = 3, out_channels = 8, kernel_size = 3, padding = 1)]
    stem: Conv2d,
    block: BasicBlock<8>,
    #[layer(in_features = 8, out_features = 10)]
    head: Linear,
}

network! {
    impl Residual {
        fn forward(&self, images: Tensor<[N, 3, 16, 16]>) -> Tensor<[N, 10]> {
            let t = self.block(relu(self.stem(images)));
            self.head(adaptive_avg_pool2d(t, 1).flatten(1))
        }

        fn loss(&self, images: Tensor<[N, 3, 16, 16]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
            cross_entropy(self.forward(images), labels)
        }
    }
}

recorded!(Residual, images, labels: ints);

#[derive(Module)]
struct Blocks {
    #[layer(in_channels = 3, out_channels = 8, kernel_size = 3, padding = 1)]
    stem: Conv2d,
    blocks: [BasicBlock<8>; 3],
    down: Down<8, 16>,
    #[layer(in_features = 16, out_features = 10)]
    head: Linear,
}

network! {
    impl Blocks {
        fn forward(&self, images: Tensor<[N, 3, 12, 12]>) -> Tensor<[N, 10]> {
            let mut t = relu(self.stem(images));
            for block in &self.blocks {
                t = block(t);
            }
            self.head(self.down(t).mean(dim = [2, 3]))
        }

        fn loss(&self, images: Tensor<[N, 3, 12, 12]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
            cross_entropy(self.forward(images), labels)
        }
    }
}

recorded!(Blocks, images, labels: ints);

/// Convolutions with channels enough for fewer products than a plain sum has, on images that no tile divides.
#[derive(Module)]
struct Wide {
    #[layer(in_channels = 3, out_channels = 12, kernel_size = 3, padding = 1)]
    a: Conv2d,
    #[layer(in_channels = 12, out_channels = 16, kernel_size = 3, padding = 1)]
    b: Conv2d,
    #[layer(in_channels = 16, out_channels = 12, kernel_size = 5, padding = 2)]
    c: Conv2d,
    #[layer(in_channels = 12, out_channels = 12, kernel_size = 3, padding = 1)]
    d: Conv2d,
    #[layer(in_features = 12, out_features = 10)]
    head: Linear,
}

network! {
    impl Wide {
        fn forward(&self, images: Tensor<[N, 3, 12, 11]>) -> Tensor<[N, 10]> {
            let t = relu(self.b(tanh(self.a(images))));
            let t = tanh(self.d(tanh(self.c(t))));
            self.head(t.mean(dim = [2, 3]))
        }

        fn loss(&self, images: Tensor<[N, 3, 12, 11]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
            cross_entropy(self.forward(images), labels)
        }
    }
}

recorded!(Wide, images, labels: ints);

#[test]
fn wide() {
    check::<Wide>("wide");
}

#[test]
fn residual() {
    check::<Residual>("residual");
}

#[test]
fn blocks() {
    check::<Blocks>("blocks");
}
