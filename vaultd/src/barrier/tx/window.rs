//! The part of a listing that is asked for. However long the directory, no more names are held than
//! that.

use std::collections::BinaryHeap;
use std::num::NonZeroUsize;

use super::listing::{DIRECTORY, LEAF};

/// The first `limit` names in order that come after `after`; everything, by default.
#[derive(Debug, Clone, Default)]
pub struct Window {
    pub after: Option<String>,
    pub limit: Option<NonZeroUsize>,
}

impl Window {
    pub fn gather(&self) -> Gather<'_> {
        Gather {
            window: self,
            kept: BinaryHeap::new(),
        }
    }
}

/// As what an entry is listed: a name may be both a value and a directory.
pub fn shown(name: &str, flags: u8) -> impl Iterator<Item = String> {
    let directory = (flags & DIRECTORY != 0).then(|| format!("{name}/"));
    let value = (flags & LEAF != 0).then(|| name.to_owned());
    directory.into_iter().chain(value)
}

/// Takes names in any order.
pub struct Gather<'w> {
    window: &'w Window,
    /// The greatest name first, which is the first to go.
    kept: BinaryHeap<String>,
}

impl Gather<'_> {
    pub fn add(&mut self, name: String) {
        if self
            .window
            .after
            .as_ref()
            .is_some_and(|after| name <= *after)
        {
            return;
        }
        self.kept.push(name);
        if self
            .window
            .limit
            .is_some_and(|limit| self.kept.len() > limit.get())
        {
            self.kept.pop();
        }
    }

    pub(super) fn add_entry(&mut self, name: &str, flags: u8) {
        shown(name, flags).for_each(|name| self.add(name));
    }

    /// False if neither the name nor a directory of this name can be in the window.
    pub(super) fn wants(&self, name: &str) -> bool {
        let Window { after, limit } = self.window;
        let is_full = limit.is_some_and(|limit| self.kept.len() >= limit.get());
        let is_past = is_full && self.kept.peek().is_some_and(|last| name > last.as_str());
        let is_before = after.as_ref().is_some_and(|after| {
            let directory = name.bytes().chain(*b"/");
            directory.le(after.bytes())
        });
        !is_past && !is_before
    }

    pub fn sorted(self) -> Vec<String> {
        self.kept.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_window_is_what_a_sorted_list_gives(
            names in prop::collection::btree_map("[ab!0]{1,3}", 1_u8..4, 0..40),
            after in prop::option::of("[ab!0]{0,3}/?"),
            limit in 0_usize..8,
        ) {
            let window = Window { after: after.clone(), limit: NonZeroUsize::new(limit) };
            let mut found = window.gather();
            let mut all = Vec::new();
            for (name, flags) in &names {
                if found.wants(name) {
                    found.add_entry(name, *flags);
                }
                all.extend((flags & DIRECTORY != 0).then(|| format!("{name}/")));
                all.extend((flags & LEAF != 0).then(|| name.clone()));
            }
            all.sort_unstable();
            all.retain(|name| after.as_ref().is_none_or(|after| name > after));
            all.truncate(if limit == 0 { usize::MAX } else { limit });
            prop_assert_eq!(found.sorted(), all);
        }
    }
}
