//! Same seed, same bits: for any number of threads, from run to run, from call to call.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::process::Command;

use graven::prelude::*;
use graven_kernels::cpu::Isa;

use crate::networks::{Residual, Tutorial, noise, pictures, silhouettes};
use crate::{bits, new, with_threads};

/// More threads than a machine may have, and counts that do not divide the number of chunks.
const THREADS: [usize; 4] = [1, 2, 3, 5];

/// An epoch over 1,003 images in batches of 100, the last one odd: losses, hits, and the parameters after it.
fn epoch(train: &ImageDataset) -> Vec<u32> {
    let mut network: Tutorial = new(0);
    let mut adam = Adam::new(0.003);
    let mut trace = Vec::new();
    for (images, labels) in train.batches(100).shuffled(Seed(1)) {
        let (loss, correct) = network.loss_step(&images, &labels, &mut adam).unwrap();
        trace.extend([loss.item().unwrap().to_bits(), correct.item().unwrap() as u32]);
    }
    assert_eq!(trace.len(), 2 * 11);
    trace.extend(bits(&network));
    trace
}

#[test]
fn an_epoch_is_the_same_for_any_number_of_threads() {
    let train = Silhouettes::train(1003, Seed(0)).unwrap();
    let first = with_threads(1, || epoch(&train));
    for n_threads in THREADS {
        let again = with_threads(n_threads, || epoch(&train));
        assert!(again == first, "{n_threads} threads give other bits than one");
    }
    let losses = [first[0], first[2 * 9]].map(f32::from_bits);
    assert!(losses[1] < 0.95 * losses[0], "the network learns: {losses:?}");

    let mut hasher = DefaultHasher::new();
    first.hash(&mut hasher);
    println!("fingerprint {:016x}", hasher.finish());
}

/// The same in another process, and on each other instruction set, where the bits may differ but not between threads.
#[test]
fn an_epoch_is_the_same_from_run_to_run() {
    let fingerprint = |isa: Isa| {
        let mut tests = Command::new(std::env::current_exe().unwrap());
        tests.args(["--exact", "bits::an_epoch_is_the_same_for_any_number_of_threads", "--nocapture"]);
        let output = tests.env("GRAVEN_ISA", isa.name()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "with {}:\n{text}\n{errors}", isa.name());
        let found = text.split_once("fingerprint ").expect("the test prints its fingerprint").1;
        found[..16].to_owned()
    };
    assert_eq!(fingerprint(Isa::detect()), fingerprint(Isa::detect()));
    for isa in Isa::available().filter(|isa| *isa != Isa::detect()) {
        fingerprint(isa);
    }
}

#[test]
fn every_function_is_the_same_for_any_number_of_threads() {
    let (images, labels) = pictures(131);
    let few = images.rows(0..3).unwrap();
    let results = THREADS.map(|n_threads| {
        with_threads(n_threads, || {
            let network: Residual = new(0);
            let output = (network.forward(&images).unwrap(), network.forward(&few).unwrap());
            let (loss, gradients) = network.loss_grad(&images, &labels).unwrap();
            let gradients: Vec<Tensor> = gradients.names().map(|name| gradients.get(name).unwrap()).collect();
            (output, loss, gradients)
        })
    });
    assert!(results.iter().all(|result| *result == results[0]));
    assert!(results[0].2.iter().all(|gradient| gradient.as_slice().iter().any(|value| *value != 0.0)));
}

/// What a batch is cut into changes the order of sums, but the samples of a forward pass do not meet. A few of them have
/// kernels of their own, so there the last bits are others, but again the same ones for every batch.
#[test]
fn an_output_does_not_depend_on_the_rest_of_the_batch() {
    let (images, _) = silhouettes(53);
    let network: Tutorial = new(0);
    let of = |range: Range<usize>| network.forward(&images.rows(range).unwrap()).unwrap();
    let all = of(0..53);
    for range in [0..16, 5..22, 0..5, 48..53] {
        assert_eq!(of(range.clone()), all.rows(range.clone()).unwrap(), "{range:?}");
    }
    let few = of(48..52);
    for range in [0..1, 1..3, 0..3, 3..4] {
        let part = of(48 + range.start..48 + range.end);
        assert_eq!(part, few.rows(range.clone()).unwrap(), "{range:?}");
    }
    let differences = few.as_slice().iter().zip(&all.as_slice()[480..520]).map(|(few, all)| (few - all).abs());
    assert!(differences.fold(0.0, f32::max) < 1e-5);
}

