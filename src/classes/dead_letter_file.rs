//! `WriteBuffer\DeadLetterFile`.

use ext_php_rs::builders::{ClassBuilder, FunctionBuilder};
use ext_php_rs::flags::{ClassFlags, DataType, MethodFlags};

use crate::classes::parameters::{required, with_parameters};
use crate::methods::dead_letter_file;

/// The class.
pub fn class() -> ClassBuilder {
    let parameters = [
        required("buffer", DataType::Object("WriteBuffer\\Buffer".into())),
        required("path", DataType::String),
    ];
    let retry = FunctionBuilder::new("retry", dead_letter_file::retry);
    let retry = with_parameters(retry, &parameters).returns(DataType::Long, false, false);
    ClassBuilder::new("WriteBuffer\\DeadLetterFile")
        .flags(ClassFlags::Final)
        .method(retry, MethodFlags::Public | MethodFlags::Static)
}
