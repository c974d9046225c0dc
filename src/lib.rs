//! The `write_buffer` PHP extension: the binding between PHP and `write-buffer-core`.
//!
//! It is thin. Zvals, Zend memory and PHP calls stay here; rows leave as plain Rust values.
//!
//! | module | what it owns |
//! |---|---|
//! | [`classes`] | the classes and interfaces, as `stubs/write_buffer.stub.php` has them |
//! | [`methods`], [`memory_sink`] | their methods: arguments, calls of the engine, exceptions |
//! | [`object`], [`state`] | a PHP object with a buffer behind it, from its constructor to its end |
//! | [`engine`] | the foreground and the background buffer behind one face |
//! | [`convert`] | rows of any form into Rust memory; the only place where user code may run |
//! | [`retry`] | failures put back |
//! | [`export`] | rows, failures and metrics as PHP arrays |
//! | [`errors`] | the engine's errors as PHP's exceptions |
//! | [`settings`], [`ini`] | constructor arguments and php.ini |
//! | [`persistent`] | background buffers that outlive objects and requests |
//! | [`process`] | forks and requests |
//! | [`zend`] | the parts of the Zend API that ext-php-rs does not bind |

mod classes;
mod convert;
mod engine;
mod errors;
mod export;
mod ini;
mod memory_sink;
mod methods;
mod object;
mod persistent;
mod process;
mod retry;
mod settings;
mod shapes;
mod socket;
mod state;
mod zend;

use ext_php_rs::builders::ModuleBuilder;
use ext_php_rs::zend::{ModuleEntry, StaticModuleEntry};

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
            .request_shutdown_function(end_request)
            .shutdown_function(end_module)
            .info_function(ini::print_info)
            .try_into()
            .expect("the module's description is complete");
        (entry, owned)
    })
}

/// Module start: classes and settings. No thread and no connection, since the process may fork after this.
unsafe extern "C" fn start_module(_kind: i32, module_number: i32) -> i32 {
    let started = std::panic::catch_unwind(|| {
        ini::register(module_number);
        process::watch_forks();
        object::handlers();
        classes::Classes::register()
    });
    match started {
        Ok(Ok(())) => SUCCESS,
        Ok(Err(error)) => {
            zend::log(&format!("write_buffer cannot start: {error:#}"));
            FAILURE
        }
        Err(_) => {
            zend::log("write_buffer cannot start: a bug in it ended its start");
            FAILURE
        }
    }
}

/// Request end. Objects are freed after this, and write what they still hold.
unsafe extern "C" fn end_request(_kind: i32, _module_number: i32) -> i32 {
    process::forget_memory_stores();
    SUCCESS
}

/// Module shutdown: a process that ends in good order, such as a worker of php-fpm that is recycled.
unsafe extern "C" fn end_module(_kind: i32, _module_number: i32) -> i32 {
    if std::panic::catch_unwind(persistent::end_all).is_err() {
        zend::log("write_buffer: a bug in it ended its last flush");
    }
    SUCCESS
}
