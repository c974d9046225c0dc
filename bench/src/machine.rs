//! The machine and the server of a measurement.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::php::Php;
use crate::stats::Summary;

/// How many small writes are made durable, to know the least that a commit costs.
const SYNCS: usize = 200;

/// The server, the processors, the disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// `mariadb` or `mysql`.
    pub kind: String,
    /// Its name with its version: `MariaDB 10.11.14`.
    pub server: String,
    /// PHP's version.
    pub php: String,
    /// Laravel's version.
    pub laravel: String,
    /// The settings that decide what a commit costs.
    pub durability: String,
    /// The number of processors that client and server share.
    pub processors: usize,
    /// Their name.
    pub processor: String,
    /// The file system with the server's data.
    pub file_system: String,
    /// Microseconds to make 512 bytes durable there.
    pub sync_us: f64,
    /// The day of the measurement.
    pub date: String,
}

#[derive(Deserialize)]
struct Versions {
    server: String,
    php: String,
    laravel: String,
    durability: String,
}

impl Machine {
    /// Looks around, within scripts/with-server. Fails if the server's data is in memory.
    pub fn look(php: &Php) -> Result<Self> {
        let kind = variable("DB_SERVER")?;
        let data = fs::canonicalize(variable("DB_DATA_DIR")?).context("the server's data")?;
        let file_system = output(Command::new("df").arg("--output=fstype").arg(&data))?;
        let file_system = file_system.lines().last().unwrap_or_default().to_owned();
        if ["tmpfs", "ramfs"].contains(&file_system.as_str()) {
            bail!("the server's data is in memory ({file_system}): set TMPDIR to a folder on a disk");
        }
        let versions: Versions = php.ask("bench/versions.php", &json!({}))?.figures()?;
        let name = if kind == "mysql" { "MySQL" } else { "MariaDB" };
        let version = versions.server.split('-').next().unwrap_or_default();
        Ok(Self {
            server: format!("{name} {version}"),
            kind,
            php: versions.php,
            laravel: versions.laravel,
            durability: versions.durability,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            processor: processor(),
            file_system,
            sync_us: sync_us(&data)?,
            date: output(Command::new("date").arg("+%F"))?,
        })
    }

    /// Describes it in one line.
    pub fn describe(&self) -> String {
        format!(
            "{} ({}), PHP {}, Laravel {}; {} processors ({}) for client and server; data on {}, {:.0} µs to make a write durable; {}",
            self.server,
            self.durability,
            self.php,
            self.laravel,
            self.processors,
            self.processor,
            self.file_system,
            self.sync_us,
            self.date,
        )
    }
}

/// Returns a variable of scripts/with-server.
pub fn variable(name: &str) -> Result<String> {
    std::env::var(name)
        .with_context(|| format!("{name} is not set: run it within scripts/with-mariadb or scripts/with-mysql"))
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name"));
    let name = name.and_then(|rest| rest.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// Creates a file on the server's file system. Its data folder may belong to another user.
fn writable_file(data: &Path) -> Result<(File, PathBuf)> {
    for folder in data.ancestors().take(3) {
        let path = folder.join(format!("write-buffer-bench-{}", std::process::id()));
        if let Ok(file) = File::create(&path) {
            return Ok((file, path));
        }
    }
    bail!("cannot make a file beside {}", data.display());
}

fn sync_us(data: &Path) -> Result<f64> {
    let (mut file, path) = writable_file(data)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let start = Instant::now();
        file.write_all(&[1; 512])
            .and_then(|()| file.sync_data())
            .context("cannot write beside the data")?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    fs::remove_file(path).context("cannot remove a file")?;
    Ok(Summary::of(times).map_or(0.0, |summary| summary.median))
}
