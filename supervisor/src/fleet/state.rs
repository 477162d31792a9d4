//! What the supervisor knows — pure. One [`Instance`] per row; its [`Phase`] carries exactly the data that phase has.

use std::collections::BTreeMap;

use tachi_shared::id::InstanceId;

/// The whole fleet. (owner of this module completes it)
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// Instances by id.
    pub instances: BTreeMap<InstanceId, Instance>,
}

/// One instance. (owner of this module completes it)
#[derive(Debug, Clone)]
pub struct Instance {}
