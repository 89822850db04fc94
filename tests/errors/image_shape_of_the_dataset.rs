use graven::data::FashionMnist;
use graven::prelude::*;

#[derive(Module)]
struct Network {
    #[layer(out_features = 10)]
    out: Linear,
}

network! {
    const SIDE: usize = 32;
    assert!(SIDE == FashionMnist::HEIGHT);

    impl Network {
        fn forward(&self, t: Tensor<[N, 1, SIDE, SIDE]>) -> Tensor<[N, 10]> {
            self.out(t.flatten(1))
        }
    }
}

fn main() -> graven::Result<()> {
    let network = Network::init(Seed(0), &Device::best())?;
    network.forward(&Tensor::zeros([4, 1, 32, 32])?)?;
    Ok(())
}
