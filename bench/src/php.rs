//! PHP processes: each gets a task, a JSON object, and answers with a JSON line.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// No measurement takes as long; a process that does is stopped.
const TIME_LIMIT_S: u32 = 900;

/// What a process answered.
#[derive(Debug)]
pub enum Answer<T> {
    /// Its figures.
    Figures(T),
    /// This build of the extension has not what was asked for.
    Unavailable(String),
}

impl<T> Answer<T> {
    /// The figures, where nothing else is an answer.
    pub fn figures(self) -> Result<T> {
        match self {
            Self::Figures(figures) => Ok(figures),
            Self::Unavailable(why) => bail!("not available: {why}"),
        }
    }
}

/// Runs PHP with the extension that this tree built.
#[derive(Debug)]
pub struct Php {
    root: PathBuf,
}

impl Php {
    /// The tree is the current folder.
    pub fn in_current_folder() -> Result<Self> {
        let root = std::env::current_dir().context("no current folder")?;
        if !root.join("bench/throughput.php").exists() {
            bail!("run it from the root of the tree");
        }
        Ok(Self { root })
    }

    /// A process that runs a script of the tree; the caller adds its arguments.
    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--foreground", "--kill-after=10", &TIME_LIMIT_S.to_string()])
            .arg(self.root.join("scripts/php-with-extension"))
            .args(["-d", "memory_limit=-1", "-d", "display_errors=stderr"])
            .arg(self.root.join(script))
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Gives a task to a script, and waits for its answer.
    pub fn ask<T: DeserializeOwned>(&self, script: &str, task: &Value) -> Result<Answer<T>> {
        let output = self
            .command(script)
            .arg(task.to_string())
            .output()
            .with_context(|| format!("cannot start {script}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("{script} {task}: {}\n{complaint}{said}", output.status);
        }
        let line = said.lines().last().unwrap_or_default();
        let value: Value = serde_json::from_str(line).with_context(|| format!("{script} {task} said: {said}"))?;
        if let Some(why) = value.get("unavailable").and_then(Value::as_str) {
            return Ok(Answer::Unavailable(why.to_owned()));
        }
        let figures = serde_json::from_value(value).with_context(|| format!("{script} {task} said: {line}"))?;
        Ok(Answer::Figures(figures))
    }
}
