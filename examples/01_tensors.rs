//! Tensors hold numbers and a shape; functions in a `network!` block compute with them.
//!
//! `cargo run --example 01_tensors`

use graven::prelude::*;

network! {
    /// x·Wᵀ + b, what a linear layer computes. `N` is bound by the argument at run time, the other sizes are fixed.
    pub fn affine(x: Tensor<[N, 3]>, weight: Tensor<[2, 3]>, bias: Tensor<[2]>) -> Tensor<[N, 2]> {
        matmul(x, weight.permute([1, 0])) + bias
    }

    /// The rows of a matrix, shifted and scaled to mean 0 and variance 1.
    pub fn standardised(x: Tensor<[N, 4]>) -> Tensor<[N, 4]> {
        let centred = x - mean(x, dim = 1, keepdim = true);
        centred / sqrt(mean(centred.pow(2), dim = 1, keepdim = true))
    }
}

fn main() -> graven::Result<()> {
    // Row-major, the last axis innermost, as in PyTorch. f32 unless the data says i64.
    let x = Tensor::new([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3])?;
    let labels = Tensor::new([7_i64, 0, 9], [3])?;
    println!("{x}\n{labels}");
    assert_eq!(x.shape(), [2, 3]);
    assert_eq!(x.get(&[1, 0]), Some(4.0));
    assert_eq!(x.rows(1..2)?.as_slice(), [4.0, 5.0, 6.0]);
    assert_eq!(x.clone().reshape([3, 2])?.get(&[2, 1]), Some(6.0));
    assert_eq!(Tensor::scalar(0.5_f32).item()?, 0.5);

    let weight = Tensor::new([1.0, 0.0, 0.0, 0.0, 1.0, 1.0], [2, 3])?;
    let bias = Tensor::new([10.0, 20.0], [2])?;
    let y = affine(&x, &weight, &bias)?;
    println!("{y}");
    assert_eq!(y, Tensor::new([11.0, 25.0, 14.0, 31.0], [2, 2])?);

    let rows = standardised(&Tensor::from_fn([2, 4], |index| (index * index) as f32)?)?;
    for row in rows.as_slice().chunks(4) {
        assert!(row.iter().sum::<f32>().abs() < 1e-5);
        assert!((row.iter().map(|x| x * x).sum::<f32>() - 4.0).abs() < 1e-4);
    }

    // Shapes are checked where a call enters: the message says what was given and what the function takes.
    let error = affine(&weight, &x.reshape([3, 2])?, &bias).unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains("`weight` [2, 3], but was given [3, 2]"));
    Ok(())
}
