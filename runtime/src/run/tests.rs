use crate::model::home;
use crate::testing::{Line, Pair, double, points};
use crate::{Adam, Device, Error, Model, Seed, Sgd, Tensor, threads};

fn line(seed: u64) -> Line {
    Line::init(Seed(seed), &Device::cpu()).unwrap()
}

fn pair(seed: u64) -> Pair {
    Pair::init(Seed(seed), &Device::cpu()).unwrap()
}

/// Weight and bias of a line.
fn values(line: &Line) -> (f32, f32) {
    (line.fc.weight.to_vec().unwrap()[0], line.fc.bias.as_ref().unwrap().to_vec().unwrap()[0])
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    tensor.as_slice().iter().map(|value| value.to_bits()).collect()
}

#[test]
fn every_sample_is_computed_whatever_the_batch() {
    let line = line(0);
    let (weight, bias) = values(&line);
    for n in [1, 2, 15, 16, 17, 117, 1000] {
        let (x, ..) = points(n);
        let y = line.forward(&x).unwrap();
        assert_eq!(y.shape(), [n, 1]);
        assert!(y.as_slice().iter().zip(x.as_slice()).all(|(&y, &x)| (y - (weight * x + bias)).abs() < 1e-6));
        let flat = x.clone().reshape([n]).unwrap();
        assert!(double(&flat).unwrap().as_slice().iter().zip(x.as_slice()).all(|(&y, &x)| y == 2.0 * x));
    }
}

#[test]
fn losses_and_gradients_are_those_of_the_formula() {
    // Chunks of one tile, and of several.
    for n in [117, 777] {
        let line = line(0);
        let (x, targets, labels) = points(n);
        let mut gradients = line.gradients().unwrap();
        let (loss, count) = line.loss_grad_into(&x, &targets, &labels, &mut gradients).unwrap();
        let threes = labels.as_slice().iter().filter(|&&label| label == 3).count();
        assert!(threes > 20);
        assert_eq!((count.item().unwrap(), count.shape().rank()), (threes as i64, 0));

        let (weight, bias) = values(&line);
        let seed = graven_kernels::rng::bits(home(&line).unwrap().dropout_state().0, 0, 0);
        let (mut expected, mut weight_gradient, mut bias_gradient) = (0.0, 0.0, 0.0);
        for (index, (&x, &target)) in x.as_slice().iter().zip(targets.as_slice()).enumerate() {
            let noise = 0.1 * graven_kernels::rng::uniform(seed, 0, index as u64);
            let difference = f64::from(weight * x + bias + noise - target);
            expected += difference * difference / n as f64;
            weight_gradient += 2.0 * difference * f64::from(x) / n as f64;
            bias_gradient += 2.0 * difference / n as f64;
        }
        assert!((f64::from(loss.item().unwrap()) - expected).abs() < 1e-5 * expected);
        let of = |name| f64::from(gradients.get(name).unwrap().as_slice()[0]);
        assert!((of("fc.weight") - weight_gradient).abs() < 1e-5 * weight_gradient.abs());
        assert!((of("fc.bias") - bias_gradient).abs() < 1e-5 * bias_gradient.abs());
        assert_eq!(gradients.of(&line.fc.weight).unwrap(), gradients.get("fc.weight").unwrap().as_slice());
        assert!((gradients.norm() - weight_gradient.hypot(bias_gradient)).abs() < 1e-4);
        assert!(gradients.get("fc.wait").unwrap_err().to_string().contains("there are `fc.weight`, `fc.bias`"));
    }
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let train = |n_threads| {
        threads::set(n_threads);
        let mut line = line(3);
        let mut adam = Adam::new(0.05);
        let mut losses = Vec::new();
        for n in [117, 333, 117, 5] {
            let (x, targets, labels) = points(n);
            for _ in 0..5 {
                losses.push(line.loss_step(&x, &targets, &labels, &mut adam).unwrap().0.item().unwrap().to_bits());
            }
        }
        (losses, bits(&line.forward(&points(117).0).unwrap()))
    };
    let expected = train(1);
    for n_threads in [2, 3, 5] {
        assert_eq!(train(n_threads), expected, "{n_threads} threads");
    }
    assert!(f32::from_bits(expected.0[19]) < 0.5 * f32::from_bits(expected.0[0]));
}

#[test]
fn a_step_is_a_gradient_and_an_update() {
    let (mut one, mut two) = (line(7), line(7));
    let (mut sgd_one, mut sgd_two) = (Sgd::new(0.1).momentum(0.9), Sgd::new(0.1).momentum(0.9));
    let (x, targets, labels) = points(50);
    for _ in 0..3 {
        one.loss_step(&x, &targets, &labels, &mut sgd_one).unwrap();
        let mut gradients = two.gradients().unwrap();
        two.loss_grad_into(&x, &targets, &labels, &mut gradients).unwrap();
        crate::Optimizer::step(&mut sgd_two, &mut two, &gradients).unwrap();
    }
    assert_eq!(values(&one), values(&two));
    assert_ne!(values(&one), values(&line(7)));
}

#[test]
fn a_network_runs_on_several_threads_at_once() {
    let line = line(0);
    let (x, ..) = points(117);
    let expected = line.forward(&x).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| assert_eq!(line.forward(&x).unwrap(), expected)));
        }
    });
    assert!(line.workspace_bytes() > 0);
}

