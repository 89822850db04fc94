use graven::prelude::*;

network! {
    fn score(a: Tensor<[N, 8, 3]>) -> Tensor<[N, 3, 8]> {
        permute(a, [1, 0])
    }
}

fn main() -> graven::Result<()> {
    score(&Tensor::zeros([4, 8, 3])?)?;
    Ok(())
}
