//! Floor 5: the terminal UI for incident review.
//!
//! May use: model, diff, report, ratatui, crossterm, signals. Never: ingest, receiver, files.
//! Invariant: the screen is a pure function of [`app::App`], and `App` changes only in [`update::update`].
//!
//! ```text
//! keys → keymap → command → update(App, Msg) → effects → host (cli): compares, reads, writes, copies → Msg
//!                                   └→ view::draw(App) → buffer → terminal, or text, ANSI, SVG, JSON
//! ```
//! `action` has the one table of commands. `model` is a comparison with what finds a way in it, `rows` which rows of the
//! merged tree are seen, `screens` one file a screen, `canvas` the only place where text reaches a cell.

pub mod action;
pub mod app;
pub mod canvas;
pub mod filter;
mod folding;
pub mod glyphs;
pub mod headless;
pub mod keymap;
pub mod keys;
pub mod layout;
pub mod live;
pub mod model;
pub mod note;
pub mod overlay;
pub mod rows;
pub mod screens;
pub mod session;
pub mod steps;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod view;