#[test]
fn wrong_arguments_are_errors_and_change_nothing() {
    let mut line = line(0);
    let before = (values(&line), home(&line).unwrap().dropout_state());
    let (x, targets, labels) = points(10);
    let mut sgd = Sgd::new(0.1);
    let few = labels.rows(0..9).unwrap();
    let conflict = line.loss_step(&x, &targets, &few, &mut sgd).unwrap_err();
    assert!(matches!(&conflict, Error::SizeConflict { symbol, .. } if symbol == "N"), "{conflict}");
    let mut bad = labels.clone();
    bad.as_mut_slice()[4] = 10;
    let label = line.loss_step(&x, &targets, &bad, &mut sgd).unwrap_err();
    assert!(matches!(label, Error::LabelOutOfRange { index: 4, label: 10, classes: 10, .. }), "{label}");
    assert!(matches!(line.forward(&labels_as_x(&labels)), Err(Error::ShapeMismatch { .. })));
    assert!(matches!(line.forward(&Tensor::zeros([0, 1]).unwrap()), Err(Error::EmptyBatch { .. })));
    for mut bad in [Sgd::new(-1.0), Sgd::new(f64::NAN), Sgd::new(0.1).nesterov(true)] {
        assert!(matches!(line.loss_step(&x, &targets, &labels, &mut bad), Err(Error::Setting { .. })));
    }
    assert_eq!((values(&line), home(&line).unwrap().dropout_state()), before);
}

fn labels_as_x(labels: &Tensor<i64>) -> Tensor {
    Tensor::zeros(labels.shape()).unwrap()
}

#[test]
fn layers_of_another_network_are_refused() {
    let (mut one, mut two) = (line(0), line(1));
    let (x, targets, labels) = points(10);
    std::mem::swap(&mut one.fc.bias, &mut two.fc.bias);
    let mut sgd = Sgd::new(0.1);
    let foreign = |error: Error| {
        let expected = |parameter: &String| parameter == "fc.bias";
        assert!(matches!(&error, Error::ForeignParameters { parameter, .. } if expected(parameter)), "{error}");
    };
    foreign(one.forward(&x).unwrap_err());
    foreign(one.loss_step(&x, &targets, &labels, &mut sgd).unwrap_err());
    foreign(one.gradients().unwrap_err());
    foreign(one.state().unwrap_err());
    foreign(one.load_state(&line(0).state().unwrap()).unwrap_err());
    // Whole layers that moved are as foreign, and so is a missing one.
    std::mem::swap(&mut one.fc.bias, &mut two.fc.bias);
    one.forward(&x).unwrap();
    let mut pair = pair(0);
    let [first, second] = &mut pair.lines;
    std::mem::swap(&mut first.fc, &mut second.fc);
    assert!(matches!(pair.state(), Err(Error::ForeignParameters { .. })));
    one.fc.bias = None;
    foreign(one.forward(&x).unwrap_err());
}

#[test]
fn a_part_of_a_network_runs_as_a_network_of_its_own() {
    let mut pair = pair(5);
    let (x, targets, labels) = points(40);
    let untouched = values(&pair.lines[0]);
    let (weight, bias) = values(&pair.lines[1]);
    let y = pair.lines[1].forward(&x).unwrap();
    assert!((y.as_slice()[3] - (weight * x.as_slice()[3] + bias)).abs() < 1e-6);
    let mut sgd = Sgd::new(0.1).momentum(0.5);
    pair.lines[1].loss_step(&x, &targets, &labels, &mut sgd).unwrap();
    assert_ne!(values(&pair.lines[1]), (weight, bias));
    assert_eq!(values(&pair.lines[0]), untouched);
    // The optimizer belongs to that part, and so do the gradients.
    assert!(matches!(pair.lines[0].loss_step(&x, &targets, &labels, &mut sgd), Err(Error::ForeignOptimizer { .. })));
    let mut gradients = pair.lines[1].gradients().unwrap();
    assert!(gradients.of(&pair.lines[1].fc.weight).is_ok());
    assert!(matches!(gradients.of(&pair.lines[0].fc.weight), Err(Error::ForeignGradients { .. })));
    let foreign = pair.lines[0].loss_grad_into(&x, &targets, &labels, &mut gradients).unwrap_err();
    assert!(matches!(foreign, Error::ForeignGradients { .. }), "{foreign}");
}

#[test]
fn parameters_are_drawn_from_the_seed_and_can_be_set() {
    use crate::Module;

    let mut pair = pair(5);
    assert_eq!(pair.state().unwrap(), self::pair(5).state().unwrap());
    assert_ne!(pair.state().unwrap(), self::pair(6).state().unwrap());
    assert_eq!(pair.num_parameters(), 4);
    let names: Vec<&str> = pair.named_parameters().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["lines.0.fc.weight", "lines.0.fc.bias", "lines.1.fc.weight", "lines.1.fc.bias"]);
    pair.lines[0].fc.weight.set(&Tensor::new([9.0], [1, 1]).unwrap()).unwrap();
    assert_eq!(pair.state().unwrap()["lines.0.fc.weight"].as_slice(), [9.0]);
    let error = pair.lines[0].fc.weight.set(&Tensor::new([9.0], [1]).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "`Parameter::set` takes `lines.0.fc.weight` [1, 1], but was given [1]");
    assert_eq!(pair.lines[0].fc.to_string(), "Linear(in_features=1, out_features=1, bias=True)");
}

#[test]
fn networks_can_move_and_be_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<Line>();
    check::<crate::Gradients>();
    check::<Adam>();
}
