//! Progress on stderr, for a person at a terminal only.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar or spinner that removes itself when dropped.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Something of unknown length.
    pub(crate) fn spinner(text: &str) -> Self {
        Self::start(
            ProgressBar::with_draw_target(None, target()),
            "{spinner} {msg} ({elapsed})",
            text,
        )
    }

    /// A count towards a known end.
    pub(crate) fn bar(text: &str, end: u64) -> Self {
        Self::start(
            ProgressBar::with_draw_target(Some(end), target()),
            "{msg} [{bar:30}] {pos}/{len}",
            text,
        )
    }

    fn start(bar: ProgressBar, template: &str, text: &str) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(text.to_owned());
        bar.enable_steady_tick(Duration::from_millis(150));
        Self(bar)
    }

    pub(crate) fn step(&self) {
        self.0.inc(1);
    }

    pub(crate) fn say(&self, text: String) {
        self.0.set_message(text);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn target() -> ProgressDrawTarget {
    let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    if std::io::stderr().is_terminal() && std::env::var_os("CI").is_none() && !dumb {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}
