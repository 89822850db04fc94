use graven::prelude::*;

network! {
    fn score(a: Tensor<[N, 8]>, b: Tensor<[N], i64>) -> Tensor<[]> {
        cross_entropy(a, b, reduction = "means")
    }
}

fn main() -> graven::Result<()> {
    score(&Tensor::zeros([4, 8])?, &Tensor::zeros([4])?)?;
    Ok(())
}
