use graven::prelude::*;

#[derive(Module)]
struct Network {
    head: Hed,
}

network! {
    impl Network {
        fn forward(&self, t: Tensor<[N, 784]>) -> Tensor<[N, 10]> {
            self.head(t)
        }
    }
}

fn main() -> graven::Result<()> {
    let network = Network::init(Seed(0), &Device::best())?;
    network.forward(&Tensor::zeros([4, 784])?)?;
    Ok(())
}
