use graven::prelude::*;

#[derive(Module)]
struct Block<const IN: usize, const OUT: usize> {
    #[layer(in_features = IN, out_features = OUT)]
    fc: Linear,
}

network! {
    impl Block {
        fn forward(&self, t: Tensor<[N, IN]>) -> Tensor<[N, OUT]> {
            relu(self.fc(t))
        }
    }
}

#[derive(Module)]
struct Network {
    block: Block<784>,
    #[layer(out_features = 10)]
    out: Linear,
}

network! {
    impl Network {
        fn forward(&self, t: Tensor<[N, 784]>) -> Tensor<[N, 10]> {
            self.out(self.block(t))
        }
    }
}

fn main() -> graven::Result<()> {
    let network = Network::init(Seed(0), &Device::best())?;
    network.forward(&Tensor::zeros([4, 784])?)?;
    Ok(())
}
