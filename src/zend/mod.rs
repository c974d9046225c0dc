//! What the binding asks of PHP itself: the parts of the Zend API that ext-php-rs does not bind,
//! and small wrappers over it.
//!
//! Invariant: a pointer from PHP is followed here and in `buffer/object` only. Other `unsafe` of
//! the crate is about the C library (`process`), the signatures of the functions that PHP calls,
//! and `classes/registration`, which keeps PHP's tables.

pub mod arguments;
pub mod array;
pub mod bailout;
pub mod callable;
pub mod classes;
pub mod fibers;
pub mod interrupt;
pub mod messages;
pub mod objects;
pub mod php_ini;
pub mod request;
pub mod values;
