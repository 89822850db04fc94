//! Register tiles: how a run of rows or columns is cut into them, and a function of its own for every size.

/// As few parts of at most `largest` as cover n: (how many, the length of the shorter ones, how many are longer by one).
#[inline(always)]
fn division(n: usize, largest: usize) -> (usize, usize, usize) {
    let count = n.div_ceil(largest);
    // Without parts, there is nothing to divide.
    (count, n / count.max(1), n % count.max(1))
}

/// The (start, length) of the parts of 0..n, the longer ones first.
#[inline(always)]
pub(crate) fn parts(n: usize, largest: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    let (count, length, longer) = division(n, largest);
    let mut next = 0;
    (0..count).map(move |part| {
        let own = (next, length + usize::from(part < longer));
        next += own.1;
        own
    })
}

/// The same parts, those of a length together: (start, length, how many).
#[inline(always)]
pub(crate) fn strips(n: usize, largest: usize) -> impl Iterator<Item = (usize, usize, usize)> + Clone {
    let (count, length, longer) = division(n, largest);
    let strips = [(0, length + 1, longer), (longer * (length + 1), length, count - longer)];
    strips.into_iter().filter(|strip| strip.2 > 0)
}

/// Calls `$f::<L, R, C>($sizes, ..)` with the constants R and C that are the run-time sizes `$r` and `$c`, as a function of its
/// own ([`Lanes::apart`](super::lanes::Lanes::apart)): the tiles of all sizes in one function take the compiler three times as
/// long. `$limits` lists the [rows, columns] up to which tiles are compiled.
macro_rules! with_tile {
    ($lanes:ident, [$r:expr, $c:expr], $limits:expr, $f:ident, $arguments:tt) => {
        with_tile!(@rows $lanes, [$r, $c], $limits, $f, $arguments, [1 2 3 4 5 6 7 8])
    };
    (@rows $lanes:ident, [$r:expr, $c:expr], $limits:expr, $f:ident, $arguments:tt, [$($n:literal)*]) => {
        match $r {
            $($n => with_tile!(@columns $lanes, [$n, $c], $limits, $f, $arguments, [1 2 3 4 5 6]),)*
            _ => unreachable!("a register tile of {} rows", $r),
        }
    };
    (@columns $lanes:ident, [$r:literal, $c:expr], $limits:expr, $f:ident, $arguments:tt, [$($n:literal)*]) => {
        match $c {
            $($n if const { $crate::cpu::tile::is_within([$r, $n], &$limits) } => {
                with_tile!(@call $lanes, [$r, $n], $f, $arguments)
            })*
            _ => unreachable!("a register tile of {} columns", $c),
        }
    };
    (@call $lanes:ident, [$r:literal, $c:literal], $f:ident, ($sizes:expr, $($argument:expr),*)) => {
        $lanes::apart($sizes, #[inline(always)] |sizes| $f::<$lanes, $r, $c>(sizes, $($argument),*))
    };
}
pub(crate) use with_tile;

/// Whether a tile is as large as one of the limits at most.
pub(crate) const fn is_within([rows, columns]: [usize; 2], limits: &[[usize; 2]]) -> bool {
    let mut i = 0;
    while i < limits.len() {
        if rows <= limits[i][0] && columns <= limits[i][1] {
            return true;
        }
        i += 1;
    }
    false
}
