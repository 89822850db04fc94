use graven::prelude::*;

#[derive(Module)]
struct Network {
    #[layer(in_features = HIDDEN, out_features = CLASES)]
    fc1: Linear,
}

network! {
    impl Network {
        const HIDDEN: usize = 64;
        const CLASSES: usize = 10;

        fn forward(&self, t: Tensor<[N, HIDDEN]>) -> Tensor<[N, CLASSES]> {
            self.fc1(t)
        }
    }
}

fn main() -> graven::Result<()> {
    let network = Network::init(Seed(0), &Device::best())?;
    network.forward(&Tensor::zeros([4, 64])?)?;
    Ok(())
}
