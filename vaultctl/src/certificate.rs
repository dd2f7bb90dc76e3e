//! Certificates of this machine: asked for, put in place, taken up by what serves them, and looked at
//! from outside.

pub(crate) mod files;
pub(crate) mod install;
pub(crate) mod layout;
pub(crate) mod leaf;
pub(crate) mod probe;
pub(crate) mod record;
pub(crate) mod reload;
pub(crate) mod request;
pub(crate) mod spec;
