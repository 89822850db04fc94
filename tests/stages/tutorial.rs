/// The convolutional network of the PyTorch tutorials, for 28 x 28 grey images in ten classes.
#[derive(Module)]
pub struct Network {
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
    impl Network {
        /// The logits of ten classes.
        pub fn forward(&self, t: Tensor<[N, 1, 28, 28]>) -> Tensor<[N, 10]> {
            let t = max_pool2d(relu(self.conv1(t)), kernel_size = 2, stride = 2);
            let t = max_pool2d(relu(self.conv2(t)), kernel_size = 2, stride = 2);
            let t = t.reshape([-1, 12 * 4 * 4]);
            let t = relu(self.fc1(t));
            let t = relu(self.fc2(t));
            self.out(t)
        }

        /// Mean loss, and how many of the batch were classified correctly.
        pub fn loss(&self, images: Tensor<[N, 1, 28, 28]>, labels: Tensor<[N], i64>) -> (Tensor<[]>, Tensor<[], i64>) {
            let logits = self.forward(images);
            (cross_entropy(logits, labels), correct(logits, labels))
        }
    }
}
