use graven::prelude::*;

network! {
    fn score(a: Tensor<[N, 8]>, b: Tensor<[8], f16>) -> Tensor<[N, 8]> {
        a * b
    }
}

fn main() -> graven::Result<()> {
    score(&Tensor::zeros([4, 8])?, &Tensor::zeros([8])?)?;
    Ok(())
}
