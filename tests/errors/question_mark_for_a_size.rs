//! A size that only the run knows, written as in other languages.

use graven::prelude::*;

#[derive(Module)]
pub struct Network {
    #[layer(in_features = 4, out_features = 3)]
    fc: Linear,
}

network! {
    impl Network {
        pub fn forward(&self, t: Tensor<[?, 4]>) -> Tensor<[N, 3]> {
            self.fc(t)
        }
    }
}

fn main() -> graven::Result<()> {
    let network = Network::init(Seed(0), &Device::cpu())?;
    println!("{}", network.forward(&Tensor::zeros([2, 4])?)?);
    Ok(())
}
