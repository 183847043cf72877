//! The two sides of a comparison, named once for flags, JSON, code and screens.

/// Which side of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Before the change.
    Before,
    /// After the change.
    After,
}

impl Side {
    /// The word used everywhere: `before` or `after`.
    pub const fn name(self) -> &'static str {
        match self {
            Side::Before => "before",
            Side::After => "after",
        }
    }

    /// The other side.
    #[must_use]
    pub const fn other(self) -> Side {
        match self {
            Side::Before => Side::After,
            Side::After => Side::Before,
        }
    }
}

/// One value for each side, instead of doubled arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pair<T> {
    /// The value of the side before the change.
    pub before: T,
    /// The value of the side after the change.
    pub after: T,
}

impl<T> Pair<T> {
    /// Both values, before first.
    pub const fn new(before: T, after: T) -> Self {
        Pair { before, after }
    }

    /// The value of one side.
    pub fn get(&self, side: Side) -> &T {
        match side {
            Side::Before => &self.before,
            Side::After => &self.after,
        }
    }

    /// The value of one side, to change.
    pub fn get_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Before => &mut self.before,
            Side::After => &mut self.after,
        }
    }

    /// The same pair by reference.
    pub fn as_ref(&self) -> Pair<&T> {
        Pair { before: &self.before, after: &self.after }
    }

    /// A pair of what `f` makes of each value.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Pair<U> {
        Pair { before: f(self.before), after: f(self.after) }
    }

    /// The sides exchanged.
    #[must_use]
    pub fn swapped(self) -> Pair<T> {
        Pair { before: self.after, after: self.before }
    }
}
