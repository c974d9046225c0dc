//! The parts of the Zend API that ext-php-rs does not bind, and small wrappers over it.
//!
//! Invariant: whatever is unsafe about a pointer from PHP is said and settled here or in `object.rs`.

pub mod arguments;
pub mod array;
pub mod classes;
pub mod interrupt;
pub mod messages;
pub mod objects;
pub mod php_ini;
pub mod values;
