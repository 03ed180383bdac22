//! Two users that take turns. The names are those of AWS's own function, so that either function can continue where the other
//! stopped.

const SUFFIX: &str = "_clone";

/// `app` and `app_clone`.
#[derive(Debug, PartialEq, Eq)]
pub struct Pair {
    /// The user without the suffix.
    pub base: String,
    /// The other one.
    pub clone: String,
}

impl Pair {
    /// The pair that a user belongs to.
    pub fn of(user: &str) -> Self {
        let base = user.strip_suffix(SUFFIX).filter(|base| !base.is_empty());
        let base = base.unwrap_or(user).to_owned();
        Self {
            clone: format!("{base}{SUFFIX}"),
            base,
        }
    }

    /// The user whose turn comes after this one's.
    pub fn other_than(&self, user: &str) -> &str {
        match user == self.base {
            true => &self.clone,
            false => &self.base,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_users_are_named_as_awss_function_names_them() {
        for (user, other) in [
            ("app", "app_clone"),
            ("app_clone", "app"),
            ("_clone", "_clone_clone"),
        ] {
            assert_eq!(Pair::of(user).other_than(user), other);
        }
    }
}
