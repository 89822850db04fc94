//! Networks on a device, from the user's program down to the driver: what the CPU computes, a device computes too. Runs on the
//! stand-ins of driver and NVRTC, or on the GPU of this machine with `GRAVEN_TEST_DEVICE=cuda`.

use graven::prelude::*;
use graven_tests::cuda::emulated;

#[allow(unreachable_pub)] // It reads as a user's library would.
mod tutorial {
    use graven::prelude::*;
    include!("stages/tutorial.rs");
}

#[allow(unreachable_pub)] // As above.
mod networks {
    use graven::prelude::*;
    include!("cuda/networks.rs");
}

use networks::Residual;
use tutorial::Network;

/// Runs a test where there is a device.
macro_rules! on_a_device {
    ($test:expr) => {
        if std::env::var("GRAVEN_TEST_DEVICE").is_ok_and(|device| device == "cuda") { $test() } else { emulated($test) }
    };
}

fn batch(n: usize, shape: [usize; 3], classes: usize) -> (Tensor, Tensor<i64>) {
    let [channels, height, width] = shape;
    let images = Tensor::from_fn([n, channels, height, width], |index| (index * 7919 % 997) as f32 / 997.0).unwrap();
    let labels = Tensor::new((0..n).map(|index| (index * 3 % classes) as i64).collect::<Vec<_>>(), [n]).unwrap();
    (images, labels)
}

/// The norm of the difference over the norm.
fn distance(given: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(given.len(), expected.len());
    let pairs = || given.iter().zip(expected).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let norm: f64 = pairs().map(|(_, b)| b * b).sum();
    (pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>() / norm.max(1e-30)).sqrt()
}

fn parameters(network: &impl Model) -> Vec<f32> {
    network.parameters().into_iter().flat_map(|parameter| parameter.to_vec().unwrap()).collect()
}

#[test]
fn outputs_and_gradients_are_those_of_the_cpu() {
    on_a_device!(|| {
        let (images, labels) = batch(19, [1, 28, 28], 10);
        let mut network = Network::init(Seed(3), &Device::cpu()).unwrap();
        let logits = network.forward(&images).unwrap().to_vec().unwrap();
        let (loss, correct, gradients) = network.loss_grad(&images, &labels).unwrap();
        let expected: Vec<Vec<f32>> =
            gradients.names().map(|name| gradients.get(name).unwrap().to_vec().unwrap()).collect();

        network.to(&Device::cuda(0).unwrap()).unwrap();
        assert!(distance(&network.forward(&images).unwrap().to_vec().unwrap(), &logits) < 1e-5);
        let (own_loss, own_correct, gradients) = network.loss_grad(&images, &labels).unwrap();
        let (own_loss, loss) = (own_loss.item().unwrap(), loss.item().unwrap());
        assert!((own_loss - loss).abs() < 1e-5 * loss, "{own_loss} {loss}");
        assert_eq!(own_correct.item().unwrap(), correct.item().unwrap());
        for (name, expected) in gradients.names().zip(&expected) {
            let distance = distance(&gradients.get(name).unwrap().to_vec().unwrap(), expected);
            assert!(distance < 1e-5, "{name}: {distance}");
        }
    });
}

#[test]
fn five_steps_stay_beside_those_of_the_cpu() {
    on_a_device!(|| {
        let device = Device::cuda(0).unwrap();
        let (images, labels) = batch(12, [1, 28, 28], 10);
        let mut cpu = Network::init(Seed(3), &Device::cpu()).unwrap();
        let mut gpu = Network::init(Seed(3), &device).unwrap();
        assert_eq!(parameters(&cpu), parameters(&gpu));
        let (mut adam, mut other) = (Adam::new(0.001), Adam::new(0.001));
        let mut losses = Vec::new();
        for _ in 0..5 {
            let (expected, _) = cpu.loss_step(&images, &labels, &mut adam).unwrap();
            let (loss, _) = gpu.loss_step(&images, &labels, &mut other).unwrap();
            let (loss, expected) = (loss.item().unwrap(), expected.item().unwrap());
            assert!((loss - expected).abs() < 1e-4 * expected, "{loss} {expected}");
            losses.push(loss);
        }
        assert!(losses[4] < losses[0], "{losses:?}");
        assert!(distance(&parameters(&gpu), &parameters(&cpu)) < 1e-4);

        // The same again: the same bits.
        let mut again = Network::init(Seed(3), &device).unwrap();
        let mut adam = Adam::new(0.001);
        for loss in losses {
            assert_eq!(again.loss_step(&images, &labels, &mut adam).unwrap().0.item().unwrap(), loss);
        }
        assert_eq!(parameters(&again), parameters(&gpu));
    });
}

#[test]
fn dropout_drops_the_same_elements() {
    on_a_device!(|| {
        let (images, labels) = batch(6, [3, 9, 9], 5);
        let mut cpu = Residual::init(Seed(5), &Device::cpu()).unwrap();
        let mut gpu = Residual::init(Seed(5), &Device::cuda(0).unwrap()).unwrap();
        let (mut sgd, mut other) = (Sgd::new(0.05), Sgd::new(0.05));
        for _ in 0..3 {
            let expected = cpu.loss_step(&images, &labels, &mut sgd).unwrap().item().unwrap();
            let loss = gpu.loss_step(&images, &labels, &mut other).unwrap().item().unwrap();
            assert!((loss - expected).abs() < 1e-4 * expected, "{loss} {expected}");
        }
        assert!(distance(&parameters(&gpu), &parameters(&cpu)) < 1e-4);
    });
}

#[test]
fn batches_of_several_sizes_follow_each_other() {
    on_a_device!(|| {
        let cpu = Network::init(Seed(3), &Device::cpu()).unwrap();
        let gpu = Network::init(Seed(3), &Device::cuda(0).unwrap()).unwrap();
        for n in [5, 1, 17, 5] {
            let (images, _) = batch(n, [1, 28, 28], 10);
            let (given, expected) = (gpu.forward(&images).unwrap(), cpu.forward(&images).unwrap());
            assert_eq!(given.shape(), expected.shape());
            assert!(distance(&given.to_vec().unwrap(), &expected.to_vec().unwrap()) < 1e-5);
        }
    });
}

#[test]
fn an_unknown_architecture_is_named() {
    emulated(|| {
        for wrong in ["sm_12", "sm_", "90", "sm_90x"] {
            let message = Network::compile_cuda(wrong).unwrap_err().to_string();
            assert!(message.starts_with(&format!("{wrong}: NVRTC ")) && message.contains("sm_80"), "{message}");
            assert!(message.contains("\nhelp: give the architecture of the GPU"), "{message}");
        }
        assert_eq!(Network::compile_cuda("sm_90a").unwrap().kernels, Network::compile_cuda("sm_80").unwrap().kernels);
    });
}
