//! The networks that the tests of this folder share.

use graven::prelude::*;

/// The convolutional network of the PyTorch tutorials.
#[derive(Module)]
pub(crate) struct Tutorial {
    #[layer(in_channels = 1, out_channels = 6, kernel_size = 5)]
    pub(crate) conv1: Conv2d,
    #[layer(in_channels = 6, out_channels = 12, kernel_size = 5)]
    pub(crate) conv2: Conv2d,
    #[layer(in_features = 12 * 4 * 4, out_features = 120)]
    pub(crate) fc1: Linear,
    #[layer(in_features = 120, out_features = 60)]
    pub(crate) fc2: Linear,
    #[layer(in_features = 60, out_features = CLASSES)]
    pub(crate) out: Linear,
}

network! {
    const CLASSES: usize = 10;
    assert!(CLASSES == Silhouettes::CLASSES);

    impl Tutorial {
        pub(crate) fn forward(&self, t: Tensor<[N, 1, 28, 28]>) -> Tensor<[N, CLASSES]> {
            let t = max_pool2d(relu(self.conv1(t)), kernel_size = 2, stride = 2);
            let t = max_pool2d(relu(self.conv2(t)), kernel_size = 2, stride = 2);
            let t = t.reshape([-1, 12 * 4 * 4]);
            let t = relu(self.fc1(t));
            let t = relu(self.fc2(t));
            self.out(t)
        }

        /// Mean loss, and how many of the batch were classified correctly.
        pub(crate) fn loss(
            &self,
            images: Tensor<[N, 1, 28, 28]>,
            labels: Tensor<[N], i64>,
        ) -> (Tensor<[]>, Tensor<[], i64>) {
            let logits = self.forward(images);
            (cross_entropy(logits, labels), correct(logits, labels))
        }
    }
}

/// Two convolutions beside an identity shortcut.
#[derive(Module)]
pub(crate) struct Block {
    #[layer(in_channels = 6, out_channels = 6, kernel_size = 3, padding = 1)]
    pub(crate) conv1: Conv2d,
    #[layer(in_channels = 6, out_channels = 6, kernel_size = 3, padding = 1)]
    pub(crate) conv2: Conv2d,
}

network! {
    impl Block {
        pub(crate) fn forward(&self, t: Tensor<[N, 6, 8, 8]>) -> Tensor<[N, 6, 8, 8]> {
            relu(self.conv2(relu(self.conv1(t))) + t)
        }

        pub(crate) fn loss(&self, t: Tensor<[N, 6, 8, 8]>) -> Tensor<[]> {
            let t = self.forward(t);
            (t * t).mean()
        }
    }
}

/// Blocks between a stem and a head.
#[derive(Module)]
pub(crate) struct Residual {
    #[layer(in_channels = 3, out_channels = 6, kernel_size = 3, stride = 2, padding = 1)]
    pub(crate) stem: Conv2d,
    pub(crate) blocks: [Block; 2],
    #[layer(in_features = 6, out_features = 4)]
    pub(crate) head: Linear,
}

network! {
    impl Residual {
        pub(crate) fn forward(&self, images: Tensor<[N, 3, 16, 16]>) -> Tensor<[N, 4]> {
            let mut t = relu(self.stem(images));
            for block in &self.blocks {
                t = block(t);
            }
            self.head(t.mean(dim = [2, 3]))
        }

        pub(crate) fn loss(&self, images: Tensor<[N, 3, 16, 16]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
            cross_entropy(self.forward(images), labels)
        }
    }
}

/// Numbers in -1..1 that look random and are the same everywhere.
pub(crate) fn noise(shape: &[usize]) -> Tensor {
    Tensor::from_fn(shape, |index| 2.0 * graven_kernels::rng::uniform(17, shape.len() as u64, index as u64) - 1.0)
        .unwrap()
}

/// Grey images and labels of `Tutorial`.
pub(crate) fn silhouettes(n: usize) -> (Tensor, Tensor<i64>) {
    let train = Silhouettes::train(n, Seed(3)).unwrap();
    (train.images().clone(), train.labels().clone())
}

/// Images and labels of `Residual`.
pub(crate) fn pictures(n: usize) -> (Tensor, Tensor<i64>) {
    (noise(&[n, 3, 16, 16]), Tensor::from_fn([n], |index| (index * 7 % 4) as i64).unwrap())
}
