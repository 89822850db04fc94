use graven::prelude::*;

#[derive(Module)]
enum Network {
    Small,
    Large,
}

network! {
    impl Network {
        fn forward(&self, t: Tensor<[N, 784]>) -> Tensor<[N, 10]> {
            self.out(t)
        }
    }
}

fn main() -> graven::Result<()> {
    let network = Network::init(Seed(0), &Device::best())?;
    network.forward(&Tensor::zeros([4, 784])?)?;
    Ok(())
}
