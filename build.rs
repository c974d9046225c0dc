//! Link settings of the extension, and the version of the PHP that it is built for.

use std::env;
use std::process::Command;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PHP_CONFIG");
    // The code must stay mapped when PHP unloads its extensions with dlclose(): a thread of ours
    // may still run, and the fork handler stays registered as long as the process lives.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");

    println!("cargo:rerun-if-changed=Cargo.lock");
    println!("cargo:rustc-env=MYSQL_CRATE_VERSION={}", locked_version("mysql")?);

    println!("cargo:rustc-check-cfg=cfg(php82, php84)");
    let version = php_version()?;
    if version >= 80_200 {
        println!("cargo:rustc-cfg=php82");
    }
    if version >= 80_400 {
        println!("cargo:rustc-cfg=php84");
    }
    Ok(())
}

/// Returns the version of a dependency from the lock file, for `phpinfo()`.
fn locked_version(package: &str) -> Result<String> {
    let lock = std::fs::read_to_string("Cargo.lock").context("cannot read Cargo.lock")?;
    let mut lines = lock.lines();
    lines
        .find(|line| *line == format!("name = \"{package}\""))
        .and_then(|_| lines.next()?.strip_prefix("version = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .with_context(|| format!("Cargo.lock has no package {package}"))
}

/// Returns `PHP_VERSION_ID` of the PHP whose headers ext-php-rs binds to: both ask the same
/// `php-config`.
fn php_version() -> Result<u32> {
    let program = env::var("PHP_CONFIG").unwrap_or_else(|_| "php-config".to_owned());
    let output = Command::new(&program).arg("--vernum").output().with_context(|| {
        format!("cannot run {program}: install PHP's development package (php-dev), or set PHP_CONFIG")
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .with_context(|| format!("{program} --vernum printed {text:?}"))
}
