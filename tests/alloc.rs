//! After the first call with a batch size, `forward_into`, `loss_grad_into` and `loss_step` allocate nothing: counted over
//! 1,000 calls with batches of two sizes in turn, or over fewer of the larger networks of the benchmark.

#![allow(missing_docs, dead_code, reason = "the networks of tests")]

use graven::prelude::*;
use graven::threads;

#[path = "../examples/bench/networks.rs"]
mod bench;
mod counting;
#[path = "promises/networks.rs"]
mod networks;

use bench::{mlp, odd, residual, tutorial};
use counting::allocations;
use networks::{Residual, Tutorial, noise, pictures, silhouettes};

/// How many allocations so many calls make, after some calls that may. The test harness allocates now and then on a thread of
/// its own, and the counter sees that as well: so a round that counts something is repeated, up to two times.
fn count(n_calls: usize, mut call: impl FnMut(usize)) -> usize {
    (0..4).for_each(&mut call);
    let mut round = || allocations(|| (0..n_calls).for_each(&mut call));
    (0..3).map(|_| round()).find(|count| *count == 0).unwrap_or_else(round)
}

macro_rules! calls {
    ($network:ty, $calls:expr, $batches:expr) => {{
        let batches = $batches;
        let mut network = <$network>::init(Seed(0), &Device::cpu()).unwrap();
        let mut gradients = network.gradients().unwrap();
        let mut output = Tensor::empty();
        let forward = count($calls, |call| network.forward_into(&batches[call % 2].0, &mut output).unwrap());
        let grad = count($calls, |call| {
            let (images, labels) = &batches[call % 2];
            network.loss_grad_into(images, labels, &mut gradients).unwrap();
        });
        let mut adam = Adam::new(0.001);
        let step = count($calls, |call| {
            let (images, labels) = &batches[call % 2];
            network.loss_step(images, labels, &mut adam).unwrap();
        });
        [forward, grad, step]
    }};
}

network! {
    fn norm(x: Tensor<[N, 3]>) -> (Tensor<[]>, Tensor<[N]>) {
        let squares = (x * x).sum(dim = 1);
        (squares.sum(), squares)
    }
}

/// Inputs of a network of the benchmark, and labels.
fn batch(n: usize, shape: &[usize]) -> (Tensor, Tensor<i64>) {
    (noise(&[&[n], shape].concat()), Tensor::from_fn([n], |index| (index % 10) as i64).unwrap())
}

// One test, since the counter sees the allocations of all threads.
#[test]
fn a_thousand_calls_allocate_nothing() {
    for n_threads in [1, 2] {
        threads::set(n_threads);
        // Batches of two and three tiles, so that there is something to share.
        assert_eq!(calls!(Tutorial, 1000, [20, 33].map(silhouettes)), [0; 3], "{n_threads} threads");
        assert_eq!(calls!(Residual, 1000, [20, 33].map(pictures)), [0; 3], "{n_threads} threads");
        // One by one, and in a tile.
        assert_eq!(calls!(Residual, 200, [3, 5].map(pictures)), [0; 3], "{n_threads} threads");

        // The networks of the benchmark.
        let batches = |shape: &[usize]| [1, 17].map(|n| batch(n, shape));
        assert_eq!(calls!(tutorial::Network, 100, batches(&[1, 28, 28])), [0; 3], "{n_threads} threads");
        assert_eq!(calls!(mlp::Mlp, 20, batches(&[784])), [0; 3], "{n_threads} threads");
        assert_eq!(calls!(residual::Residual, 6, batches(&[3, 32, 32])), [0; 3], "{n_threads} threads");
        assert_eq!(calls!(odd::Odd, 100, batches(&[1, 28, 28])), [0; 3], "{n_threads} threads");

        let x = [20, 33].map(|n| noise(&[n, 3]));
        let [mut sum, mut squares, mut grad] = [(); 3].map(|()| Tensor::empty());
        let value = count(1000, |call| norm_into(&x[call % 2], &mut sum, &mut squares).unwrap());
        let gradient = count(1000, |call| norm_grad_into(&x[call % 2], &mut sum, &mut squares, &mut grad).unwrap());
        assert_eq!([value, gradient], [0; 2], "{n_threads} threads");
    }

    // The counter counts: a call that returns a tensor allocates that one.
    let network = Residual::init(Seed(0), &Device::cpu()).unwrap();
    let (images, _) = pictures(5);
    assert_eq!(count(1000, |_| drop(network.forward(&images).unwrap())), 1000);
}
