//! Other programs' shared memory: Windows does not say what there is.

use crate::failure::Failure;
use serde_json::Value;

/// There is none.
#[derive(Debug)]
pub(crate) enum Listed {}

pub(crate) fn list() -> Result<Vec<Listed>, Failure> {
    Err(Failure::Usage("--all: Windows does not list the shared memory of other programs".to_owned()))
}

pub(crate) fn json(one: &Listed) -> Value {
    match *one {}
}

pub(crate) fn table(_: &[Listed]) -> String {
    String::new()
}
