//! Each option of each optimizer, on one linear layer.

use graven::prelude::*;

use crate::fixture::{check, recorded};

#[derive(Module)]
struct Line {
    #[layer(in_features = 3, out_features = 2)]
    linear: Linear,
}

network! {
    impl Line {
        fn forward(&self, x: Tensor<[N, 3]>) -> Tensor<[N, 2]> {
            self.linear(x)
        }

        fn loss(&self, x: Tensor<[N, 3]>, target: Tensor<[N, 2]>) -> Tensor<[]> {
            mse_loss(self.forward(x), target)
        }
    }
}

recorded!(Line, x, target: floats);

/// Every file counts: a recording without a test here would be an option that nobody compares.
#[test]
fn every_option_of_every_optimizer() {
    let mut cases: Vec<String> = std::fs::read_dir(crate::fixture::path(""))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter_map(|file| Some(file.strip_suffix(".safetensors")?.to_owned()))
        .filter(|case| case.starts_with("optimizer_"))
        .collect();
    cases.sort_unstable();
    assert!(cases.len() >= 9, "{cases:?}");
    cases.iter().for_each(|case| check::<Line>(case));
}
