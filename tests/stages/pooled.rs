/// Max pooling behind a convolution that a kernel takes together.
#[derive(Module)]
pub struct Pooled {
    #[layer(in_channels = 1, out_channels = 6, kernel_size = 5, bias = false)]
    conv: Conv2d,
    #[layer(in_channels = 1, out_channels = 6, kernel_size = 5)]
    biased: Conv2d,
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

        /// Nobody else reads what is before relu.
        pub fn activated(&self, t: Tensor<[N, 1, 28, 28]>) -> Tensor<[N, 6, 12, 12]> {
            max_pool2d(relu(self.biased(t)), kernel_size = 2)
        }

        /// What is before relu is a result as well.
        pub fn pooled_and_activated(&self, t: Tensor<[N, 1, 28, 28]>) -> (Tensor<[N, 6, 12, 12]>, Tensor<[N, 6, 12, 12]>) {
            let t = max_pool2d(self.biased(t), kernel_size = 2);
            (t, relu(t))
        }

        /// What is added is an argument.
        pub fn added(&self, t: Tensor<[N, 1, 28, 28]>, bias: Tensor<[6, 1, 1]>) -> Tensor<[N, 6, 12, 12]> {
            relu(bias + max_pool2d(self.conv(t), kernel_size = 2))
        }

        /// What it is added to is a result as well.
        pub fn pooled_and_added(
            &self,
            t: Tensor<[N, 1, 28, 28]>,
            bias: Tensor<[6, 1, 1]>,
        ) -> (Tensor<[N, 6, 12, 12]>, Tensor<[N, 6, 12, 12]>) {
            let t = max_pool2d(self.conv(t), kernel_size = 2);
            (t, relu(t + bias))
        }

        /// A number is no bias of each channel.
        pub fn shifted(&self, t: Tensor<[N, 1, 28, 28]>) -> Tensor<[N, 6, 12, 12]> {
            relu(max_pool2d(self.conv(t), kernel_size = 2) - 0.5)
        }
    }
}
