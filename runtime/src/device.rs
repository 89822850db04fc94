//! Where a network lives and runs.

use std::fmt;

/// Where a network lives and runs: its parameters are there, and its functions run there.
///
/// ```
/// use graven::Device;
///
/// assert_eq!(Device::cpu().to_string(), "cpu");
/// assert_eq!(Device::best(), Device::cpu());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Device {
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    Cpu,
}

impl Device {
    /// The processor that this program runs on, with the widest instruction set that it has.
    #[must_use]
    pub const fn cpu() -> Self {
        Self { kind: Kind::Cpu }
    }

    /// The fastest device of this machine. Today that is always the CPU.
    #[must_use]
    pub fn best() -> Self {
        Self::cpu()
    }
}

impl Default for Device {
    fn default() -> Self {
        Self::best()
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Cpu => f.write_str("cpu"),
        }
    }
}
