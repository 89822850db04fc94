use nets::prelude::*;

#[derive(Module)]
pub(crate) struct Block<const C: usize> {
    #[layer(C, C, kernel_size = 3, padding = 1)]
    conv: Conv2d,
}

network! {
    impl Block {
        fn forward(&self, t: Tensor<[N, C, H, W]>) -> Tensor<[N, C, H, W]> {
            t + tanh(self.conv(t))
        }
    }
}
