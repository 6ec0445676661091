//! Several things at once, until one of them fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many: more than two processors are kept busy by, and not so many that a registry minds.
const AT_ONCE: usize = 4;

/// Does something with each; the first failure stops the others before their next one, and is the answer.
pub(super) fn each<T: Sync>(
    all: &[T],
    what: &(dyn Fn(&T) -> Result<(), String> + Sync),
) -> Result<(), String> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None::<String>));
    let lock = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        while lock().is_none() {
            let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) else {
                return;
            };
            if let Err(why) = what(one) {
                lock().get_or_insert(why);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..AT_ONCE.min(all.len()) {
            scope.spawn(work);
        }
        work();
    });
    match lock().take() {
        Some(why) => Err(why),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_done_once_until_one_fails() {
        let seen = Mutex::new(Vec::new());
        let note = |n: &u32| {
            seen.lock().expect("no panic").push(*n);
            Ok(())
        };
        let all: Vec<u32> = (0..100).collect();
        assert_eq!(each(&all, &note), Ok(()));
        let mut found = seen.into_inner().expect("no panic");
        found.sort_unstable();
        assert_eq!(found, all);
        assert_eq!(each(&[], &|_: &u32| Err("never".to_owned())), Ok(()));

        let after = AtomicUsize::new(0);
        let fail = |n: &u32| {
            after.fetch_add(1, Ordering::Relaxed);
            Err(format!("{n}"))
        };
        assert!(each(&all, &fail).is_err());
        assert!(after.into_inner() <= AT_ONCE);
    }
}
