use graven::prelude::*;

#[derive(Module)]
struct Head {
    #[layer(in_features = 784, out_features = 10)]
    out: Linear,
}

network! {
    impl Head {
        fn forward(&self, t: Tensor<[N, 784]>) -> Tensor<[N, 10]> {
            self.out(t)
        }
    }
}

#[derive(Module)]
struct Network {
    #[layer(out_features = 10)]
    head: Head,
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
