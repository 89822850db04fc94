use graven::prelude::*;

network! {
    fn score(a: Tensor<[N, 2147483648]>, b: Tensor<[8589934592, 1]>) -> Tensor<[8589934592, 2147483648]> {
        sum(a, dim = 0) * b
    }
}

fn main() -> graven::Result<()> {
    score(&Tensor::zeros([4, 8])?, &Tensor::zeros([8])?)?;
    Ok(())
}
