// A network of sizes that no kernel was written for; one method for each path through the kernels.

#[derive(Module)]
pub(crate) struct Layers {
    #[layer(3, 7, kernel_size = 3, stride = 3, padding = 1)]
    third: Conv2d,
    #[layer(7, 13, kernel_size = 1)]
    point: Conv2d,
    #[layer(3, 5, kernel_size = (3, 2), padding = (2, 1), dilation = (2, 1))]
    dilated: Conv2d,
    #[layer(5, 4, kernel_size = 5, padding = 2, bias = false)]
    wide: Conv2d,
    #[layer(6, 8, kernel_size = (2, 3), stride = (1, 2), padding = (0, 2), groups = 2)]
    halves: Conv2d,
    #[layer(8, 8, kernel_size = 3, stride = (2, 4), dilation = 2, padding = 2, groups = 8)]
    each: Conv2d,
    #[layer(4, 9, kernel_size = 1, stride = 2)]
    skipping: Conv2d,
    #[layer(9, 3, kernel_size = (4, 1))]
    tall: Conv2d,
    #[layer(33, 17)]
    first: Linear,
    #[layer(17, 3, bias = false)]
    second: Linear,
}

network! {
    impl Layers {
        pub(crate) fn strided(&self, t: Tensor<[N, 3, 20, 17]>) -> Tensor<[N, 13, 7, 6]> {
            self.point(relu(self.third(t)))
        }
        pub(crate) fn padded(&self, t: Tensor<[N, 3, 9, 11]>) -> Tensor<[N, 4, 9, 12]> {
            self.wide(tanh(self.dilated(t)))
        }
        pub(crate) fn grouped(&self, t: Tensor<[N, 6, 10, 21]>) -> Tensor<[N, 8, 5, 3]> {
            self.each(self.halves(t))
        }
        pub(crate) fn alone(&self, t: Tensor<[N, 4, 7, 9]>) -> Tensor<[N, 3, 1, 5]> {
            self.tall(self.skipping(t))
        }
        pub(crate) fn pooled(&self, t: Tensor<[N, 5, 14, 11]>) -> Tensor<[N, 5, 1, 2]> {
            let t = max_pool2d(t, kernel_size = 3, stride = 2, padding = 1);
            avg_pool2d(max_pool2d(t, kernel_size = (3, 2), stride = (2, 1)), kernel_size = (2, 2), stride = (2, 2))
        }
        pub(crate) fn vectors(&self, t: Tensor<[N, 5, 33]>) -> Tensor<[N, 5, 3]> {
            softmax(self.second(silu(self.first(t))), dim = -1)
        }
    }
}
