use graven::prelude::*;

#[derive(Module)]
struct Network {
    #[layer(out_features = 784)]
    layers: [Linear; 3],
}

network! {
    impl Network {
        fn forward(&self, t: Tensor<[N, 784]>) -> Tensor<[N, 784]> {
            self.layers(t)
        }
    }
}

fn main() -> graven::Result<()> {
    let network = Network::init(Seed(0), &Device::best())?;
    network.forward(&Tensor::zeros([4, 784])?)?;
    Ok(())
}
