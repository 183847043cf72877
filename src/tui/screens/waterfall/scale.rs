//! Which stretch of time is seen, and at which column of the screen a moment stands.

use crate::model::units;

/// Nobody looks at less than this, nanoseconds.
const LEAST_NS: i128 = 100;
/// Columns that a label of the axis takes, the gap behind it included.
const LABEL: usize = 10;

/// A stretch of time, at least a nanosecond long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Where it begins, nanoseconds from the start of the trace.
    pub from_ns: i64,
    /// How long it is, nanoseconds.
    pub span_ns: u64,
}

impl Window {
    /// From one moment to another; at least a nanosecond.
    pub fn between(from_ns: i64, to_ns: i64) -> Window {
        Window { from_ns, span_ns: (i128::from(to_ns) - i128::from(from_ns)).max(1) as u64 }
    }

    /// The moment behind it.
    pub fn end_ns(self) -> i64 {
        saturated(i128::from(self.from_ns) + i128::from(self.span_ns))
    }

    /// The column of a moment, if `columns` columns show the window; outside of it before the first or behind the last.
    pub fn column(self, ns: i64, columns: usize) -> isize {
        self.place(ns, columns).floor() as isize
    }

    /// The columns of a stretch: the first, and the one behind the last. Nothing is so short that it has no column.
    pub fn columns(self, from_ns: i64, to_ns: i64, columns: usize) -> (isize, isize) {
        let first = self.column(from_ns, columns);
        // What begins with the end of the window stands in its last column.
        let first = if from_ns == self.end_ns() { first.min(columns as isize - 1) } else { first };
        (first, (self.place(to_ns, columns).ceil() as isize).max(first.saturating_add(1)))
    }

    fn place(self, ns: i64, columns: usize) -> f64 {
        ns.saturating_sub(self.from_ns) as f64 * columns as f64 / self.span_ns as f64
    }

    /// Twice or half as much, `centre_ns` staying where it is on the screen.
    #[must_use]
    pub fn zoom(self, whole: Window, centre_ns: i64, inward: bool) -> Window {
        let (from, span) = (i128::from(self.from_ns), i128::from(self.span_ns));
        let centre =
            if centre_ns < self.from_ns || centre_ns > self.end_ns() { from + span / 2 } else { i128::from(centre_ns) };
        let wanted = if inward { span / 2 } else { span * 2 };
        let wanted = wanted.clamp(LEAST_NS.min(i128::from(whole.span_ns)), i128::from(whole.span_ns));
        // In floats: the product of two times of centuries is larger than any integer.
        let left = (centre - from) as f64 / span.max(1) as f64 * wanted as f64;
        whole.clamped(centre - left as i128, wanted)
    }

    /// A quarter of the window earlier or later.
    #[must_use]
    pub fn pan(self, whole: Window, later: bool) -> Window {
        let step = i128::from(self.span_ns / 4).max(1);
        whole.clamped(i128::from(self.from_ns) + if later { step } else { -step }, i128::from(self.span_ns))
    }

    /// A stretch with a little room around it.
    #[must_use]
    pub fn fit(whole: Window, from_ns: i64, to_ns: i64) -> Window {
        let length = (i128::from(to_ns) - i128::from(from_ns)).max(0);
        let room = (length / 20).max(1);
        whole.clamped(i128::from(from_ns) - room, (length + 2 * room).max(LEAST_NS))
    }

    /// What of a stretch lies in this window, moved into it where it can be.
    fn clamped(self, from: i128, span: i128) -> Window {
        let span = span.clamp(1, i128::from(self.span_ns));
        let first = i128::from(self.from_ns);
        let from = from.clamp(first, first + i128::from(self.span_ns) - span);
        Window { from_ns: saturated(from), span_ns: span as u64 }
    }

    /// How much of `whole` is seen, 0 to 1.
    pub fn share(self, whole: Window) -> f64 {
        self.span_ns as f64 / whole.span_ns as f64
    }

    /// The labels of the axis: column and words, as many as have room.
    pub fn ticks(self, columns: usize, label: impl Fn(i64, u64) -> String) -> Vec<(usize, String)> {
        let step = step_ns(self.span_ns, columns);
        let mut ticks = Vec::new();
        let mut room = 0;
        let first = i128::from(self.from_ns).div_euclid(i128::from(step)) * i128::from(step);
        let moments = (0..=columns as i128).map(|index| first + index * i128::from(step));
        for moment in moments.take_while(|moment| *moment <= i128::from(self.end_ns())) {
            let ns = saturated(moment);
            let column = self.column(ns, columns);
            let text = label(ns, step);
            let width = text.chars().count();
            if column >= room && column.saturating_add(width as isize) <= columns as isize {
                room = column + width as isize + 1;
                ticks.push((column as usize, text));
            }
        }
        ticks
    }
}

