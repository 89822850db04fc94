use graven::prelude::*;

network! {
    fn score(a: Tensor<[N, 3, 8]>, b: Tensor<[N, 5, 8]>) -> Tensor<[N, 8, 8]> {
        cat([relu(a), b], dim = 2)
    }
}

fn main() -> graven::Result<()> {
    score(&Tensor::zeros([4, 3, 8])?, &Tensor::zeros([4, 5, 8])?)?;
    Ok(())
}
