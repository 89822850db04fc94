use graven::prelude::*;

network! {
    fn score(a: Tensor<[N, 16]>, b: Tensor<[8, 16]>) -> Tensor<[N, 8]> {
        matmul(a, b)
    }
}

fn main() -> graven::Result<()> {
    score(&Tensor::zeros([4, 16])?, &Tensor::zeros([8, 16])?)?;
    Ok(())
}
