use graven::prelude::*;

#[derive(Module)]
struct Network {
    #[layer(in_features = 4, out_features = 5)]
    fc: Linear,
    #[layer(out_features = 2)]
    out: Linear,
}

network! {
    impl Network {
        weights!("network.safetensors");

        fn forward(&self, t: Tensor<[N, 4]>) -> Tensor<[N, 2]> {
            self.out(relu(self.fc(t)))
        }
    }
}

fn main() -> graven::Result<()> {
    let mut network = Network::init(Seed(0), &Device::best())?;
    network.load("network.safetensors")
}
