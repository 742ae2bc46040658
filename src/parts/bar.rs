//! A bar on standard error, where someone looks at one.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use store::Progress;

/// How far through a log one is.
pub struct Bar(ProgressBar);

impl Bar {
    /// At its beginning.
    pub fn new() -> Bar {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} entries, {eta} left") {
            bar.set_style(style);
        }
        Bar(bar)
    }

    /// Now so far.
    pub fn is_at(&self, progress: Progress) {
        self.0.set_length(progress.total);
        self.0.set_position(progress.done);
    }

    /// Through.
    pub fn ends(self) {
        self.0.finish_and_clear();
    }
}
