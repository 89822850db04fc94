use nets::prelude::*;

pub(crate) const SCALE: usize = 2;

/// A residual block.
#[derive(Module)]
pub struct Block<const C: usize> {
    #[layer(C, C, kernel_size = 3, padding = 1)]
    conv: Conv2d,
    hidden: Hidden,
}

nets::network! {
    impl Block {
        pub fn forward(&self, t: Tensor<[N, C, H, W]>) -> Tensor<[N, C, H, W]> {
            relu(self.conv(t) + self.hidden(t))
        }
    }
}

#[derive(Module)]
struct Hidden {
    #[layer(out_channels = 4, kernel_size = 1)]
    narrow: Conv2d,
}

network! {
    impl Hidden {
        fn forward(&self, t: Tensor<[N, 4, H, W]>) -> Tensor<[N, 4, H, W]> {
            self.narrow(t)
        }
    }
}
