//! The `write_buffer` PHP extension: the binding between PHP and `write-buffer-core`.
//!
//! It is thin. Zvals, Zend memory and PHP calls stay here; rows leave as plain Rust values. A PHP
//! method is a file in `methods`, or stands there with a few that are like it.
//!
//! Each module uses only those below it:
//!
//! | module | what it owns |
//! |---|---|
//! | [`classes`] | the classes, interfaces and enums, as `stubs/write_buffer.stub.php` has them |
//! | [`methods`] | their methods: they read arguments, call the engine, and throw |
//! | [`buffer`] | what stands behind a PHP object: a buffer, from its constructor to its end |
//! | [`settings`] | the table of settings, constructors' arguments and php.ini |
//! | [`exceptions`] | the exception classes, and the engine's errors as them |
//! | [`convert`] | rows of any form into the engine's memory |
//! | [`export`] | rows, failures and metrics as PHP arrays |
//! | [`process`] | forks, threads, sockets, locks of journals, and the tables behind `memory:` |
//! | [`zend`] | what the binding asks of PHP itself, and most of its `unsafe` |

mod buffer;
mod classes;
mod convert;
mod exceptions;
mod export;
mod methods;
mod process;
mod settings;
mod zend;

use buffer::{ending, object, persistent};
use ext_php_rs::builders::ModuleBuilder;
use ext_php_rs::zend::{ModuleEntry, StaticModuleEntry};
use process::{fork, journal_locks, memory_stores, socket};
use settings::{ini, show};
use zend::messages;

const SUCCESS: i32 = 0;
const FAILURE: i32 = -1;

/// The entry point of every PHP extension.
///
/// # Panics
///
/// Never: nothing of the description depends on the machine.
#[unsafe(no_mangle)]
#[expect(clippy::expect_used, reason = "nothing of the description depends on the machine")]
pub extern "C" fn get_module() -> *mut ModuleEntry {
    static MODULE: StaticModuleEntry = StaticModuleEntry::new();
    MODULE.get_or_init(|| {
        let (entry, _startup, owned) = ModuleBuilder::new("write_buffer", env!("CARGO_PKG_VERSION"))
            .startup_function(start_module)
            .request_startup_function(start_request)
            .request_shutdown_function(end_request)
            .shutdown_function(end_module)
            .info_function(show::print_info)
            .try_into()
            .expect("the module's description is complete");
        (entry, owned)
    })
}

/// Module start: classes and settings. No thread and no connection: the process may fork later.
unsafe extern "C" fn start_module(_kind: i32, module_number: i32) -> i32 {
    let started = std::panic::catch_unwind(|| {
        ini::register(module_number);
        fork::watch();
        socket::watch_forks();
        journal_locks::watch_forks();
        persistent::watch_forks();
        memory_stores::watch_forks();
        object::handlers();
        classes::register()
    });
    match started {
        Ok(Ok(())) => SUCCESS,
        Ok(Err(error)) => {
            messages::log(&format!("write_buffer cannot start: {error:#}"));
            FAILURE
        }
        Err(_) => {
            messages::log("write_buffer cannot start: a bug in it ended its start");
            FAILURE
        }
    }
}

/// Request start.
unsafe extern "C" fn start_request(_kind: i32, _module_number: i32) -> i32 {
    ending::forget();
    SUCCESS
}

/// Request end. Objects are freed after this, and write what they still hold.
unsafe extern "C" fn end_request(_kind: i32, _module_number: i32) -> i32 {
    memory_stores::forget_memory_stores();
    SUCCESS
}

/// Module shutdown: the process ends in good order, such as a worker of php-fpm that is recycled.
unsafe extern "C" fn end_module(_kind: i32, _module_number: i32) -> i32 {
    if std::panic::catch_unwind(|| persistent::drain_all(ending::left_of_request())).is_err() {
        messages::log("write_buffer: a bug in it ended its last flush");
    }
    SUCCESS
}
