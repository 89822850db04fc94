use super::{Adam, AdamW, Optimizer, Sgd};
use crate::testing::{Line, points};
use crate::{Device, Error, Model, Seed};

/// The weight of a line after each of four steps, and the gradient before each.
fn walk(optimizer: &mut impl Optimizer) -> (Vec<f64>, Vec<f64>) {
    let mut line = Line::init(Seed(2), &Device::cpu()).unwrap();
    let (x, targets, labels) = points(20);
    let weight = |line: &Line| f64::from(line.fc.weight.to_vec().unwrap()[0]);
    let (mut weights, mut gradients) = (vec![weight(&line)], Vec::new());
    for _ in 0..4 {
        let mut gradient = line.gradients().unwrap();
        line.loss_grad_into(&x, &targets, &labels, &mut gradient).unwrap();
        optimizer.step(&mut line, &gradient).unwrap();
        gradients.push(f64::from(gradient.of(&line.fc.weight).unwrap()[0]));
        weights.push(weight(&line));
    }
    (weights, gradients)
}

fn check(optimizer: &mut impl Optimizer, mut rule: impl FnMut(f64, f64, i32) -> f64) {
    let (weights, gradients) = walk(optimizer);
    for step in 0..4 {
        let expected = rule(weights[step], gradients[step], step as i32 + 1);
        // The state is f32, so a step is right to some ulps of weights around 1.
        assert!((weights[step + 1] - expected).abs() < 1e-6, "step {step}: {} and {expected}", weights[step + 1]);
        assert_ne!(weights[step + 1], weights[step]);
    }
}

#[test]
fn sgd_follows_its_formula() {
    check(&mut Sgd::new(0.1), |p, g, _| p - 0.1 * g);
    for nesterov in [false, true] {
        let dampening = if nesterov { 0.0 } else { 0.3 };
        let mut sgd = Sgd::new(0.1).momentum(0.9).dampening(dampening).weight_decay(0.01).nesterov(nesterov);
        let mut velocity = 0.0;
        check(&mut sgd, |p, g, step| {
            let g = g + 0.01 * p;
            velocity = if step == 1 { g } else { 0.9 * velocity + (1.0 - dampening) * g };
            p - 0.1 * if nesterov { g + 0.9 * velocity } else { velocity }
        });
    }
}

#[test]
fn adam_follows_its_formula() {
    let (mut mean, mut square) = (0.0, 0.0);
    check(&mut Adam::new(0.05).betas(0.8, 0.9).eps(1e-6).weight_decay(0.1), |p, g, step| {
        let g = g + 0.1 * p;
        mean = 0.8 * mean + 0.2 * g;
        square = 0.9 * square + 0.1 * g * g;
        let (mean, square): (f64, f64) = (mean / (1.0 - 0.8_f64.powi(step)), square / (1.0 - 0.9_f64.powi(step)));
        p - 0.05 * mean / (square.sqrt() + 1e-6)
    });
    let (mut mean, mut square) = (0.0, 0.0);
    check(&mut AdamW::new(0.05).weight_decay(0.1), |p, g, step| {
        mean = 0.9 * mean + 0.1 * g;
        square = 0.999 * square + 0.001 * g * g;
        let (mean, square): (f64, f64) = (mean / (1.0 - 0.9_f64.powi(step)), square / (1.0 - 0.999_f64.powi(step)));
        p * (1.0 - 0.05 * 0.1) - 0.05 * mean / (square.sqrt() + 1e-8)
    });
}

#[test]
fn settings_out_of_range_are_errors_of_the_step() {
    let mut line = Line::init(Seed(2), &Device::cpu()).unwrap();
    let gradients = line.gradients().unwrap();
    let mut message =
        |optimizer: &mut dyn FnMut(&mut Line) -> crate::Result<()>| optimizer(&mut line).unwrap_err().to_string();
    let mut adam = Adam::new(0.1).betas(1.0, 0.9);
    assert_eq!(
        message(&mut |line| adam.step(line, &gradients)),
        "`Adam` was given beta1 = 1.0, but takes a number in 0..1"
    );
    let mut sgd = Sgd::new(0.1).momentum(0.9).dampening(0.1).nesterov(true);
    let text = message(&mut |line| sgd.step(line, &gradients));
    assert_eq!(text, "`Sgd` was given dampening = 0.1, but takes only 0 together with nesterov");
    let mut sgd = Sgd::new(0.1);
    sgd.set_lr(f64::INFINITY);
    assert!(message(&mut |line| sgd.step(line, &gradients)).starts_with("`Sgd` was given lr = inf"));
}

#[test]
fn an_optimizer_belongs_to_the_first_network_it_steps() {
    let [mut one, mut two] = [0, 0].map(|seed| Line::init(Seed(seed), &Device::cpu()).unwrap());
    let mut adam = Adam::new(0.1);
    let (gradients_one, gradients_two) = (one.gradients().unwrap(), two.gradients().unwrap());
    adam.step(&mut one, &gradients_one).unwrap();
    assert!(matches!(adam.step(&mut two, &gradients_two), Err(Error::ForeignOptimizer { .. })));
    assert!(matches!(adam.step(&mut one, &gradients_two), Err(Error::ForeignGradients { .. })));
    adam.step(&mut one, &gradients_one).unwrap();
}
