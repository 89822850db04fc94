use graven::prelude::*;

#[derive(Module)]
struct Network {
    #[layer(in_features = 784, out_features = 10)]
    out: Linear,
}

network! {
    impl Network {
        fn forward(&self, t: Tensor<[N, 784]>) -> Tensor<[N, 10]> {
            self.out(t)
        }

        fn loss(&self, images: Tensor<[N, 784]>, labels: Tensor<[N], i64>) -> Tensor<[N]> {
            cross_entropy(self.forward(images), labels, reduction = "none")
        }
    }
}

fn main() -> graven::Result<()> {
    let network = Network::init(Seed(0), &Device::best())?;
    network.loss_grad(&Tensor::zeros([4, 784])?, &Tensor::zeros([4])?)?;
    Ok(())
}
