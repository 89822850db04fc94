use graven::prelude::*;

#[derive(Module)]
pub struct Network {
    #[layer(in_channels = 1, out_channels = 6, kernel_size = 5, padding = "same")]
    conv1: Conv2d,
    #[layer(in_features = 6 * 12 * 12, out_features = 10)]
    out: Linear,
}

network! {
    impl Network {
        pub fn forward(&self, t: Tensor<[N, 1, 28, 28]>) -> Tensor<[N, 10]> {
            let t = max_pool2d(relu(self.conv1(t)), kernel_size = 2, stride = 2);
            let t = t.reshape([-1, 6 * 12 * 12]);
            self.out(t)
        }

        pub fn loss(&self, images: Tensor<[N, 1, 28, 28]>, labels: Tensor<[N], i64>) -> (Tensor<[]>, Tensor<[], i64>) {
            let logits = self.forward(images);
            (cross_entropy(logits, labels), correct(logits, labels))
        }
    }
}

fn main() -> graven::Result<()> {
    let mut network = Network::init(Seed(0), &Device::cpu())?;
    let (images, labels) = (Tensor::zeros([4, 1, 28, 28])?, Tensor::<i64>::zeros([4])?);
    let (loss, _) = network.loss_step(&images, &labels, &mut Sgd::new(0.01))?;
    println!("{} {loss}", network.forward(&images)?);
    Ok(())
}
