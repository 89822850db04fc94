use graven::prelude::*;

#[derive(Module)]
struct Block<const WIDTH: usize> {
    #[layer(in_features = WIDTH, out_features = 64)]
    fc1: Linear,
    #[layer(in_features = 32, out_features = WIDTH)]
    fc2: Linear,
}

network! {
    impl Block {
        fn forward(&self, t: Tensor<[N, WIDTH]>) -> Tensor<[N, WIDTH]> {
            relu(self.fc2(relu(self.fc1(t))) + t)
        }
    }
}

#[derive(Module)]
struct Network {
    #[layer(out_features = 128)]
    stem: Linear,
    block: Block<128>,
    #[layer(out_features = 10)]
    out: Linear,
}

network! {
    impl Network {
        fn forward(&self, t: Tensor<[N, 784]>) -> Tensor<[N, 10]> {
            self.out(self.block(relu(self.stem(t))))
        }
    }
}

fn main() -> graven::Result<()> {
    let network = Network::init(Seed(0), &Device::best())?;
    network.forward(&Tensor::zeros([4, 784])?)?;
    Ok(())
}
