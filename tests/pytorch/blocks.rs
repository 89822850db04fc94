//! Modules that the networks of `residual.rs` are made of.

use graven::prelude::*;

/// Two convolutions beside an identity shortcut.
#[derive(Module)]
pub(crate) struct BasicBlock<const CHANNELS: usize> {
    #[layer(in_channels = CHANNELS, out_channels = CHANNELS, kernel_size = 3, padding = 1)]
    conv1: Conv2d,
    #[layer(in_channels = CHANNELS, out_channels = CHANNELS, kernel_size = 3, padding = 1)]
    conv2: Conv2d,
}

network! {
    impl BasicBlock {
        pub(crate) fn forward(&self, t: Tensor<[N, CHANNELS, H, W]>) -> Tensor<[N, CHANNELS, H, W]> {
            relu(self.conv2(relu(self.conv1(t))) + t)
        }
    }
}

/// Halves height and width; the shortcut is a 1 x 1 convolution with the same stride.
#[derive(Module)]
pub(crate) struct Down<const IN: usize, const OUT: usize> {
    #[layer(in_channels = IN, out_channels = OUT, kernel_size = 3, stride = 2, padding = 1)]
    conv1: Conv2d,
    #[layer(in_channels = OUT, out_channels = OUT, kernel_size = 3, padding = 1)]
    conv2: Conv2d,
    #[layer(in_channels = IN, out_channels = OUT, kernel_size = 1, stride = 2, bias = false)]
    shortcut: Conv2d,
}

network! {
    impl Down {
        pub(crate) fn forward(&self, t: Tensor<[N, IN, 12, 12]>) -> Tensor<[N, OUT, 6, 6]> {
            relu(self.conv2(relu(self.conv1(t))) + self.shortcut(t))
        }
    }
}
