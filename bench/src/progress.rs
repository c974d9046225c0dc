//! What is shown while it runs: a line that changes on a terminal, lines elsewhere.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Instant;

/// Tells on standard error how far it is.
#[derive(Debug)]
pub struct Progress {
    server: String,
    start: Instant,
    is_terminal: bool,
}

impl Progress {
    /// Of the measurements on this server.
    pub fn new(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            start: Instant::now(),
            is_terminal: io::stderr().is_terminal(),
        }
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        let clear = if self.is_terminal { "\r\x1b[K" } else { "" };
        // A terminal that has gone must not end the measurements.
        let _ = writeln!(io::stderr(), "{clear}{text}");
    }

    /// What is being done now; on a terminal the next one takes its place.
    pub fn step(&self, text: &str) {
        let seconds = self.start.elapsed().as_secs();
        let line = format!("[{} {:02}:{:02}] {text}", self.server, seconds / 60, seconds % 60);
        if self.is_terminal {
            let _ = write!(io::stderr(), "\r\x1b[K{line}").and_then(|()| io::stderr().flush());
        } else {
            self.line(&line);
        }
    }

    /// What came of it.
    pub fn result(&self, text: &str) {
        if self.is_terminal {
            let _ = write!(io::stderr(), ": {text}").and_then(|()| io::stderr().flush());
        } else {
            self.line(&format!("    {text}"));
        }
    }
}
