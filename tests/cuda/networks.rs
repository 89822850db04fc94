/// What the tutorial network does not have: residuals, strides, groups, padding, averages, dropout, other activations.
#[derive(Module)]
pub struct Residual {
    #[layer(in_channels = 3, out_channels = 8, kernel_size = 3, padding = 1)]
    stem: Conv2d,
    #[layer(in_channels = 8, out_channels = 8, kernel_size = 3, padding = 1, groups = 2, bias = false)]
    left: Conv2d,
    #[layer(in_channels = 8, out_channels = 13, kernel_size = 3, stride = 2, padding = 1)]
    down: Conv2d,
    #[layer(p = 0.25)]
    dropout: Dropout,
    #[layer(in_features = 13, out_features = 5)]
    out: Linear,
}

network! {
    impl Residual {
        /// The scores of five classes.
        pub fn forward(&self, t: Tensor<[N, 3, 9, 9]>) -> Tensor<[N, 5]> {
            let t = gelu(self.stem(t));
            let t = relu(self.left(t) + t);
            let t = avg_pool2d(silu(self.down(t)), kernel_size = 2, stride = 2);
            let t = mean(t, dim = [2, 3]);
            self.out(self.dropout(t))
        }

        /// The mean loss.
        pub fn loss(&self, images: Tensor<[N, 3, 9, 9]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
            cross_entropy(self.forward(images), labels)
        }
    }
}
