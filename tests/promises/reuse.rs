//! Gradients that are written into again hold those of the last function alone.

use graven::prelude::*;

use crate::new;

#[derive(Module)]
struct Two {
    #[layer(in_features = 3, out_features = 2)]
    a: Linear,
    #[layer(in_features = 3, out_features = 2)]
    b: Linear,
    #[layer(in_features = 3, out_features = 2)]
    c: Linear,
}

network! {
    impl Two {
        pub fn all(&self, t: Tensor<[N, 3]>) -> Tensor<[]> {
            sum(self.a(t) * self.b(t) * self.c(t))
        }

        pub fn middle(&self, t: Tensor<[N, 3]>) -> Tensor<[]> {
            sum(self.b(t))
        }
    }
}

#[test]
fn what_another_function_left_is_gone() {
    let network: Two = new(0);
    let t = Tensor::new(vec![1.0, 2.0, -3.0, 0.5, 1.5, 4.0], [2, 3]).unwrap();
    let (_, alone) = network.middle_grad(&t).unwrap();
    let mut gradients = network.gradients().unwrap();
    network.all_grad_into(&t, &mut gradients).unwrap();
    assert!(gradients.get("c.bias").unwrap().to_vec().unwrap().iter().any(|element| *element != 0.0));
    network.middle_grad_into(&t, &mut gradients).unwrap();
    for name in alone.names() {
        assert_eq!(gradients.get(name).unwrap(), alone.get(name).unwrap(), "{name}");
    }
}
