use graven::prelude::*;

#[derive(Module)]
struct Network {
    #[layer(in_channels = 1, out_channels = 6, kernel_size = 5, padding = 2)]
    conv1: Conv2d,
    #[layer(out_features = 10)]
    out: Linear,
}

network! {
    impl Network {
        fn forward(&self, t: Tensor<[N, 1, 28, 28]>) -> Tensor<[N, 10]> {
            let t = relu(self.conv1(t)) + t;
            self.out(t.flatten(1))
        }

        fn loss(&self, images: Tensor<[N, 1, 28, 28]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
            cross_entropy(self.forward(images), labels)
        }
    }
}

fn main() -> graven::Result<()> {
    let mut network = Network::init(Seed(0), &Device::best())?;
    let (images, labels) = (Tensor::zeros([4, 1, 28, 28])?, Tensor::<i64>::zeros([4])?);
    network.forward(&images)?;
    network.loss_step(&images, &labels, &mut Sgd::new(0.1))?;
    Ok(())
}