fn saturated(ns: i128) -> i64 {
    ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// 1, 2 or 5 times a power of ten nanoseconds: the least between two labels.
fn step_ns(span_ns: u64, columns: usize) -> u64 {
    let least = u128::from(span_ns) * LABEL as u128 / columns.max(1) as u128;
    let mut power: u128 = 1;
    while power * 10 <= least {
        power *= 10;
    }
    let step = [1, 2, 5, 10].into_iter().map(|times| power * times).find(|&step| step >= least);
    step.unwrap_or(power * 10).min(u128::from(u64::MAX)) as u64
}

/// A moment in the unit of the step between labels, so that neighbours differ: `0`, `1,250 ms`.
pub fn moment(ns: i64, step_ns: u64) -> String {
    if ns == 0 {
        return "0".to_owned();
    }
    let (unit, name) = match step_ns {
        0..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let sign = if ns < 0 { "-" } else { "" };
    if step_ns >= 600_000_000_000 {
        return format!("{sign}{}", units::duration(ns.unsigned_abs()));
    }
    format!("{sign}{} {name}", units::count(ns.unsigned_abs() / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Window = Window { from_ns: 0, span_ns: 1_000 };

    #[test]
    fn moments_have_columns() {
        let window = Window { from_ns: 100, span_ns: 200 };
        for (ns, column) in [(100, 0), (109, 0), (110, 1), (299, 19), (300, 20), (99, -1), (0, -10), (1_000, 90)] {
            assert_eq!(window.column(ns, 20), column, "{ns} ns");
        }
        assert_eq!(window.column(200, 0), 0);
    }

    #[test]
    fn nothing_is_too_short_for_a_column() {
        assert_eq!(WHOLE.columns(0, 0, 10), (0, 1));
        assert_eq!(WHOLE.columns(150, 151, 10), (1, 2));
        assert_eq!(WHOLE.columns(150, 201, 10), (1, 3));
        assert_eq!(WHOLE.columns(100, 200, 10), (1, 2));
        assert_eq!(WHOLE.columns(1_000, 1_000, 10), (9, 10), "at the very end");
        assert_eq!(WHOLE.columns(1_200, 1_300, 10), (12, 13), "outside");
    }

    #[test]
    fn zooming_keeps_the_centre_and_stays_within_the_whole() {
        let half = WHOLE.zoom(WHOLE, 500, true);
        assert_eq!(half, Window { from_ns: 250, span_ns: 500 });
        assert_eq!(half.zoom(WHOLE, 500, false), WHOLE);
        assert_eq!(WHOLE.zoom(WHOLE, 500, false), WHOLE, "not beyond everything");
        assert_eq!(WHOLE.zoom(WHOLE, 0, true), Window { from_ns: 0, span_ns: 500 });
        assert_eq!(WHOLE.zoom(WHOLE, 1_000, true), Window { from_ns: 500, span_ns: 500 });
        // A centre that is not seen is none: the middle stays.
        assert_eq!(half.zoom(WHOLE, 0, true), Window { from_ns: 375, span_ns: 250 });
        let mut window = WHOLE;
        for _ in 0..70 {
            window = window.zoom(WHOLE, 333, true);
        }
        assert_eq!(window.span_ns, 100, "nobody looks at less");
        for _ in 0..70 {
            window = window.zoom(WHOLE, 333, false);
        }
        assert_eq!(window, WHOLE);
    }

    #[test]
    fn panning_stops_at_the_ends() {
        let window = Window { from_ns: 100, span_ns: 400 };
        assert_eq!(window.pan(WHOLE, false).from_ns, 0);
        assert_eq!(window.pan(WHOLE, true).from_ns, 200);
        let mut window = window;
        for _ in 0..9 {
            window = window.pan(WHOLE, true);
        }
        assert_eq!(window, Window { from_ns: 600, span_ns: 400 });
        assert_eq!(WHOLE.pan(WHOLE, true), WHOLE);
    }

    #[test]
    fn a_stretch_is_shown_with_a_little_room() {
        assert_eq!(Window::fit(WHOLE, 400, 600), Window { from_ns: 390, span_ns: 220 });
        assert_eq!(Window::fit(WHOLE, 0, 1_000), WHOLE);
        assert_eq!(Window::fit(WHOLE, 500, 500), Window { from_ns: 499, span_ns: 100 });
        assert_eq!(Window::fit(WHOLE, 2_000, 3_000), WHOLE, "what is outside is moved inside");
    }

    #[test]
    fn the_ends_of_time_are_no_trouble() {
        let all = Window::between(i64::MIN, i64::MAX);
        assert_eq!(all.span_ns, u64::MAX);
        assert_eq!(all.end_ns(), i64::MAX);
        let _ = (all.zoom(all, 0, true), all.pan(all, false), Window::fit(all, i64::MIN, i64::MAX));
        assert!(all.ticks(40, moment).len() < 41);
        assert_eq!(Window::between(5, 5).span_ns, 1);
        assert!(Window::between(0, 1).ticks(0, moment).is_empty());
    }

    #[test]
    fn the_axis_has_round_numbers_that_differ() {
        let ms = 1_000_000;
        let window = Window { from_ns: 0, span_ns: 500 * ms };
        let labels = |window: Window, columns| -> Vec<String> {
            window.ticks(columns, moment).into_iter().map(|(column, text)| format!("{column}:{text}")).collect()
        };
        assert_eq!(labels(window, 50), ["0:0", "10:100 ms", "20:200 ms", "30:300 ms", "40:400 ms"]);
        assert_eq!(labels(window, 20), ["0:0"], "the next would not fit in whole");
        let late = Window { from_ns: 1_234_500_000, span_ns: 4 * ms };
        assert_eq!(labels(late, 40), ["5:1,235 ms", "15:1,236 ms", "25:1,237 ms"]);
        assert_eq!(moment(-2_000_000, 1_000_000), "-2 ms");
        assert_eq!(moment(3_600_000_000_000, 1_200_000_000_000), "60 min 0 s");
    }
}
