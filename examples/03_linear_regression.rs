//! The smallest training: a line through noisy points. A struct says what the network has, a `network!` block what it
//! does; `loss_step` is one step of training.
//!
//! `cargo run --example 03_linear_regression`

use graven::prelude::*;

/// y = w·x + b
#[derive(Module)]
pub struct Line {
    #[layer(in_features = 1, out_features = 1)]
    linear: Linear,
}

network! {
    impl Line {
        pub fn forward(&self, x: Tensor<[N, 1]>) -> Tensor<[N, 1]> {
            self.linear(x)
        }

        pub fn loss(&self, x: Tensor<[N, 1]>, y: Tensor<[N, 1]>) -> Tensor<[]> {
            mse_loss(self.forward(x), y)
        }
    }
}

fn main() -> graven::Result<()> {
    // Points of y = 2·x − 1, each off by at most 0.1.
    let x = Tensor::from_fn([64, 1], |index| index as f32 / 32.0 - 1.0)?;
    let y = Tensor::from_fn([64, 1], |index| 2.0 * x.as_slice()[index] - 1.0 + 0.1 * (index as f32 * 12.9).sin())?;

    let mut line = Line::init(Seed(0), &Device::best())?;
    println!("{line}");
    let mut sgd = Sgd::new(0.1).momentum(0.9);
    for step in 0..100 {
        let loss = line.loss_step(&x, &y, &mut sgd)?.item()?;
        if step % 20 == 0 {
            println!("step {step:>2}: loss {loss:.4}");
        }
    }

    let slope = line.linear.weight.to_vec()?[0];
    let offset = line.linear.bias.as_ref().map_or(Ok(0.0), |bias| bias.to_tensor()?.item())?;
    println!("y = {slope:.3}·x + {offset:.3}");
    assert!((slope - 2.0).abs() < 0.05 && (offset + 1.0).abs() < 0.05);
    let at_three = line.forward(&Tensor::new([3.0], [1, 1])?)?.item()?;
    assert!((at_three - 5.0).abs() < 0.2, "{at_three}");
    Ok(())
}
