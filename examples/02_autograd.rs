//! Gradients: beside every function with a scalar result, `network!` writes one that ends in `_grad`. It returns the
//! results and then the gradient of the first with respect to every f32 argument.
//!
//! `cargo run --example 02_autograd`

use graven::prelude::*;

network! {
    /// The example of PyTorch's page on autograd: one linear layer, and the error of what it says.
    pub fn loss(x: Tensor<[5]>, weight: Tensor<[5, 3]>, bias: Tensor<[3]>, target: Tensor<[3]>) -> Tensor<[]> {
        let z = matmul(x.reshape([1, 5]), weight).reshape([3]) + bias;
        bce_with_logits(z, target)
    }

    /// Rosenbrock's valley, with its minimum at (1, 1).
    pub fn rosenbrock(x: Tensor<[]>, y: Tensor<[]>) -> Tensor<[]> {
        pow(1.0 - x, 2) + 100.0 * pow(y - x * x, 2)
    }
}

fn main() -> graven::Result<()> {
    let x = Tensor::full([5], 1.0)?;
    let weight = Tensor::from_fn([5, 3], |index| (index as f32).sin())?;
    let bias = Tensor::new([0.1, -0.2, 0.3], [3])?;
    let target = Tensor::zeros([3])?;
    let (value, grad_x, grad_weight, grad_bias, _grad_target) = loss_grad(&x, &weight, &bias, &target)?;
    println!("loss {value}\ngrad_bias {grad_bias}");
    assert_eq!(value, loss(&x, &weight, &bias, &target)?);
    assert_eq!((grad_x.shape(), grad_weight.shape()), (x.shape(), weight.shape()));

    // Against a central difference, whose error is of the order of step².
    let step = 1e-2;
    for (index, gradient) in grad_bias.as_slice().iter().enumerate() {
        let at = |change: f32| {
            let mut moved = bias.clone();
            moved.as_mut_slice()[index] += change;
            loss(&x, &weight, &moved, &target)?.item()
        };
        let difference = (at(step)? - at(-step)?) / (2.0 * step);
        assert!((gradient - difference).abs() < 1e-4, "{gradient} {difference}");
    }

    // The gradient leads into the valley, and slowly along it.
    let (mut x, mut y) = (-1.0, 1.0);
    for _ in 0..20_000 {
        let (_, grad_x, grad_y) = rosenbrock_grad(&x.into(), &y.into())?;
        x -= 1e-3 * grad_x.item()?;
        y -= 1e-3 * grad_y.item()?;
    }
    println!("minimum at {x:.3}, {y:.3}");
    assert!((x - 1.0).abs() < 0.01 && (y - 1.0).abs() < 0.01);
    Ok(())
}
