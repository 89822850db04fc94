network! {
    /// No batch: every tensor is complete.
    fn energy(x: Tensor<[3]>) -> Tensor<[]> {
        sum(x * x) / 2
    }

    /// Two batches of their own.
    fn distances(x: Tensor<[N, 3]>, y: Tensor<[M, 3]>) -> Tensor<[N, M]> {
        sum(x * x, dim = 1, keepdim = true) - 2.0 * matmul(x, y.permute([1, 0])) + sum(y * y, dim = 1)
    }
}
