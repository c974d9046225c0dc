//! What a [background buffer](crate::buffer::background) refuses before it takes it.

use std::sync::Arc;

use crate::buffer::background::BackgroundBuffer;
use crate::buffer::background::route::{Route, Router};
use crate::buffer::limits::{describe_bounds, group_too_large};
use crate::error::{Error, Result};
use crate::rows::group::Group;

impl BackgroundBuffer {
    /// Refuses rows of a group that is being gathered, as [`Self::add`] would.
    ///
    /// # Errors
    ///
    /// A row that its table can never take.
    pub fn check(&self, rows: &Group) -> Result<()> {
        self.check_group(rows).map(drop)
    }

    /// Refuses a group that can never be written, as far as its tables are known. Returns its route
    /// if there are several lanes.
    pub(super) fn check_group(&self, group: &Group) -> Result<Option<Route>> {
        let mut router = (self.settings.lanes > 1).then(Router::default);
        for row in group.rows() {
            let entry = &row.shape.entry;
            if let Some(local_model) = self.local_model
                && entry.model().is_none()
            {
                entry.set_model(Some(Arc::new(local_model(entry)?)));
            }
            let visited = row.check(|bound| {
                if let Some(router) = &mut router {
                    router.visit(&row, bound);
                }
            });
            if let Err(error) = visited {
                // The flusher may forget a model at any time, after an error.
                entry.unless_outdated::<()>(error)?;
                if let Some(router) = &mut router {
                    router.visit(&row, None);
                }
            }
        }
        Ok(router.map(|router| router.route))
    }

    /// The error of a group that passed the bounds as it was gathered, with so many rows and bytes.
    pub fn too_large(&self, rows: usize, bytes: usize) -> Error {
        let pending = self.pending();
        group_too_large(&describe_bounds(
            &self.settings,
            (pending.rows, pending.bytes),
            (rows, bytes),
        ))
    }
}
