use graven::prelude::*;

#[derive(Module)]
struct Network {
    #[layer(in_features = 784, out_features = 784)]
    fc: Linear,
    inner: Network,
}

network! {
    impl Network {
        fn forward(&self, t: Tensor<[N, 784]>) -> Tensor<[N, 784]> {
            self.inner(self.fc(t))
        }
    }
}

fn main() -> graven::Result<()> {
    let network = Network::init(Seed(0), &Device::best())?;
    network.forward(&Tensor::zeros([4, 784])?)?;
    Ok(())
}
