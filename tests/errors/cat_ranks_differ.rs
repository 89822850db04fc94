use graven::prelude::*;

network! {
    fn score(a: Tensor<[N, 3]>, b: Tensor<[N]>) -> Tensor<[N, 4]> {
        cat([a, b], dim = 1)
    }
}

fn main() -> graven::Result<()> {
    score(&Tensor::zeros([4, 3])?, &Tensor::zeros([4])?)?;
    Ok(())
}
