//! Tests of the optimizers: PyTorch's formulas in f64.

use super::*;
use crate::cpu::testing::{assert_close, random, wide};

#[test]
fn sgd_follows_its_formula() {
    for isa in Isa::available() {
        for (momentum, dampening, weight_decay, nesterov) in [
            (0.0, 0.0, 0.0, false),
            (0.0, 0.0, 0.1, false),
            (0.9, 0.0, 0.0, false),
            (0.9, 0.3, 0.01, false),
            (0.9, 0.0, 0.01, true),
        ] {
            let mut parameters = random(1, 37);
            let mut exact = wide(&parameters);
            let (mut velocity, mut exact_velocity) = (vec![f32::NAN; 37], vec![0.0; 37]);
            for step in 0..4 {
                let gradients = random(2 + step, 37);
                let settings = Sgd { lr: 0.1, momentum, dampening, weight_decay, nesterov, first_step: step == 0 };
                sgd(isa, &settings, &mut parameters, &gradients, &mut velocity);
                for i in 0..37 {
                    let g = f64::from(gradients[i]) + weight_decay * exact[i];
                    exact_velocity[i] =
                        if step == 0 { g } else { momentum * exact_velocity[i] + (1.0 - dampening) * g };
                    let direction = match (momentum > 0.0, nesterov) {
                        (false, _) => g,
                        (true, false) => exact_velocity[i],
                        (true, true) => g + momentum * exact_velocity[i],
                    };
                    exact[i] -= 0.1 * direction;
                }
            }
            assert_close(isa.name(), &parameters, &exact, 1e-6);
        }
    }
}

#[test]
fn adam_follows_its_formula() {
    for isa in Isa::available() {
        for (weight_decay, decoupled, beta1, eps) in
            [(0.0, false, 0.9, 1e-8), (0.1, false, 0.9, 1e-8), (0.1, true, 0.9, 0.3), (0.0, true, 0.2, 0.01)]
        {
            let mut parameters = random(1, 37);
            let mut exact = wide(&parameters);
            let (mut m, mut v) = (vec![0.0; 37], vec![0.0; 37]);
            let (mut exact_m, mut exact_v) = (vec![0.0; 37], vec![0.0; 37]);
            for step in 1..5_u64 {
                let gradients = random(2 + step, 37);
                let settings = Adam { lr: 0.01, beta1, beta2: 0.999, eps, weight_decay, decoupled, step };
                adam(isa, &settings, &mut parameters, &gradients, &mut m, &mut v);
                for i in 0..37 {
                    let mut g = f64::from(gradients[i]);
                    if decoupled {
                        exact[i] *= 1.0 - 0.01 * weight_decay;
                    } else {
                        g += weight_decay * exact[i];
                    }
                    exact_m[i] = beta1 * exact_m[i] + (1.0 - beta1) * g;
                    exact_v[i] = 0.999 * exact_v[i] + 0.001 * g * g;
                    let (m_hat, v_hat): (f64, f64) = (
                        exact_m[i] / (1.0 - beta1.powi(step as i32)),
                        exact_v[i] / (1.0 - 0.999_f64.powi(step as i32)),
                    );
                    exact[i] -= 0.01 * m_hat / (v_hat.sqrt() + eps);
                }
            }
            assert_close(isa.name(), &parameters, &exact, 1e-6);
            assert_close(isa.name(), &m, &exact_m, 1e-6);
            assert_close(isa.name(), &v, &exact_v, 1e-6);
        }
    }
}

#[test]
fn adam_keeps_no_subnormal_numbers() {
    let settings =
        |eps, step| Adam { lr: 0.1, beta1: 0.9, beta2: 0.999, eps, weight_decay: 0.0, decoupled: false, step };
    for isa in Isa::available() {
        // Means that fade away, gradients whose squares are too small, and whose squares are just large enough.
        let gradients = [0.0, 0.0, 1e-19, -3e-18, 1e-17];
        let mut parameters = [1.0; 5];
        let (mut m, mut v) = ([2e-38, 0.0, 0.0, 0.0, 0.0], [0.0, 2e-38, 0.0, 0.0, 0.0]);
        for step in 1..=10 {
            adam(isa, &settings(1e-8, step), &mut parameters, &gradients, &mut m, &mut v);
        }
        assert!(m.iter().chain(&v).all(|x| !x.is_subnormal()), "{m:?} {v:?}");
        assert_eq!((m[0], v[2], v[3]), (0.0, 0.0, 0.0));
        assert!(v[4] > 9e-37 && m[2] > 6e-20 && m[3] < -1e-18, "{m:?} {v:?}");
        assert_eq!(parameters, [1.0; 5]);
        // Beside a small eps they count.
        let (mut parameters, mut m, mut v) = ([1.0], [0.0], [0.0]);
        adam(isa, &settings(0.0, 1), &mut parameters, &[1e-19], &mut m, &mut v);
        assert!((parameters[0] - 0.9_f32).abs() < 1e-3, "{parameters:?}");
    }
}
