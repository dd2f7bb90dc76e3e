//! What a quota is about, and how well it fits a request.

use serde::{Deserialize, Serialize};

/// Empty is everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Path of the mount, with its `/`.
    pub mount: String,
    /// Path below the mount; a `*` at its end stands for anything.
    pub below: String,
    /// Only logins with this role.
    pub role: String,
}

/// The greater, the more specific.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    role: bool,
    below: bool,
    exact: bool,
    length: usize,
}

impl Scope {
    /// As it was given.
    pub fn path(&self) -> String {
        format!("{}{}", self.mount, self.below)
    }

    pub fn has_path(&self, path: &str) -> bool {
        let Some(below) = path.strip_prefix(&self.mount) else {
            return false;
        };
        match self.below.strip_suffix('*') {
            Some(prefix) => below.starts_with(prefix),
            None if self.below.is_empty() => true,
            None => below.trim_end_matches('/') == self.below,
        }
    }

    pub fn fit(&self, path: &str, role: &str) -> Option<Fit> {
        if !self.has_path(path) || (!self.role.is_empty() && self.role != role) {
            return None;
        }
        Some(Fit {
            role: !self.role.is_empty(),
            below: !self.below.is_empty(),
            exact: !self.below.ends_with('*'),
            length: self.mount.len() + self.below.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(mount: &str, below: &str, role: &str) -> Scope {
        let [mount, below, role] = [mount, below, role].map(str::to_owned);
        Scope { mount, below, role }
    }

    #[test]
    fn the_most_specific_one_counts() {
        let all = [
            scope("auth/a/", "", "ci"),
            scope("auth/a/", "login", ""),
            scope("auth/a/", "log*", ""),
            scope("auth/a/", "l*", ""),
            scope("auth/a/", "", ""),
            scope("", "", ""),
        ];
        let best = |path: &str, role: &str| {
            let fits = |at: &usize| all[*at].fit(path, role);
            (0..all.len())
                .max_by_key(fits)
                .filter(|at| fits(at).is_some())
        };
        assert_eq!(best("auth/a/login", "ci"), Some(0));
        assert_eq!(best("auth/a/login", "other"), Some(1));
        assert_eq!(best("auth/a/login/", ""), Some(1));
        assert_eq!(best("auth/a/logout", ""), Some(2));
        assert_eq!(best("auth/a/list", ""), Some(3));
        assert_eq!(best("auth/a/role/x", ""), Some(4));
        assert_eq!(best("auth/ab/login", "ci"), Some(5));
        assert_eq!(all[0].fit("auth/a/login", ""), None);
        assert_eq!(all[1].fit("auth/a/login/x", ""), None);
    }
}
