//! The service's own state inside a transaction: what the closures of one commit changed lies over what is stored.
//!
//! The closures of a commit run one after another over one overlay, each sees what those before it changed, and a
//! closure that fails takes back its own changes only. Nothing reaches the table before all have run: a counter
//! that rises a hundred times in one commit is written once.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use palib_core::message::Outcome;

use super::file::panic_text;
use crate::stable::{AppRead, AppWrite, AreaError, AtomicClosure};

/// What lies below an overlay.
pub(super) trait Below {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, AreaError>;

    /// All keys from this one on, in order, until `each` returns false.
    fn walk(&self, from: &[u8], each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), AreaError>;
}

/// Changes that are not stored yet: a value, or none for a removed key.
#[derive(Default)]
pub(super) struct Overlay {
    changes: BTreeMap<Bytes, Option<Bytes>>,
    /// What was there before each change of the closure that runs now, oldest first.
    undo: Vec<(Bytes, Option<Option<Bytes>>)>,
}

impl Overlay {
    /// Runs a closure. If it fails or panics, it has changed nothing.
    ///
    /// # Errors
    /// If what lies below can't be read for another reason than a damaged record: then no outcome can be trusted,
    /// whatever the closure made of the error.
    pub(super) fn run(
        &mut self,
        below: &dyn Below,
        run: &mut AtomicClosure,
    ) -> Result<Outcome<Bytes>, AreaError> {
        self.undo.clear();
        let mut view = View { below, overlay: self, broken: Default::default() };
        let ran = catch_unwind(AssertUnwindSafe(|| run(&mut view)));
        let broken = view.broken.into_inner();
        let outcome = ran.unwrap_or_else(|panic| {
            Outcome::Failed(Bytes::from(format!("the service panicked: {}", panic_text(&*panic))))
        });
        if let Some(error) = broken {
            return Err(error);
        }
        if matches!(outcome, Outcome::Failed(_)) {
            self.take_back();
        }
        Ok(outcome)
    }

    /// All changes, in the order of their keys.
    pub(super) fn into_changes(self) -> BTreeMap<Bytes, Option<Bytes>> {
        self.changes
    }

    fn take_back(&mut self) {
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(change) => self.changes.insert(key, change),
                None => self.changes.remove(&key),
            };
        }
    }

    fn change(&mut self, key: &[u8], change: Option<Bytes>) {
        // What has been changed before is changed again more often than not: its key is there already.
        let from = (Bound::Included(key), Bound::Unbounded);
        if let Some((known, there)) = self.changes.range_mut::<[u8], _>(from).next()
            && known == key
        {
            let before = std::mem::replace(there, change);
            self.undo.push((known.clone(), Some(before)));
            return;
        }
        let key = Bytes::copy_from_slice(key);
        self.changes.insert(key.clone(), change);
        self.undo.push((key, None));
    }
}

/// What a closure sees.
struct View<'a> {
    below: &'a dyn Below,
    overlay: &'a mut Overlay,
    /// The first error that is about the store and not about one record.
    broken: std::cell::RefCell<Option<AreaError>>,
}

impl View<'_> {
    fn note<T>(&self, result: Result<T, AreaError>) -> Result<T, AreaError> {
        if let Err(error) = &result
            && !matches!(error, AreaError::DamagedRecord { .. })
        {
            self.broken.borrow_mut().get_or_insert_with(|| error.clone());
        }
        result
    }
}

impl AppRead for View<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, AreaError> {
        match self.overlay.changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => self.note(self.below.get(key)),
        }
    }

    fn scan(&self, prefix: &[u8], each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), AreaError> {
        let bounds = (Bound::Included(prefix), Bound::Unbounded);
        let changes = self.overlay.changes.range::<[u8], _>(bounds);
        let mut changes = changes.take_while(|(key, _)| key.starts_with(prefix)).peekable();
        let mut wanted = true;
        let walked = self.below.walk(prefix, &mut |key, value| {
            if !key.starts_with(prefix) {
                return false;
            }
            // What the overlay has before this key is new.
            while let Some((new, change)) = changes.next_if(|(new, _)| &new[..] < key) {
                if let Some(value) = change {
                    wanted = each(new, value);
                }
                if !wanted {
                    return false;
                }
            }
            wanted = match changes.next_if(|(new, _)| &new[..] == key) {
                Some((_, Some(value))) => each(key, value),
                Some((_, None)) => true,
                None => each(key, value),
            };
            wanted
        });
        self.note(walked)?;
        for (key, change) in changes {
            if !wanted {
                break;
            }
            if let Some(value) = change {
                wanted = each(key, value);
            }
        }
        Ok(())
    }
}

