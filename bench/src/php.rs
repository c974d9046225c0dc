//! PHP processes: each gets a task, a JSON object, and answers with a JSON line.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// No measurement takes as long. A process that does is stopped.
const TIME_LIMIT_S: u32 = 900;

/// What a process answered.
#[derive(Debug)]
pub enum Answer<T> {
    /// Its figures.
    Figures(T),
    /// This build of the extension does not have what the task needs, and why.
    Unavailable(String),
}

impl<T> Answer<T> {
    /// Returns the figures, and fails without them.
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
    variables: Vec<(String, String)>,
}

impl Php {
    /// Uses the project in the current folder.
    pub fn in_current_folder() -> Result<Self> {
        let root = std::env::current_dir().context("no current folder")?;
        if !root.join("bench/throughput.php").exists() {
            bail!("run it from the root of the tree");
        }
        Ok(Self {
            root,
            variables: Vec::new(),
        })
    }

    /// The root of the project.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns a copy that also sets an environment variable for its processes.
    pub fn with_variable(&self, name: &str, value: &str) -> Self {
        let mut variables = self.variables.clone();
        variables.push((name.to_owned(), value.to_owned()));
        Self {
            root: self.root.clone(),
            variables,
        }
    }

    /// Returns the command that runs a script; the caller adds arguments.
    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--foreground", "--kill-after=10", &TIME_LIMIT_S.to_string()])
            .arg(self.root.join("scripts/php-with-extension"))
            .args(["-d", "memory_limit=-1", "-d", "display_errors=stderr"])
            .arg(self.root.join(script))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a script with a task, and waits for the answer.
    pub fn ask<T: DeserializeOwned>(&self, script: &str, task: &Value) -> Result<Answer<T>> {
        self.start(script, task)?.answer()
    }

    /// Starts a script with a task, and does not wait.
    pub fn start(&self, script: &str, task: &Value) -> Result<Asked> {
        let mut command = self.command(script);
        let child = command.arg(task.to_string()).spawn();
        Ok(Asked {
            child: child.with_context(|| format!("cannot start {script}"))?,
            what: format!("{script} {task}"),
        })
    }
}

/// A process with a task.
#[derive(Debug)]
pub struct Asked {
    child: Child,
    what: String,
}

impl Asked {
    /// Waits for the answer.
    pub fn answer<T: DeserializeOwned>(self) -> Result<Answer<T>> {
        let what = self.what;
        let output = self
            .child
            .wait_with_output()
            .with_context(|| format!("cannot wait for {what}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("{what}: {}\n{complaint}{said}", output.status);
        }
        let line = said.lines().last().unwrap_or_default();
        let value: Value = serde_json::from_str(line).with_context(|| format!("{what} said: {said}"))?;
        if let Some(why) = value.get("unavailable").and_then(Value::as_str) {
            return Ok(Answer::Unavailable(why.to_owned()));
        }
        let figures = serde_json::from_value(value).with_context(|| format!("{what} said: {line}"))?;
        Ok(Answer::Figures(figures))
    }
}
