//! A slow network: the proxy of crates/fault-proxy, which delays both directions.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::machine::variable;

/// A proxy in front of the server. It ends when this is dropped.
#[derive(Debug)]
pub struct SlowNetwork {
    child: Child,
    port: String,
}

impl SlowNetwork {
    /// Starts it, with a delay in each direction.
    pub fn start(delay_ms: u64) -> Result<Self> {
        let here = std::env::current_exe().context("where this program is")?;
        let mut child = Command::new(here.with_file_name("fault-proxy"))
            .arg(format!("{}:{}", variable("DB_HOST")?, variable("DB_PORT")?))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start fault-proxy: run make build-fault-proxy")?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("fault-proxy has no pipes");
        };
        let mut network = Self {
            child,
            port: String::new(),
        };
        network.agree(input, output, delay_ms)?;
        Ok(network)
    }

    fn agree(&mut self, mut input: ChildStdin, output: ChildStdout, delay_ms: u64) -> Result<()> {
        let mut lines = BufReader::new(output).lines();
        let mut next = || {
            lines
                .next()
                .context("fault-proxy has ended")?
                .context("cannot hear fault-proxy")
        };
        next()?
            .strip_prefix("port ")
            .context("fault-proxy says no port")?
            .clone_into(&mut self.port);
        writeln!(input, "latency {delay_ms}").context("cannot tell fault-proxy")?;
        let answer = next()?;
        if answer != format!("latency {delay_ms}") {
            bail!("fault-proxy: {answer}");
        }
        // The proxy ends when its standard input does.
        self.child.stdin = Some(input);
        Ok(())
    }

    /// The port on which it listens.
    pub fn port(&self) -> &str {
        &self.port
    }
}

impl Drop for SlowNetwork {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
