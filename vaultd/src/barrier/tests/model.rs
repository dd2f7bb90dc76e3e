//! Random histories against a map.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Bed, MOUNT};

/// Names that are values, directories and both.
const PATHS: [&str; 9] = [
    "a", "a/b", "a/b/c", "a/b/d", "a/e", "b", "b/a", "c/a/a/a", "c/a/a/b",
];
const DIRECTORIES: [&str; 7] = ["", "a", "a/b", "b", "c", "c/a", "c/a/a"];

type Model = BTreeMap<&'static str, u8>;

#[derive(Debug, Clone)]
enum Change {
    Put(&'static str, u8),
    Delete(&'static str),
}

#[derive(Debug, Clone)]
enum Step {
    /// The changes of one transaction; `false` drops it.
    Change(Vec<Change>, bool),
    Rotate,
    Reopen,
}

fn change() -> impl Strategy<Value = Change> {
    let path = || proptest::sample::select(PATHS.to_vec());
    prop_oneof![
        (path(), any::<u8>()).prop_map(|(path, value)| Change::Put(path, value)),
        path().prop_map(Change::Delete),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let changes = proptest::collection::vec(change(), 1..6);
    prop_oneof![
        10 => (changes, proptest::bool::weighted(0.9)).prop_map(|(c, keep)| Step::Change(c, keep)),
        1 => Just(Step::Rotate),
        1 => Just(Step::Reopen),
    ]
}

async fn take(bed: &mut Bed, model: &mut Model, step: Step) {
    match step {
        Step::Rotate => drop(bed.barrier.rotate(0).await.unwrap()),
        Step::Reopen => bed.reopen().await,
        Step::Change(changes, commit) => {
            let mut next = model.clone();
            let mut tx = bed.barrier.begin();
            let mut view = tx.view(MOUNT);
            for change in changes {
                match change {
                    Change::Put(path, value) => {
                        view.put(path, &value).await.unwrap();
                        next.insert(path, value);
                    }
                    Change::Delete(path) => {
                        view.delete(path).await.unwrap();
                        next.remove(path);
                    }
                }
            }
            agrees(&mut view, &next).await;
            if commit {
                tx.commit().await.unwrap();
                *model = next;
            }
        }
    }
}

async fn agrees(view: &mut crate::barrier::View<'_>, model: &Model) {
    for path in PATHS {
        let stored: Option<u8> = view.get(path).await.unwrap();
        assert_eq!(stored, model.get(path).copied(), "{path}");
    }
    for directory in DIRECTORIES {
        assert_eq!(
            view.list(directory).await.unwrap(),
            children(model, directory)
        );
    }
}

fn children(model: &Model, directory: &str) -> Vec<String> {
    let below = |path: &'static str| match directory {
        "" => Some(path),
        _ => path.strip_prefix(directory)?.strip_prefix('/'),
    };
    let child = |path: &str| match path.split_once('/') {
        Some((name, _)) => format!("{name}/"),
        None => path.to_owned(),
    };
    let names: BTreeSet<String> = model
        .keys()
        .filter_map(|path| below(path))
        .map(child)
        .collect();
    names.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_history_reads_like_a_map_and_verifies(steps in proptest::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut bed, mut model) = (Bed::new().await, Model::new());
            for step in steps {
                take(&mut bed, &mut model, step).await;
                agrees(&mut bed.barrier.begin().view(MOUNT), &model).await;
            }
            let report = bed.barrier.verify().await.unwrap();
            assert!(report.healthy(), "{report:?}");
            bed.reopen().await;
            agrees(&mut bed.barrier.begin().view(MOUNT), &model).await;
        });
    }
}
