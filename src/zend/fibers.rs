//! Which fiber runs.

use ext_php_rs::ffi;

/// A fiber, or what runs outside of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fiber(usize);

impl Fiber {
    /// The one that runs. A fiber's number is its own as long as it has a frame.
    pub fn running() -> Self {
        // SAFETY: the executor's globals live as long as PHP's thread. The pointer is not followed.
        Self(unsafe { (*ffi::ext_php_rs_executor_globals()).active_fiber } as usize)
    }
}
