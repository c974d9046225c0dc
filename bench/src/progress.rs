//! What it shows while it runs: one line that changes on a terminal, many lines elsewhere.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Instant;

/// Reports the progress on standard error.
#[derive(Debug)]
pub struct Progress {
    server: String,
    start: Instant,
    is_terminal: bool,
}

impl Progress {
    /// Starts the clock of the measurements on a server.
    pub fn new(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            start: Instant::now(),
            is_terminal: io::stderr().is_terminal(),
        }
    }

    /// Prints a line that stays.
    pub fn line(&self, text: &str) {
        let clear = if self.is_terminal { "\r\x1b[K" } else { "" };
        // A closed terminal must not end the measurements.
        let _ = writeln!(io::stderr(), "{clear}{text}");
    }

    /// Prints the current step; on a terminal the next one replaces it.
    pub fn step(&self, text: &str) {
        let seconds = self.start.elapsed().as_secs();
        let line = format!("[{} {:02}:{:02}] {text}", self.server, seconds / 60, seconds % 60);
        if self.is_terminal {
            let _ = write!(io::stderr(), "\r\x1b[K{line}").and_then(|()| io::stderr().flush());
        } else {
            self.line(&line);
        }
    }

    /// Prints the result of the current step.
    pub fn result(&self, text: &str) {
        if self.is_terminal {
            let _ = write!(io::stderr(), ": {text}").and_then(|()| io::stderr().flush());
        } else {
            self.line(&format!("    {text}"));
        }
    }
}
