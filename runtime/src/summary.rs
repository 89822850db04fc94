//! A network as a table: what each call of a function gives, owns, costs and keeps.

use std::fmt;

use graven_kernels::dim::thousands;

use crate::home::elements;
use crate::plan::{ModulePlan, SummaryPlan, SummaryRow};
use crate::table;

/// What a network is made of, call by call: see [`Model::summary`](crate::Model::summary). It prints as a table.
///
/// ```
/// use graven::prelude::*;
///
/// #[derive(Module)]
/// struct Network {
///     #[layer(out_channels = 8, kernel_size = 3)]
///     conv: Conv2d,
///     #[layer(out_features = 10)]
///     out: Linear,
/// }
///
/// network! {
///     impl Network {
///         fn forward(&self, t: Tensor<[N, 1, 29, 29]>) -> Tensor<[N, 10]> {
///             let t = max_pool2d(relu(self.conv(t)), kernel_size = 2);
///             self.out(t.flatten(1))
///         }
///     }
/// }
///
/// let expected = "\
/// Network::forward: t [N, 1, 29, 29]
/// -------------------------------------------------------------------------------------
/// layer  type        output          parameters  multiply-adds  bytes kept for backward
/// -------------------------------------------------------------------------------------
/// conv   Conv2d      [N, 8, 27, 27]          80         58,320                        -
///        relu        [N, 8, 27, 27]           -          5,832                        -
///        max_pool2d  [N, 8, 13, 13]           -          5,408                   10,816
///        flatten     [N, 1352]                -              -                        -
/// out    Linear      [N, 10]             13,530         13,530                        -
/// -------------------------------------------------------------------------------------
/// total                                  13,610         83,090                   10,816
/// 13,610 parameters in 54,440 bytes, all of them trained; multiply-adds and bytes kept are those of one sample
/// max_pool2d in `forward` leaves 1 row and 1 column of [N, 8, 27, 27] unread";
/// assert_eq!(Network::summary().to_string(), expected);
/// assert_eq!(Network::summary().rows()[0].multiply_adds, 27 * 27 * 8 * (3 * 3 + 1));
/// ```
#[derive(Clone, Copy)]
pub struct Summary {
    module: &'static ModulePlan,
    plan: &'static SummaryPlan,
}

impl Summary {
    pub(crate) const fn new(module: &'static ModulePlan, plan: &'static SummaryPlan) -> Self {
        Self { module, plan }
    }

    /// The function it is about: `Network::forward`.
    #[must_use]
    pub const fn function(&self) -> &'static str {
        self.plan.function
    }

    /// The calls of layers and functions, in the order in which they run; modules are taken apart.
    #[must_use]
    pub const fn rows(&self) -> &'static [SummaryRow] {
        self.plan.rows
    }

    /// Numbers that the network owns, trained and frozen, those of layers that the function does not use included.
    #[must_use]
    pub const fn parameters(&self) -> usize {
        self.plan.parameters
    }

    /// The parameters that are trained: those of layers without `frozen`.
    #[must_use]
    pub fn trained_parameters(&self) -> usize {
        self.module.parameters.iter().filter(|parameter| parameter.trained).map(elements).sum()
    }

    /// Multiply-adds of one sample in the function: the sum over [`rows`](Self::rows).
    #[must_use]
    pub const fn multiply_adds(&self) -> u64 {
        self.plan.multiply_adds
    }

    /// Bytes of one sample that a training step on the CPU keeps from the forward pass for the backward pass: the sum over
    /// [`rows`](Self::rows).
    #[must_use]
    pub fn kept_bytes(&self) -> u64 {
        self.rows().iter().map(|row| row.kept_bytes).sum()
    }

    /// What is worth a look: windows that leave a part of their input unread, layers that the function does not use.
    pub fn notes(&self) -> impl Iterator<Item = &'static str> {
        self.plan.notes.iter().copied()
    }
}

/// The columns; from the fourth on they hold numbers.
const COLUMNS: [&str; 6] = ["layer", "type", "output", "parameters", "multiply-adds", "bytes kept for backward"];

/// A number, or `-` for none.
fn number(n: u64) -> String {
    if n == 0 { "-".to_owned() } else { thousands(n) }
}

impl Summary {
    /// The cells, the totals last.
    fn cells(&self) -> Vec<[String; 6]> {
        let row = |row: &SummaryRow| {
            let parameters = if row.shared { "shared".to_owned() } else { number(row.parameters as u64) };
            let [layer, kind, output] = [row.layer, row.kind, row.output].map(str::to_owned);
            [layer, kind, output, parameters, number(row.multiply_adds), number(row.kept_bytes)]
        };
        let [parameters, adds, kept] =
            [self.parameters() as u64, self.multiply_adds(), self.kept_bytes()].map(thousands);
        let total = ["total".to_owned(), String::new(), String::new(), parameters, adds, kept];
        self.rows().iter().map(row).chain([total]).collect()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs: Vec<String> = self.plan.inputs.iter().map(|(name, shape)| format!("{name} {shape}")).collect();
        writeln!(f, "{}: {}", self.function(), inputs.join(", "))?;
        table::write(f, COLUMNS, 3, &self.cells())?;
        let trained = match self.trained_parameters() {
            trained if trained == self.parameters() => "all".to_owned(),
            trained => thousands(trained as u64),
        };
        write!(
            f,
            "{} parameters in {} bytes, {trained} of them trained; multiply-adds and bytes kept are those of one sample",
            thousands(self.parameters() as u64),
            thousands(4 * self.parameters() as u64),
        )?;
        self.notes().try_for_each(|note| write!(f, "\n{note}"))
    }
}

impl fmt::Debug for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 7].map(number), ["-", "7"]);
    }
}
