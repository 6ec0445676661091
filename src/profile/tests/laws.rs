//! Laws of merging and of printing, for profiles made of every key.

use super::pages::{VALUES, text};
use super::profile;
use crate::profile::{Profile, show};
use proptest::collection::vec;
use proptest::prelude::*;

fn any_profile() -> impl Strategy<Value = Profile> {
    vec(any::<Option<usize>>(), VALUES.len()).prop_map(|choice| profile(&text(&choice)))
}

/// A profile without its origins.
fn values(profile: &Profile) -> String {
    show::toml(profile, false)
}

proptest! {
    #[test]
    fn merging_with_nothing_changes_nothing(p in any_profile()) {
        prop_assert_eq!(p.clone().merge(Profile::default()), p.clone());
        prop_assert_eq!(Profile::default().merge(p.clone()), p);
    }

    #[test]
    fn merging_twice_changes_nothing(p in any_profile()) {
        // A word that one page both allows and denies is decided by its own `deny`, once and twice.
        prop_assert_eq!(p.clone().merge(p.clone()), p);
    }

    #[test]
    fn merging_groups_either_way(a in any_profile(), b in any_profile(), c in any_profile()) {
        let left = a.clone().merge(b.clone()).merge(c.clone());
        let right = a.merge(b.merge(c));
        prop_assert_eq!(left, right);
    }

    #[test]
    fn what_is_printed_reads_as_the_same(p in any_profile()) {
        prop_assert_eq!(values(&profile(&values(&p))), values(&p));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(\\[[a-z.]{0,9}\\]|[a-z-]{1,9} = |[\\[\\]{}\",=0-9a-zé\\n\\x00-\\x1f]){0,60}") {
        let refused = crate::profile::read::read(&super::source(&text)).err().map(|e| e.to_string());
        if let Some(words) = refused {
            prop_assert!(!words.chars().any(|c| c.is_control() && c != '\n'), "{words:?}");
        }
    }
}
