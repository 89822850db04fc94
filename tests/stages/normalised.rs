/// Normalises its features over the batch: a second pass over the samples reads what the first one added up.
#[derive(Module)]
pub struct Network {
    #[layer(out_features = 4)]
    fc: Linear,
    #[layer(frozen, out_features = 2)]
    head: Linear,
}

network! {
    impl Network {
        pub fn loss(&self, x: Tensor<[N, 3]>, target: Tensor<[N, 2]>) -> Tensor<[]> {
            let t = self.fc(x);
            let centred = t - mean(t, dim = 0);
            let t = centred / sqrt(mean(centred * centred, dim = 0) + 1e-5);
            mse_loss(self.head(t), target)
        }
    }
}
