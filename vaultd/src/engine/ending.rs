//! How a certificate stands, for monitoring.

use jiff::Timestamp;

/// A certificate that has a name of its own: of an authority, or one that is kept renewed.
#[derive(Clone, Debug)]
pub struct Ending {
    pub name: String,
    /// Until there is one, none.
    pub not_after: Option<Timestamp>,
    /// The last try to renew it came to nothing.
    pub is_failing: bool,
}
