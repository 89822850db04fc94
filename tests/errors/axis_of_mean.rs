use graven::prelude::*;

network! {
    fn score(a: Tensor<[N, 8, 3]>) -> Tensor<[N]> {
        mean(a, dim = [1, 3])
    }
}

fn main() -> graven::Result<()> {
    score(&Tensor::zeros([4, 8, 3])?)?;
    Ok(())
}
