use graven::prelude::*;

network! {
    fn score(a: Tensor<[N, 8]>) -> Tensor<[N]> {
        sum(a, dim = 2)
    }
}

fn main() -> graven::Result<()> {
    score(&Tensor::zeros([4, 8])?)?;
    Ok(())
}
