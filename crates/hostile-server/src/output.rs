//! What the server tells the test.

use std::io::{self, Write as _};

/// Writes a whole line at once. If nobody listens any more, standard input ends too.
pub fn say(line: &str) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}
