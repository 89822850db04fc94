use graven::prelude::*;

network! {
    fn score(a: Tensor<[N, 8]>, b: Tensor<[8]>) -> Tensor<[N, 8]> {
        a * b + 1 / 0
    }
}

fn main() -> graven::Result<()> {
    score(&Tensor::zeros([4, 8])?, &Tensor::zeros([8])?)?;
    Ok(())
}
