//! How good the network is.

use std::fmt;

use graven::data::ImageDataset;
use graven::prelude::*;

use crate::network::Network;

/// Images per call in an evaluation; it changes the speed, not the result.
const EVALUATION_BATCH: usize = 1000;

/// How often images of one class were taken for another.
pub(crate) struct Confusion {
    class_names: &'static [&'static str],
    /// [true class][predicted class]
    counts: Vec<Vec<usize>>,
}

/// Classifies all images.
pub(crate) fn evaluate(network: &Network, dataset: &ImageDataset) -> graven::Result<Confusion> {
    let class_names = dataset.class_names();
    let mut counts = vec![vec![0; class_names.len()]; class_names.len()];
    let (mut images, mut labels, mut logits) = (Tensor::default(), Tensor::default(), Tensor::default());
    let mut batches = dataset.batches(EVALUATION_BATCH);
    while batches.next_into(&mut images, &mut labels) {
        network.forward_into(&images, &mut logits)?;
        let predictions = logits.as_slice().chunks_exact(class_names.len()).map(argmax);
        for (&label, prediction) in labels.as_slice().iter().zip(predictions) {
            counts[label as usize][prediction] += 1;
        }
    }
    Ok(Confusion { class_names, counts })
}

impl Confusion {
    /// The share of images that were classified correctly.
    pub(crate) fn accuracy(&self) -> f64 {
        let n_correct: usize = self.counts.iter().enumerate().map(|(class, row)| row[class]).sum();
        share(n_correct, self.counts.iter().flatten().sum())
    }
}

/// A table: a row per true class, a column per predicted class, and the share that was right.
impl fmt::Display for Confusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name_width = self.class_names.iter().map(|name| name.len()).max().unwrap_or(0);
        writeln!(f, "confusion matrix, a row per true class and a column per predicted one:")?;
        write!(f, "{:>2} {:name_width$}", "", "")?;
        for class in 0..self.counts.len() {
            write!(f, " {class:>5}")?;
        }
        writeln!(f, "   right")?;
        for (class, (name, row)) in self.class_names.iter().zip(&self.counts).enumerate() {
            write!(f, "{class:>2} {name:name_width$}")?;
            for count in row {
                write!(f, " {count:>5}")?;
            }
            writeln!(f, "  {:.4}", share(row[class], row.iter().sum()))?;
        }
        Ok(())
    }
}

/// The probabilities that belong to logits.
pub(crate) fn softmax(logits: &[f32]) -> Vec<f64> {
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let exps: Vec<f64> = logits.iter().map(|&logit| (f64::from(logit) - max).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.into_iter().map(|exp| exp / sum).collect()
}

/// The index of the largest, the first of several.
fn argmax(logits: &[f32]) -> usize {
    (1..logits.len()).fold(0, |best, class| if logits[class] > logits[best] { class } else { best })
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_however_large_the_logits() {
        let probabilities = softmax(&[1e30, 0.0, -1e30]);
        assert_eq!(probabilities, [1.0, 0.0, 0.0]);
        let probabilities = softmax(&[0.0, 3.0_f32.ln()]);
        assert!((probabilities[0] - 0.25).abs() < 1e-6 && (probabilities[1] - 0.75).abs() < 1e-6);
    }

    #[test]
    fn the_table_counts_true_classes_in_rows() {
        let confusion = Confusion { class_names: &["cat", "dog"], counts: vec![vec![3, 1], vec![0, 4]] };
        assert_eq!(confusion.accuracy(), 7.0 / 8.0);
        let table = confusion.to_string();
        let lines: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(lines, [" 0 cat     3     1  0.7500", " 1 dog     0     4  1.0000"]);
    }

    #[test]
    fn the_first_of_equal_logits_is_chosen() {
        assert_eq!(argmax(&[1.0, 2.0, 2.0]), 1);
    }
}
