//! What a table is: its name, the rules configured for it, what the server says of it, and the two bound together.

pub mod bound;
pub mod catalog;
pub mod column;
pub mod entry;
pub mod model;
pub mod name;
pub mod rules;
pub mod schema;
pub mod shape;
