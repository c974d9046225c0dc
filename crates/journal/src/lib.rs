//! The journal of the `write_buffer` PHP extension: groups of rows, in files that outlive their
//! process. It knows nothing of PHP and of servers.
//!
//! ```text
//! DIR/                          Journal      a directory, made with mode 0700
//!   host-4711-f3a9/             Lane         one writer's folder
//!     lock                                   locked as long as the owner lives
//!     header                    LaneHeader   whose it is: DSN without password, rules, boot id
//!     0000000000000001.segment  Segment      8 MiB, taken from the disk when it is made
//!     0000000000000002.segment
//!   host-4712-09bc.damaged/                  set aside, for somebody to look at
//! ```
//!
//! A group's way: [`Lane::begin`](lane::Lane::begin) finds room for it, [`Record::put`] copies its
//! bytes into the mapped segment, [`Record::commit`] writes the head before them: from then on it
//! outlives the process, and costs no system call. [`Syncer`](lane::sync::Syncer) makes it outlive
//! the machine. [`Lane::give_up_through`](lane::Lane::give_up_through) gives it up, once the ledger
//! says that it is committed. Whoever comes after a death calls
//! [`Journal::adopt`](journal::Journal::adopt) and [`Adopted::scan`](journal::Adopted::scan), and
//! removes the folder, or goes on in it by [`Adopted::resume`](journal::Adopted::resume).
//!
//! [`Lane::note`](lane::Lane::note) puts bytes of the engine's between the groups: what has become
//! of one, where no ledger says it.
//!
//! [`Record::put`]: lane::Record::put
//! [`Record::commit`]: lane::Record::commit
//!
//! | module | what it owns | pure |
//! |---|---|---|
//! | [`journal`] | a directory: new lanes, taking over, looking at | no |
//! | [`scan`] | the groups and notes of a lane that was left behind, in their order | no |
//! | [`scan::ending`] | why they end where they end | no |
//! | [`lane`] | a lane that takes groups and notes: room, settling, syncing, a successor | no |
//! | [`lane::stretch`] | groups that a lane still has, to be read back | no |
//! | [`segment`] | a segment's file, and the walk over its records | no |
//! | [`folder`] | the names in a lane's folder: how they come and go | no |
//! | [`header`] | what stands at the head of a folder and of a segment | yes |
//! | [`record`] | the form of a record | yes |
//! | [`group`] | the portable form of a group | yes |
//! | [`value`] | the portable form of a value | yes |
//! | [`files`] | what is asked of a file system; the real one, mappings, locks | no |
//! | [`error`] | the one error | yes |
//!
//! Why a mapping to write and `pread` to read? `files/mapping.rs` says what each costs when a disk
//! fails, and why the crate's only `unsafe` is sound.
//!
//! # What must hold
//!
//! - What [`Record::commit`] returned for survives the process; what a sync returned for survives
//!   the machine.
//! - Recovery returns groups and notes that were appended, each once, in their order, and no
//!   others; also if several processes have gone on in the folder, one after the other.
//! - Nothing is removed that was not settled. What nobody can judge is set aside.
//! - No bytes of a file make it panic, and no length is believed.
//!
//! `tests/power_model/` holds them against a file system that loses power 100,000 times,
//! `tests/kill/` against SIGKILL.

#![cfg_attr(test, allow(clippy::indexing_slicing, reason = "a test ends where it is wrong"))]

pub mod error;
pub mod files;
pub mod folder;
pub mod group;
pub mod header;
pub mod journal;
pub mod lane;
pub mod record;
pub mod scan;
pub mod segment;
#[cfg(test)]
mod test_folder;
pub mod value;

pub use files::lock::{lock_for_fork, unlock_after_fork};
