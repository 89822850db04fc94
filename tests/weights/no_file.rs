use graven::prelude::*;

#[derive(Module)]
struct Network {
    #[layer(out_features = 2)]
    out: Linear,
}

network! {
    impl Network {
        weights!("netwrok.safetensors");

        fn forward(&self, t: Tensor<[N, 4]>) -> Tensor<[N, 2]> {
            self.out(t)
        }
    }
}

fn main() -> graven::Result<()> {
    let network = Network::init(Seed(0), &Device::best())?;
    network.forward(&Tensor::zeros([4, 4])?)?;
    Ok(())
}