impl AppWrite for View<'_> {
    fn put(&mut self, key: &[u8], value: Bytes) {
        self.overlay.change(key, Some(value));
    }

    fn remove(&mut self, key: &[u8]) {
        self.overlay.change(key, None);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Model = BTreeMap<Vec<u8>, Bytes>;

    impl Below for Model {
        fn get(&self, key: &[u8]) -> Result<Option<Bytes>, AreaError> {
            Ok(Model::get(self, key).cloned())
        }

        fn walk(&self, from: &[u8], each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), AreaError> {
            for (key, value) in self.range::<[u8], _>((Bound::Included(from), Bound::Unbounded)) {
                if !each(key, value) {
                    break;
                }
            }
            Ok(())
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(Vec<u8>, u8),
        Remove(Vec<u8>),
        Get(Vec<u8>),
        Scan(Vec<u8>, usize),
    }

    #[derive(Clone, Copy, Debug)]
    enum End {
        Reply,
        Fail,
        Panic,
    }

    fn keys() -> impl Strategy<Value = Vec<u8>> {
        // Few and short, so that they meet often and are prefixes of each other.
        prop::collection::vec(0..3u8, 0..4)
    }

    fn steps() -> impl Strategy<Value = Step> {
        prop_oneof![
            (keys(), any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
            keys().prop_map(Step::Remove),
            keys().prop_map(Step::Get),
            (keys(), 0..6usize).prop_map(|(prefix, most)| Step::Scan(prefix, most)),
        ]
    }

    fn closures() -> impl Strategy<Value = (Vec<Step>, End)> {
        let ends = prop_oneof![3 => Just(End::Reply), 2 => Just(End::Fail), 1 => Just(End::Panic)];
        (prop::collection::vec(steps(), 0..12), ends)
    }

    fn scan_model(model: &Model, prefix: &[u8], most: usize) -> Vec<(Vec<u8>, Bytes)> {
        let all = model.iter().filter(|(key, _)| key.starts_with(prefix));
        all.take(most.max(1)).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Takes the steps over the overlay and over the model, and compares what they read.
    fn step(app: &mut dyn AppWrite, model: &mut Model, step: &Step) {
        match step {
            Step::Put(key, value) => {
                app.put(key, Bytes::copy_from_slice(&[*value]));
                model.insert(key.clone(), Bytes::copy_from_slice(&[*value]));
            }
            Step::Remove(key) => {
                app.remove(key);
                model.remove(key);
            }
            Step::Get(key) => assert_eq!(app.get(key).unwrap(), Model::get(model, key).cloned()),
            Step::Scan(prefix, most) => {
                let mut seen = Vec::new();
                app.scan(prefix, &mut |key, value| {
                    seen.push((key.to_vec(), Bytes::copy_from_slice(value)));
                    seen.len() < *most
                })
                .unwrap();
                assert_eq!(seen, scan_model(model, prefix, *most));
            }
        }
    }

    proptest! {
        #[test]
        fn an_overlay_is_a_map_in_which_failed_closures_never_happened(
            stored in prop::collection::btree_map(keys(), any::<u8>(), 0..20),
            closures in prop::collection::vec(closures(), 0..8),
        ) {
            let stored: Model =
                stored.into_iter().map(|(key, value)| (key, Bytes::copy_from_slice(&[value]))).collect();
            let mut model = stored.clone();
            let mut overlay = Overlay::default();
            for (steps, end) in closures {
                // The closure may run again, so it must not keep what it did to its copy of the model.
                let before = model.clone();
                let (send, after) = std::sync::mpsc::channel();
                let mut closure: AtomicClosure = Box::new(move |app| {
                    let mut model = before.clone();
                    steps.iter().for_each(|what| step(app, &mut model, what));
                    send.send(model).unwrap();
                    match end {
                        End::Reply => Outcome::Reply(Bytes::new()),
                        End::Fail => Outcome::Failed(Bytes::new()),
                        // Not `panic!`: the hook would print it for each of thousands of cases.
                        End::Panic => std::panic::resume_unwind(Box::new("over")),
                    }
                });
                let outcome = overlay.run(&stored, &mut closure).unwrap();
                prop_assert_eq!(matches!(end, End::Reply), matches!(outcome, Outcome::Reply(_)));
                if matches!(end, End::Reply) {
                    // An assertion that failed inside would have panicked before it could send.
                    model = after.recv().unwrap();
                } else {
                    prop_assert!(after.recv().is_ok());
                }
            }
            let mut merged = stored;
            for (key, change) in overlay.into_changes() {
                match change {
                    Some(value) => merged.insert(key.to_vec(), value),
                    None => merged.remove(&key[..]),
                };
            }
            prop_assert_eq!(merged, model);
        }
    }

    #[test]
    fn a_closure_cannot_hide_that_the_store_is_broken() {
        struct Broken;
        impl Below for Broken {
            fn get(&self, _: &[u8]) -> Result<Option<Bytes>, AreaError> {
                Err(AreaError::Io { file: "counter.redb".into(), reason: "gone".into() })
            }
            fn walk(&self, _: &[u8], _: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), AreaError> {
                Ok(())
            }
        }
        let mut closure: AtomicClosure = Box::new(|app| {
            let _ = app.get(b"a");
            Outcome::Reply(Bytes::from_static(b"all is well"))
        });
        assert!(matches!(Overlay::default().run(&Broken, &mut closure), Err(AreaError::Io { .. })));
    }
}
