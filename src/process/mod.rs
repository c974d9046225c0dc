//! What belongs to the process: forks, threads, sockets; and to a PHP thread: the tables in memory.

pub mod fork;
pub mod journal_locks;
pub mod memory_stores;
pub mod socket;
pub mod thread;
