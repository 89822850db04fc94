use graven::prelude::*;

const ALPHABET: usize = 26;

#[derive(Module)]
struct Network {
    #[layer(out_features = CLASSES)]
    out: Linear,
}

network! {
    const CLASSES: usize = 10;
    assert!(CLASSES == ALPHABET);

    impl Network {
        fn forward(&self, t: Tensor<[N, 784]>) -> Tensor<[N, CLASSES]> {
            self.out(t)
        }
    }
}

fn main() -> graven::Result<()> {
    let network = Network::init(Seed(0), &Device::best())?;
    network.forward(&Tensor::zeros([4, 784])?)?;
    Ok(())
}
