//! A program outside of graven's workspace that depends on `graven` alone and on a crate of blocks made with it. Trains for
//! a few steps, and prints the first and the last loss.
#![deny(warnings, missing_docs, unreachable_pub)]
#![forbid(unsafe_code)]
#![deny(clippy::pedantic)]

mod two {
    use graven::prelude::*;

    /// Bears the name of a module of the other crate.
    #[derive(Module)]
    pub(crate) struct Stack {
        #[layer(out_features = 8)]
        fc: Linear,
    }

    network! {
        impl Stack {
            pub(crate) fn forward(&self, t: Tensor<[N, 4]>) -> Tensor<[N, 8]> {
                relu(self.fc(t))
            }
        }
    }
}

use blocks::Stack;
use graven::prelude::*;

#[derive(Module)]
struct Net {
    #[layer(3, 4, kernel_size = 3)]
    stem: Conv2d,
    stack: Stack<4>,
    own: two::Stack,
    #[layer(out_features = 2)]
    head: Linear,
}

network! {
    impl Net {
        const CLASSES: usize = 2;
        assert!(CLASSES == blocks::CLASSES);

        fn forward(&self, t: Tensor<[N, 3, 8, 8]>) -> Tensor<[N, CLASSES]> {
            let t = self.stack(self.stem(t));
            self.head(self.own(mean(t, dim = [2, 3])))
        }

        fn loss(&self, t: Tensor<[N, 3, 8, 8]>, labels: Tensor<[N], i64>) -> Tensor<[]> {
            cross_entropy(self.forward(t), labels)
        }
    }
}

fn main() -> graven::Result<()> {
    let mut net = Net::init(Seed(1), &Device::cpu())?;
    println!("{net}");
    // Class 0 is bright at the top, class 1 at the bottom.
    let bright = |n: usize, row: usize| (n.is_multiple_of(2)) == (row < 4);
    let images = Tensor::from_fn([20, 3, 8, 8], |i| if bright(i / 192, i / 8 % 8) { 1.0 } else { 0.0 })?;
    let labels = Tensor::new((0..20).map(|n| n % 2).collect::<Vec<i64>>(), [20])?;
    let mut sgd = Sgd::new(0.1).momentum(0.9);
    for step in 0..40 {
        let loss = net.loss_step(&images, &labels, &mut sgd)?;
        if step == 0 || step == 39 {
            println!("loss {:.4}", loss.item()?);
        }
    }
    in_a_function()
}

/// A network in the body of a function, and a plain function beside it.
fn in_a_function() -> graven::Result<()> {
    #[derive(Module)]
    struct Inner {
        #[layer(out_features = 3)]
        fc: Linear,
    }
    network! {
        impl Inner {
            fn forward(&self, t: Tensor<[N, 2]>) -> Tensor<[N, 3]> {
                self.fc(t)
            }
        }
        fn energy(x: Tensor<[3]>) -> Tensor<[]> {
            sum(x * x) / 2
        }
    }
    let inner = Inner::init(Seed(2), &Device::cpu())?;
    println!("inner {}", inner.forward(&Tensor::zeros([5, 2])?)?.shape());
    let (value, gradient) = energy_grad(&Tensor::new(vec![1.0, 2.0, 3.0], [3])?)?;
    println!("energy {} {:?}", value.item()?, gradient.as_slice());
    Ok(())
}
