//! The interfaces, for the classes that implement them.

use std::sync::OnceLock;

use ext_php_rs::class::ClassEntryInfo;
use ext_php_rs::zend::ClassEntry;

use crate::zend::classes::Class;

/// An interface of ours.
#[derive(Clone, Copy)]
pub enum Interface {
    /// `WriteBuffer\Buffer`.
    Buffer,
    /// `WriteBuffer\Exception`.
    Exception,
    /// `WriteBuffer\NotTaken`.
    NotTaken,
    /// `WriteBuffer\Retryable`.
    Retryable,
}

static BUFFER: OnceLock<Class> = OnceLock::new();
static EXCEPTION: OnceLock<Class> = OnceLock::new();
static NOT_TAKEN: OnceLock<Class> = OnceLock::new();
static RETRYABLE: OnceLock<Class> = OnceLock::new();

impl Interface {
    /// Makes the interface known, as it is registered.
    pub fn set(self, class: &'static ClassEntry) {
        match self {
            Self::Buffer => BUFFER.get_or_init(|| Class(class)),
            Self::Exception => EXCEPTION.get_or_init(|| Class(class)),
            Self::NotTaken => NOT_TAKEN.get_or_init(|| Class(class)),
            Self::Retryable => RETRYABLE.get_or_init(|| Class(class)),
        };
    }

    /// The interface, as a class names it that implements it.
    pub fn info(self) -> ClassEntryInfo {
        match self {
            Self::Buffer => (|| known(&BUFFER), "\\WriteBuffer\\Buffer"),
            Self::Exception => (|| known(&EXCEPTION), "\\WriteBuffer\\Exception"),
            Self::NotTaken => (|| known(&NOT_TAKEN), "\\WriteBuffer\\NotTaken"),
            Self::Retryable => (|| known(&RETRYABLE), "\\WriteBuffer\\Retryable"),
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "the interfaces are registered before the classes that name them"
)]
fn known(interface: &OnceLock<Class>) -> &'static ClassEntry {
    interface.get().expect("the interface is registered").0
}
