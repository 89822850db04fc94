//! An element type that no tensor holds; the network is used with a tensor of floats all the same.

use graven::prelude::*;

#[derive(Module)]
pub struct Network {
    #[layer(in_features = 4, out_features = 3)]
    fc: Linear,
}

network! {
    impl Network {
        pub fn forward(&self, t: Tensor<[N, 4], f64>) -> Tensor<[N, 3]> {
            self.fc(t)
        }
    }
}

fn main() -> graven::Result<()> {
    let network = Network::init(Seed(0), &Device::cpu())?;
    let t: Tensor = Tensor::zeros([2, 4])?;
    println!("{}", network.forward(&t)?);
    Ok(())
}
