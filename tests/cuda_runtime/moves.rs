//! Networks, tensors and files between devices.

use graven::{Adam, Checkpoint, Device, Model, Optimizer, Seed, Sgd, Tensor};

use super::testing::points;
use super::*;

fn bits(line: &Line) -> Vec<u32> {
    parameters(line).into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_network_moves_with_its_bits_and_its_optimizer() {
    emulated(|| {
        let (x, targets, labels) = points(50);
        let (mut still, mut mover) = (line(&Device::cpu()), line(&Device::cpu()));
        let (mut adam_still, mut adam_mover) = (Adam::new(0.1), Adam::new(0.1));
        let mut gradients = mover.gradients().unwrap();
        for step in 0..6 {
            let device = if step % 2 == 0 { gpu() } else { Device::cpu() };
            let before = bits(&mover);
            mover.to(&device).unwrap();
            assert_eq!((mover.device(), bits(&mover)), (device.clone(), before));
            mover.to(&device).unwrap();
            still.loss_step(&x, &targets, &labels, &mut adam_still).unwrap();
            if step < 3 {
                mover.loss_step(&x, &targets, &labels, &mut adam_mover).unwrap();
            } else {
                // Gradients of the other device serve as well.
                mover.loss_grad_into(&x, &targets, &labels, &mut gradients).unwrap();
                mover.to(&if step == 3 { gpu() } else { Device::cpu() }).unwrap();
                adam_mover.step(&mut mover, &gradients).unwrap();
            }
        }
        assert_close(&parameters(&mover), &parameters(&still));
    });
}

#[test]
fn what_is_set_is_seen_and_what_is_computed_is_read() {
    emulated(|| {
        let mut line = line(&gpu());
        let (x, targets, labels) = points(20);
        let mut sgd = Sgd::new(0.1);
        let y = |line: &Line| vec(&line.forward(&Tensor::full([1, 1], 1.0).unwrap()).unwrap())[0];
        for round in 0..4 {
            line.fc.weight.set(&Tensor::full([1, 1], round as f32).unwrap()).unwrap();
            let bias = line.fc.bias.as_ref().unwrap().to_vec().unwrap()[0];
            assert_close(&[y(&line)], &[round as f32 + bias]);
            line.loss_step(&x, &targets, &labels, &mut sgd).unwrap();
            let [weight, bias] = [&line.fc.weight, line.fc.bias.as_ref().unwrap()].map(|p| p.to_vec().unwrap()[0]);
            assert_ne!(weight, round as f32);
            assert_close(&[y(&line)], &[weight + bias]);
        }
        let state = line.state().unwrap();
        line.load_state(&state.iter().map(|(key, value)| (key.clone(), value.to(&gpu()).unwrap())).collect()).unwrap();
        assert_eq!(line.state().unwrap(), state);
    });
}

#[test]
fn files_are_the_same_from_either_device() {
    emulated(|| {
        let folder = tempfile::tempdir().unwrap();
        let [here, there] = ["here", "there"].map(|name| folder.path().join(name));
        line(&Device::cpu()).save(&here).unwrap();
        let mut loaded = line(&gpu());
        loaded.save(&there).unwrap();
        assert_eq!(std::fs::read(&here).unwrap(), std::fs::read(&there).unwrap());

        // A checkpoint from the device resumes on both, and they go on alike.
        let (x, targets, labels) = points(50);
        let mut adam = Adam::new(0.1);
        for _ in 0..3 {
            loaded.loss_step(&x, &targets, &labels, &mut adam).unwrap();
        }
        Checkpoint::save(&there, &loaded, &adam, &[("epoch", "3".into())]).unwrap();
        let mut expected = None;
        for device in [Device::cpu(), gpu()] {
            let mut resumed = Line::init(Seed(99), &device).unwrap();
            let mut adam = Adam::new(0.7);
            assert_eq!(Checkpoint::load(&there, &mut resumed, &mut adam).unwrap()["epoch"], "3");
            assert_eq!(bits(&resumed), bits(&loaded));
            resumed.loss_step(&x, &targets, &labels, &mut adam).unwrap();
            assert_close(&parameters(&resumed), expected.get_or_insert_with(|| parameters(&resumed)));
        }
        loaded.loss_step(&x, &targets, &labels, &mut adam).unwrap();
        assert_close(&parameters(&loaded), &expected.unwrap());
    });
}

#[test]
fn a_tensor_keeps_its_numbers_wherever_it_is() {
    emulated(|| {
        let t = Tensor::from_fn([3, 4], |index| index as f32).unwrap();
        let there = t.to(&gpu()).unwrap();
        assert_eq!((there.device(), t.device()), (gpu(), Device::cpu()));
        assert_eq!(there.device().to_string(), "cuda:0");
        assert_eq!((there.len(), there.shape()), (12, t.shape()));
        assert_eq!(there.rows(1..3).unwrap().as_slice(), t.rows(1..3).unwrap().as_slice());
        assert_eq!(there.rows(1..2).unwrap().device(), gpu());
        assert_eq!(there.clone().reshape([2, 6]).unwrap().get(&[1, 5]), Some(11.0));
        assert_eq!(there, t);
        assert_eq!(there.to_string(), t.to_string());
        assert_eq!(
            there.rows(2..3).unwrap().rows(0..1).unwrap().reshape([4]).unwrap().rows(3..4).unwrap().item().unwrap(),
            11.0
        );
        // One copy is changed, the other stays.
        let mut changed = there.clone();
        changed.as_mut_slice()[0] = 7.0;
        assert_eq!((changed.device(), changed.get(&[0, 0])), (Device::cpu(), Some(7.0)));
        assert_eq!(vec(&there), vec(&t));
        assert_eq!(Tensor::scalar(5_i64).to(&gpu()).unwrap().item().unwrap(), 5);
        assert!(Tensor::<f32>::zeros([0, 3]).unwrap().to(&gpu()).unwrap().to_vec().unwrap().is_empty());
    });
}