#[test]
fn a_step_is_a_gradient_and_an_update() {
    let (images, labels) = silhouettes(37);
    let mut whole: Tutorial = new(0);
    let mut parts: Tutorial = new(0);
    let (mut adam_whole, mut adam_parts) = (Adam::new(0.01), Adam::new(0.01));
    for _ in 0..3 {
        let results = whole.loss_step(&images, &labels, &mut adam_whole).unwrap();
        let (loss, correct, gradients) = parts.loss_grad(&images, &labels).unwrap();
        adam_parts.step(&mut parts, &gradients).unwrap();
        assert_eq!((loss, correct), results);
    }
    assert_eq!(bits(&whole), bits(&parts));
}

/// A mean over the batch in the middle: the gradients of the two layers are sums of different loops.
#[derive(Module)]
struct Centered {
    #[layer(in_features = 5, out_features = 70)]
    first: Linear,
    #[layer(in_features = 70, out_features = 3)]
    second: Linear,
}

network! {
    impl Centered {
        fn loss(&self, t: Tensor<[N, 5]>) -> Tensor<[]> {
            let t = tanh(self.first(t));
            let t = self.second(t - t.mean(dim = 0));
            (t * t).mean()
        }
    }
}

#[test]
fn a_step_is_a_gradient_and_an_update_where_several_loops_add_up() {
    let t = noise(&[300, 5]);
    let mut whole: Centered = new(0);
    let mut parts: Centered = new(0);
    let start = bits(&whole);
    let (mut adam_whole, mut adam_parts) = (AdamW::new(0.01), AdamW::new(0.01));
    for _ in 0..3 {
        let loss = whole.loss_step(&t, &mut adam_whole).unwrap();
        let (expected, gradients) = parts.loss_grad(&t).unwrap();
        adam_parts.step(&mut parts, &gradients).unwrap();
        assert_eq!(loss, expected);
        for name in gradients.names() {
            assert!(gradients.get(name).unwrap().as_slice().iter().any(|gradient| *gradient != 0.0), "{name}");
        }
    }
    assert_eq!(bits(&whole), bits(&parts));
    assert_ne!(bits(&whole), start);
}

#[test]
fn results_do_not_depend_on_what_tensors_held_before() {
    let (images, labels) = silhouettes(37);
    let network: Tutorial = new(0);
    let (_, _, expected) = network.loss_grad(&images, &labels).unwrap();
    let output = network.forward(&images).unwrap();

    let mut gradients = network.gradients().unwrap();
    let mut into = Tensor::full([90, 2, 5], f32::NAN).unwrap();
    for n in [5, 37] {
        let (images, labels) = (images.rows(0..n).unwrap(), labels.rows(0..n).unwrap());
        network.loss_grad_into(&images, &labels, &mut gradients).unwrap();
        network.forward_into(&images, &mut into).unwrap();
    }
    assert_eq!(into, output);
    for name in expected.names() {
        assert_eq!(gradients.get(name).unwrap(), expected.get(name).unwrap(), "{name}");
    }
}

#[test]
fn another_seed_gives_other_parameters() {
    assert_eq!(bits(&new::<Tutorial>(5)), bits(&new::<Tutorial>(5)));
    assert_ne!(bits(&new::<Tutorial>(5)), bits(&new::<Tutorial>(6)));
}

#[test]
fn one_network_serves_several_threads_at_once() {
    let network: Residual = new(0);
    let batches = [3, 16, 40].map(|n| pictures(n).0);
    let expected = batches.each_ref().map(|images| network.forward(images).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (network, batches, expected) = (&network, &batches, &expected);
            scope.spawn(move || {
                for call in 0..60 {
                    let index = (call + thread) % 3;
                    assert_eq!(network.forward(&batches[index]).unwrap(), expected[index]);
                }
            });
        }
    });
}

#[test]
fn networks_train_side_by_side() {
    let (images, labels) = pictures(35);
    let train = |seed: u64| {
        let mut network: Residual = new(seed);
        let mut sgd = Sgd::new(0.05).momentum(0.9);
        for _ in 0..10 {
            network.loss_step(&images, &labels, &mut sgd).unwrap();
        }
        bits(&network)
    };
    let alone = [0, 1, 2].map(&train);
    let together = std::thread::scope(|scope| {
        let threads = [0, 1, 2].map(|seed| {
            scope.spawn({
                let train = &train;
                move || train(seed)
            })
        });
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(alone, together);
}
