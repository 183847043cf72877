//! One side of a row as cells: bars, and what is said beside them.

use super::scale::Window;
use super::times::Bar;

/// What a cell of a row shows. Where several things run at once the more important one is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Only the other side has something here.
    Absent,
    /// Something runs, off the critical path.
    Off,
    /// Something runs on the critical path.
    Critical,
}

const LEVELS: [Level; 3] = [Level::Absent, Level::Off, Level::Critical];

/// The cells of one side of a row.
#[derive(Clone, Debug)]
pub struct Strip {
    window: Window,
    columns: usize,
    /// For each column and level how many bars begin less how many end there.
    changes: Vec<[i32; 3]>,
    /// Whether something lies before the window, and behind it.
    cut: (bool, bool),
}

impl Strip {
    /// Nothing yet, in so many columns.
    pub fn new(window: Window, columns: usize) -> Strip {
        Strip { window, columns, changes: vec![[0; 3]; columns + 1], cut: (false, false) }
    }

    /// Adds what ran.
    pub fn add(&mut self, level: Level, bar: Bar) {
        let (first, end) = self.window.columns(bar.from_ns, bar.to_ns, self.columns);
        self.cut.0 |= first < 0;
        self.cut.1 |= end > self.columns as isize;
        let inside = |column: isize| column.clamp(0, self.columns as isize) as usize;
        for (column, by) in [(inside(first), 1), (inside(end), -1)] {
            if let Some(change) = self.changes.get_mut(column).and_then(|levels| levels.get_mut(level as usize)) {
                *change += by;
            }
        }
    }

    /// What each column shows.
    pub fn cells(&self) -> Vec<Option<Level>> {
        let mut running = [0i32; 3];
        let mut cells = Vec::with_capacity(self.columns);
        for changes in self.changes.iter().take(self.columns) {
            running.iter_mut().zip(changes).for_each(|(running, change)| *running += change);
            cells.push(
                LEVELS.into_iter().zip(running).filter(|(_, running)| *running > 0).map(|(level, _)| level).max(),
            );
        }
        cells
    }

    /// Whether something lies before the window, and behind it.
    pub const fn cut(&self) -> (bool, bool) {
        self.cut
    }
}

/// Where words of so many columns stand beside the bars: behind them if there is room, else before them.
pub fn beside(cells: &[Option<Level>], width: usize) -> Option<usize> {
    let behind = cells.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let before = cells.iter().position(Option::is_some).unwrap_or(0);
    if behind + 1 + width <= cells.len() { Some(behind + 1) } else { before.checked_sub(width + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { from_ns: 0, span_ns: 1_000 };

    fn picture(strip: &Strip) -> String {
        let glyph = |cell: Option<Level>| match cell {
            None => ' ',
            Some(Level::Absent) => '.',
            Some(Level::Off) => '-',
            Some(Level::Critical) => '=',
        };
        strip.cells().into_iter().map(glyph).collect()
    }

    fn bar(from_ns: i64, to_ns: i64) -> Bar {
        Bar { from_ns, to_ns }
    }

    #[test]
    fn the_more_important_bar_is_seen() {
        let mut strip = Strip::new(WINDOW, 10);
        strip.add(Level::Off, bar(100, 600));
        strip.add(Level::Critical, bar(300, 400));
        strip.add(Level::Absent, bar(500, 900));
        assert_eq!(picture(&strip), " --=--... ");
        assert_eq!(strip.cut(), (false, false));
    }

    #[test]
    fn repeated_bars_leave_their_gaps() {
        let mut strip = Strip::new(WINDOW, 10);
        for from in [0, 300, 600] {
            strip.add(Level::Critical, bar(from, from + 100));
        }
        assert_eq!(picture(&strip), "=  =  =   ");
    }

    #[test]
    fn what_is_not_seen_is_told() {
        let mut strip = Strip::new(Window { from_ns: 500, span_ns: 100 }, 5);
        strip.add(Level::Off, bar(0, 400));
        assert_eq!((picture(&strip).as_str(), strip.cut()), ("     ", (true, false)));
        strip.add(Level::Off, bar(580, 700));
        assert_eq!((picture(&strip).as_str(), strip.cut()), ("    -", (true, true)));
        let mut none = Strip::new(WINDOW, 0);
        none.add(Level::Off, bar(0, 1_000));
        assert!(none.cells().is_empty());
    }

    #[test]
    fn words_stand_behind_or_before() {
        let mut strip = Strip::new(WINDOW, 10);
        strip.add(Level::Off, bar(400, 500));
        let cells = strip.cells();
        assert_eq!((beside(&cells, 4), beside(&cells, 5), beside(&cells, 3)), (Some(6), None, Some(6)));
        let mut late = Strip::new(WINDOW, 10);
        late.add(Level::Off, bar(600, 1_000));
        assert_eq!((beside(&late.cells(), 5), beside(&late.cells(), 6)), (Some(0), None));
        assert_eq!(beside(&[], 0), None);
    }
}
