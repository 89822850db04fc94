use graven::data::FashionMnist;
use graven::prelude::*;

#[derive(Module)]
struct Network {
    #[layer(out_features = CLASSES)]
    out: Linear,
}

network! {
    const CLASSES: usize = 12;
    assert!(CLASSES == FashionMnist::CLASSES);

    impl Network {
        fn forward(&self, t: Tensor<[N, 1, 28, 28]>) -> Tensor<[N, CLASSES]> {
            self.out(t.flatten(1))
        }
    }
}

fn main() -> graven::Result<()> {
    let network = Network::init(Seed(0), &Device::best())?;
    network.forward(&Tensor::zeros([4, 1, 28, 28])?)?;
    Ok(())
}
