//! The convolutional network of the PyTorch tutorials.

use graven::prelude::*;

use crate::fixture::{check, recorded};

#[derive(Module)]
pub(crate) struct Tutorial {
    #[layer(in_channels = 1, out_channels = 6, kernel_size = 5)]
    conv1: Conv2d,
    #[layer(in_channels = 6, out_channels = 12, kernel_size = 5)]
    conv2: Conv2d,
    #[layer(in_features = 12 * 4 * 4, out_features = 120)]
    fc1: Linear,
    #[layer(in_features = 120, out_features = 60)]
    fc2: Linear,
    #[layer(in_features = 60, out_features = 10)]
    out: Linear,
}

network! {
    impl Tutorial {
        pub(crate) fn forward(&self, images: Tensor<[N, 1, 28, 28]>) -> Tensor<[N, 10]> {
            let t = max_pool2d(relu(self.conv1(images)), kernel_size = 2, stride = 2);
            let t = max_pool2d(relu(self.conv2(t)), kernel_size = 2, stride = 2);
            let t = t.flatten(1);
            let t = relu(self.fc1(t));
            let t = relu(self.fc2(t));
            self.out(t)
        }

        pub(crate) fn loss(&self, images: Tensor<[N, 1, 28, 28]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
            cross_entropy(self.forward(images), labels)
        }
    }
}

recorded!(Tutorial, images, labels: ints);

#[test]
fn tutorial() {
    check::<Tutorial>("tutorial");
}
