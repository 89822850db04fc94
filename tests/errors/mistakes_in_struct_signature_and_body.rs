use graven::prelude::*;

#[derive(Module)]
struct Network {
    #[layer(in_channels = 1, out_channels = 6, kernel_size = 5)]
    conv1: Conv2d,
    #[layer(in_channels = 6, out_channels = 12, kernal_size = 5)]
    conv2: Conv2d,
    #[layer(in_features = 12 * 4 * 4, out_features = "10")]
    fc1: Linear,
}

network! {
    impl Network {
        fn forward(&self, t: Tensor<[N, 1, 28, 28]>) -> Tensor<[M, 10]> {
            let t = max_pool2d(reul(self.conv1(t)), kernel_size = 2, stride = 2);
            let t = max_pool2d(relu(self.conv2(t)), kernel_size = 2, stride = 2);
            let t = t.reshape([-1, 12 * 4 * 4]);
            self.fc1(t)
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
