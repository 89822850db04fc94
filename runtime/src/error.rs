//! Everything that can go wrong at run time.
//!
//! A message says what was given, what was expected and where that came from; a second line starting with `help:` says
//! what to do.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use crate::device::Device;
use crate::shape::{MAX_RANK, Shape};

/// The result of a fallible function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[non_exhaustive]
pub enum Error {
    /// A tensor would have more than [`MAX_RANK`] axes.
    Rank {
        /// The number of axes asked for.
        given: usize,
    },
    /// A tensor would not fit into memory.
    TooLarge {
        /// The sizes asked for.
        dims: Vec<usize>,
    },
    /// The data does not fill the shape.
    DataLength {
        /// The number of elements of the data.
        given: usize,
        /// The shape asked for.
        shape: Vec<usize>,
    },
    /// A tensor cannot take a shape with another number of elements.
    Reshape {
        /// The tensor's shape.
        from: Vec<usize>,
        /// The shape asked for.
        to: Vec<usize>,
    },
    /// `item` was called on a tensor that does not have exactly one element.
    NotOneElement {
        /// The tensor's shape.
        shape: Vec<usize>,
    },
    /// A range does not lie within the first axis of a tensor.
    RowsOutOfRange {
        /// The range asked for.
        range: Range<usize>,
        /// The tensor's shape.
        shape: Vec<usize>,
    },
    /// A tensor does not have the shape that a function declares.
    ShapeMismatch {
        /// The function or method, such as `Network::forward`.
        function: String,
        /// The argument.
        argument: String,
        /// The shape of the tensor given.
        given: Vec<usize>,
        /// The shape declared, such as `[N, 1, 28, 28]`.
        expected: String,
        /// Which axis differs and how, or empty.
        note: String,
    },
    /// Two arguments bind one size differently.
    SizeConflict {
        /// The function.
        function: String,
        /// The size, such as `N`.
        symbol: String,
        /// The argument that bound it first, and its value there.
        first: (String, usize),
        /// The argument that contradicts, and its value there.
        second: (String, usize),
    },
    /// A batch without samples.
    EmptyBatch {
        /// The function.
        function: String,
        /// The argument.
        argument: String,
        /// The size that is zero, such as `N`.
        symbol: String,
    },
    /// A label is not one of the classes.
    LabelOutOfRange {
        /// The function, or the file, that met it.
        function: String,
        /// The argument.
        argument: String,
        /// The position of the label in its tensor.
        index: usize,
        /// The label.
        label: i64,
        /// The number of classes.
        classes: usize,
    },
    /// A network holds a layer of another one, or its layers stand in another order than they were made in.
    ForeignParameters {
        /// The function that was called.
        function: String,
        /// The first parameter that is not where it belongs.
        parameter: String,
    },
    /// An optimizer was used with another network than the one it first stepped.
    ForeignOptimizer {
        /// The optimizer.
        optimizer: &'static str,
        /// The network it was used with.
        model: &'static str,
    },
    /// Gradients were used with another network than the one they were made for.
    ForeignGradients {
        /// The function that was called.
        function: String,
    },
    /// No parameter has this name.
    UnknownParameter {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// A setting of an optimizer, or another named number, is out of its range.
    Setting {
        /// What is set, such as `Sgd`.
        owner: &'static str,
        /// The setting, such as `lr`.
        setting: &'static str,
        /// The value given.
        given: String,
        /// The values allowed.
        expected: &'static str,
    },
    /// The names or shapes of a set of weights are not those of the network. Nothing was changed.
    Keys {
        /// The file, if the weights came from one.
        path: Option<PathBuf>,
        /// The network.
        model: &'static str,
        /// Keys of the network that the weights lack.
        missing: Vec<String>,
        /// Keys of the weights that the network lacks.
        unexpected: Vec<String>,
        /// Keys whose shapes differ: key, shape given, shape expected.
        misshapen: Vec<(String, Shape, Shape)>,
    },
    /// A device cannot be used, because something is missing on this machine or in this program.
    NoDevice {
        /// The device asked for: `cuda:0`.
        device: String,
        /// What is missing.
        what: String,
        /// What to do.
        help: String,
    },
    /// A tensor lies on another device than the function runs on.
    ForeignDevice {
        /// The function.
        function: String,
        /// The argument.
        argument: String,
        /// Where the tensor lies.
        given: Device,
        /// Where the function runs.
        expected: Device,
        /// Why it runs there: `the network lives there`.
        why: &'static str,
    },
    /// A device has no room left. Parameters and the state of optimizers are as they were.
    DeviceMemory {
        /// The device.
        device: Device,
        /// What the memory is for: `the workspace of Network::loss`.
        what: String,
        /// The bytes asked for.
        wanted: usize,
        /// The bytes that are free.
        free: usize,
    },
    /// The driver of a device reports an error.
    Driver {
        /// The device.
        device: Device,
        /// What was being done, as a phrase: `launch conv1_relu`.
        doing: String,
        /// The driver's word for it.
        what: String,
    },
    /// A kernel does not compile.
    Kernel {
        /// The function that it belongs to.
        function: String,
        /// The kernel, named after the layers that it computes.
        kernel: String,
        /// What it is compiled for: `sm_90a`.
        architecture: String,
        /// What the compiler says.
        log: String,
    },
    /// The operating system reports an error with a file or folder.
    Io {
        /// What was being done, as a phrase: `open`, `write`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file does not hold what it should.
    Format {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        what: String,
        /// What to do, or empty.
        help: String,
    },
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn format(path: impl Into<PathBuf>, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Format { path: path.into(), what: what.into(), help: help.into() }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The message itself: `fn main() -> graven::Result<()>` prints an error by its `Debug` form, and people read it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rank { given } => write!(f, "a tensor has at most {MAX_RANK} axes, but the shape given has {given}"),
            Self::TooLarge { dims } => write!(f, "a tensor of shape {dims:?} does not fit into memory"),
            Self::DataLength { given, shape } => {
                write!(f, "the shape {shape:?} holds {}, but the data has {given}", elements(shape))
            }
            Self::Reshape { from, to } => write!(
                f,
                "a tensor of shape {from:?} has {} and cannot take the shape {to:?}, which holds {}",
                elements(from),
                to.iter().product::<usize>()
            ),
            Self::NotOneElement { shape } => write!(
                f,
                "`item` takes a tensor of one element, but this one has the shape {shape:?}\nhelp: `to_vec` gives all {}",
                elements(shape)
            ),
            Self::RowsOutOfRange { range, shape } => match shape.first() {
                Some(rows) => write!(
                    f,
                    "rows {range:?} do not lie within a tensor of shape {shape:?}, which has the rows 0..{rows}"
                ),
                None => write!(f, "rows {range:?} were asked of a tensor without axes"),
            },
            Self::ShapeMismatch { function, argument, given, expected, note } => {
                write!(f, "`{function}` takes `{argument}` {expected}, but was given {given:?}")?;
                line(f, "note", note)
            }
            Self::SizeConflict { function, symbol, first, second } => write!(
                f,
                "`{function}`: the size {symbol} is {} in `{}` but {} in `{}`\n\
                 help: both must come from the same batch",
                first.1, first.0, second.1, second.0
            ),
            Self::EmptyBatch { function, argument, symbol } => write!(
                f,
                "`{function}`: `{argument}` is empty: {symbol} is 0, but must be at least 1\nhelp: skip empty batches"
            ),
            Self::LabelOutOfRange { function, argument, index, label, classes } => write!(
                f,
                "`{function}`: `{argument}` holds the label {label} at index {index}, but there are {}\n\
                 help: labels count from 0 to {}",
                count(*classes, "class"),
                classes.saturating_sub(1)
            ),
            Self::ForeignParameters { function, parameter } => write!(
                f,
                "`{function}`: `{parameter}` is not the parameter that this network was made with\n\
                 help: layers cannot move between networks; copy the values: `a.weight.set(&b.weight.to_tensor()?)`"
            ),
            Self::ForeignOptimizer { optimizer, model } => write!(
                f,
                "this `{optimizer}` belongs to another network than the `{model}` it was used with: its state would not \
                 fit\nhelp: make one optimizer per network"
            ),
            Self::ForeignGradients { function } => write!(
                f,
                "`{function}`: these gradients were made for another network\n\
                 help: take them from this one: `network.gradients()?`"
            ),
            Self::UnknownParameter { name, known } => {
                write!(f, "no parameter is called `{name}`\nhelp: there are {}", list(known))
            }
            Self::Setting { owner, setting, given, expected } => {
                write!(f, "`{owner}` was given {setting} = {given}, but takes {expected}")
            }
            Self::Keys { path, model, missing, unexpected, misshapen } => {
                match path {
                    Some(path) => write!(f, "{}: the weights are not those of `{model}`", path.display())?,
                    None => write!(f, "the weights are not those of `{model}`")?,
                }
                if !missing.is_empty() {
                    write!(f, "\nmissing: {}", list(missing))?;
                }
                if !unexpected.is_empty() {
                    write!(f, "\nunexpected: {}", list(unexpected))?;
                }
                for (key, given, expected) in misshapen {
                    write!(f, "\n`{key}` has the shape {given}, expected {expected}")?;
                }
                write!(f, "\nhelp: nothing was loaded; the weights must come from the same network")
            }
            Self::NoDevice { device, what, help } => {
                write!(f, "{device}: {what}")?;
                line(f, "help", help)
            }
            Self::ForeignDevice { function, argument, given, expected, why } => write!(
                f,
                "`{function}`: `{argument}` lies on {given}, but the function runs on {expected}, because {why}\n\
                 help: copy it: `{argument}.to(&device)?`"
            ),
            Self::DeviceMemory { device, what, wanted, free } => write!(
                f,
                "{device} has no room for {what}: {} are wanted, {} are free\n\
                 help: take a smaller batch, or end other programs that use the device",
                count(*wanted, "byte"),
                count(*free, "byte")
            ),
            Self::Driver { device, doing, what } => write!(f, "{device}: cannot {doing}: {what}"),
            Self::Kernel { function, kernel, architecture, log } => write!(
                f,
                "the kernel `{kernel}` of `{function}` does not compile for {architecture}\n{}\n\
                 help: this is a fault of graven: please report it with this message",
                log.trim_end()
            ),
            Self::Io { doing, path, source } => write!(f, "cannot {doing} {}: {source}", path.display()),
            Self::Format { path, what, help } => {
                write!(f, "{}: {what}", path.display())?;
                line(f, "help", help)
            }
        }
    }
}

/// A further line of a message, left out when there is nothing to say.
fn line(f: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    if text.is_empty() { Ok(()) } else { write!(f, "\n{label}: {text}") }
}

/// The number of elements of a shape.
fn elements(shape: &[usize]) -> String {
    count(shape.iter().product(), "element")
}

/// `1 element`, `2 elements`, `3 classes`.
fn count(n: usize, noun: &str) -> String {
    match (n, noun.ends_with('s')) {
        (1, _) => format!("1 {noun}"),
        (_, true) => format!("{n} {noun}es"),
        (_, false) => format!("{n} {noun}s"),
    }
}

/// Names in backticks, the first ten of them.
fn list(names: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 10;
    let mut text: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{}`", name.as_ref())).collect();
    if names.len() > SHOWN {
        text.push(format!("and {} more", names.len() - SHOWN));
    }
    text.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_what_was_given_and_what_was_expected() {
        let error = Error::ShapeMismatch {
            function: "Network::forward".into(),
            argument: "t".into(),
            given: vec![100, 784],
            expected: "[N, 1, 28, 28]".into(),
            note: "2 axes, not 4".into(),
        };
        assert_eq!(
            error.to_string(),
            "`Network::forward` takes `t` [N, 1, 28, 28], but was given [100, 784]\nnote: 2 axes, not 4"
        );
        let keys = Error::Keys {
            path: Some("a.safetensors".into()),
            model: "Network",
            missing: vec!["fc1.bias".into()],
            unexpected: (0..12).map(|n| format!("x{n}")).collect(),
            misshapen: vec![("out.weight".into(), Shape::known(&[100, 784]), Shape::known(&[10, 60]))],
        };
        let text = keys.to_string();
        assert!(
            text.starts_with("a.safetensors: the weights are not those of `Network`\nmissing: `fc1.bias`\n"),
            "{text}"
        );
        assert!(text.contains("`x9`, and 2 more\n`out.weight` has the shape [100, 784], expected [10, 60]"), "{text}");
    }

    #[test]
    fn errors_are_small_enough_to_return() {
        // Clippy's threshold, which would warn in every program that returns `graven::Result`.
        assert!(size_of::<Error>() < 128, "{}", size_of::<Error>());
    }

    #[test]
    fn errors_travel_between_threads_and_keep_their_cause() {
        fn check<E: std::error::Error + Send + Sync + 'static>(_: &E) {}
        let error = Error::io("open", "a")(io::Error::from(io::ErrorKind::NotFound));
        check(&error);
        assert!(std::error::Error::source(&error).is_some());
        assert!(error.to_string().starts_with("cannot open a: "));
    }
}
