//! The threads that flush. They never touch Zend.

/// Starts a flusher's thread. It gets no signal but those of its own faults: all others belong to
/// PHP's thread, whose handlers must not run elsewhere.
pub fn spawn_flusher(body: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    /// Room for TLS and for statements; the rows themselves are on the heap.
    const STACK_BYTES: usize = 1024 * 1024;
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the sets are filled before they are read. A new thread inherits the mask of the one
    // that makes it.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        for fault in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGTRAP,
            libc::SIGABRT,
        ] {
            libc::sigdelset(all.as_mut_ptr(), fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let started = std::thread::Builder::new()
        .name("write_buffer".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(body);
    // SAFETY: filled by the call above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    started.map(drop)
}
