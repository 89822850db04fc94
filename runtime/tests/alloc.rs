//! After the first call with a batch size, a step allocates nothing: counted over 1,000 calls.

#![allow(missing_docs, unreachable_pub, dead_code)]

use graven::{Adam, Device, Model, Seed, Sgd, Tensor, threads};

#[path = "../../tests/counting.rs"]
mod counting;
#[path = "../src/testing.rs"]
mod testing;

use counting::allocations;
use testing::{Line, double, points};

/// How many allocations 1,000 calls make, after some calls that may. The least of three rounds, because the counter sees
/// the test harness as well, which allocates now and then on a thread of its own.
fn count(mut call: impl FnMut(usize)) -> usize {
    (0..4).for_each(&mut call);
    let mut round = || allocations(|| (0..1000).for_each(&mut call));
    [round(), round(), round()].into_iter().min().unwrap_or_default()
}

// One test, since the counter sees the allocations of all threads.
#[test]
fn a_thousand_calls_allocate_nothing() {
    let batches = [points(117), points(48)];
    for n_threads in [1, 2] {
        threads::set(n_threads);
        let mut line = Line::init(Seed(0), &Device::cpu()).unwrap();
        let (mut adam, mut sgd) = (Adam::new(0.01), Sgd::new(0.01).momentum(0.9));
        let mut output = Tensor::scalar(0.0);

        let forward = count(|call| line.forward_into(&batches[call % 2].0, &mut output).unwrap());
        let step = count(|call| {
            let (x, targets, labels) = &batches[call % 2];
            line.loss_step(x, targets, labels, &mut adam).unwrap();
        });
        let mut line = Line::init(Seed(0), &Device::cpu()).unwrap();
        let sgd_step = count(|call| {
            let (x, targets, labels) = &batches[call % 2];
            line.loss_step(x, targets, labels, &mut sgd).unwrap();
        });
        let mut gradients = line.gradients().unwrap();
        let grad = count(|call| {
            let (x, targets, labels) = &batches[call % 2];
            line.loss_grad_into(x, targets, labels, &mut gradients).unwrap();
        });
        assert_eq!((forward, step, sgd_step, grad), (0, 0, 0, 0), "{n_threads} threads");
    }
    // A function that returns a tensor allocates that one only.
    let x = Tensor::zeros([117]).unwrap();
    assert_eq!(count(|_| drop(double(&x).unwrap())), 1000);
}
