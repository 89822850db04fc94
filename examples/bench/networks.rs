//! The networks of the benchmark. `tests/alloc.rs` counts the allocations of the same ones.

pub(crate) mod tutorial {
    #![allow(unreachable_pub)] // It reads as a user's library would.
    use graven::prelude::*;
    include!("../../tests/stages/tutorial.rs");
}

/// 784-512-512-10: the weights outgrow the first caches.
pub(crate) mod mlp {
    use graven::prelude::*;

    #[derive(Module)]
    pub(crate) struct Mlp {
        #[layer(784, 512)]
        fc1: Linear,
        #[layer(512, 512)]
        fc2: Linear,
        #[layer(512, 10)]
        out: Linear,
    }

    network! {
        impl Mlp {
            pub(crate) fn forward(&self, t: Tensor<[N, 784]>) -> Tensor<[N, 10]> {
                self.out(relu(self.fc2(relu(self.fc1(t)))))
            }
            pub(crate) fn loss(&self, t: Tensor<[N, 784]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
                cross_entropy(self.forward(t), labels)
            }
        }
    }
}

/// Three stages of 16, 32 and 64 channels with a residual block each, on 3 x 32 x 32.
pub(crate) mod residual {
    use graven::prelude::*;

    #[derive(Module)]
    pub(crate) struct Block<const C: usize> {
        #[layer(C, C, kernel_size = 3, padding = 1)]
        conv1: Conv2d,
        #[layer(C, C, kernel_size = 3, padding = 1)]
        conv2: Conv2d,
    }

    network! {
        impl Block {
            fn forward(&self, t: Tensor<[N, C, H, W]>) -> Tensor<[N, C, H, W]> {
                relu(t + self.conv2(relu(self.conv1(t))))
            }
        }
    }

    #[derive(Module)]
    pub(crate) struct Residual {
        #[layer(3, 16, kernel_size = 3, padding = 1)]
        stem: Conv2d,
        block1: Block<16>,
        #[layer(16, 32, kernel_size = 3, stride = 2, padding = 1)]
        down2: Conv2d,
        block2: Block<32>,
        #[layer(32, 64, kernel_size = 3, stride = 2, padding = 1)]
        down3: Conv2d,
        block3: Block<64>,
        #[layer(64, 10)]
        out: Linear,
    }

    network! {
        impl Residual {
            pub(crate) fn forward(&self, t: Tensor<[N, 3, 32, 32]>) -> Tensor<[N, 10]> {
                let t = self.block1(relu(self.stem(t)));
                let t = self.block2(relu(self.down2(t)));
                let t = self.block3(relu(self.down3(t)));
                self.out(mean(t, dim = [2, 3]))
            }
            pub(crate) fn loss(&self, t: Tensor<[N, 3, 32, 32]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
                cross_entropy(self.forward(t), labels)
            }
        }
    }
}

/// Sizes that no kernel was written for: 7 and 13 channels, stride 3, batch 37.
pub(crate) mod odd {
    use graven::prelude::*;

    #[derive(Module)]
    pub(crate) struct Odd {
        #[layer(1, 7, kernel_size = 3, stride = 3)]
        conv1: Conv2d,
        #[layer(7, 13, kernel_size = 3, padding = 1)]
        conv2: Conv2d,
        #[layer(out_features = 10)]
        out: Linear,
    }

    network! {
        impl Odd {
            pub(crate) fn forward(&self, t: Tensor<[N, 1, 28, 28]>) -> Tensor<[N, 10]> {
                self.out(relu(self.conv2(relu(self.conv1(t)))).flatten(1))
            }
            pub(crate) fn loss(&self, t: Tensor<[N, 1, 28, 28]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
                cross_entropy(self.forward(t), labels)
            }
        }
    }
}
