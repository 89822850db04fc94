/// Max pooling behind a convolution that a kernel takes together.
#[derive(Module)]
pub struct Pooled {
    #[layer(in_channels = 1, out_channels = 6, kernel_size = 5, bias = false)]
    conv: Conv2d,
}

network! {
    impl Pooled {
        /// Nobody else reads the convolution.
        pub fn alone(&self, t: Tensor<[N, 1, 28, 28]>) -> Tensor<[N, 6, 12, 12]> {
            max_pool2d(self.conv(t), kernel_size = 2)
        }

        /// The convolution is a result as well.
        pub fn both(&self, t: Tensor<[N, 1, 28, 28]>) -> (Tensor<[N, 6, 24, 24]>, Tensor<[N, 6, 12, 12]>) {
            let t = self.conv(t);
            (t, max_pool2d(t, kernel_size = 2))
        }
    }
}
