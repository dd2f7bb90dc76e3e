//! The way of a key from version to version, against the real barrier in memory, whatever fails.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use jiff::{SignedDuration, Timestamp};
use vault_crypto::{Random, Seeded};

use super::errand::{Done, Task};
use super::key::{Key, KeyType, Pair};
use super::name::Name;
use super::place::Place;
use super::rotation::{Rotation, Stage};
use super::settings::Settings;
use super::target::{Held, Step, Target, Trouble};
use super::work::{due, remind, settle};
use crate::barrier::bed::{Bed, MOUNT};
use crate::core::errand::Room;

struct Scene {
    bed: Bed,
    random: Seeded,
    now: Timestamp,
    name: Name,
}

impl Scene {
    /// A key with three targets, which is not anywhere yet.
    async fn new(seed: u64) -> Scene {
        let scene = Scene {
            bed: Bed::new().await,
            random: Seeded::new(seed),
            now: "2026-11-21T07:00:00Z".parse().unwrap(),
            name: Name::parse("k").unwrap(),
        };
        let mut key = Key::new(KeyType::Ed25519, scene.now);
        let pair = Pair::generate(KeyType::Ed25519, &scene.random).unwrap();
        let mut tx = scene.bed.barrier.begin();
        let view = &mut tx.view(MOUNT);
        let added = key.add_version(&pair, &scene.name, scene.now, &scene.random, view);
        key.current = added.await.unwrap();
        for id in ["a", "b", "c"] {
            let mut target = Target::new(Place::Command {
                host: format!("{id}.example"),
                user: "deploy".to_owned(),
                options: String::new(),
            });
            let held = Held::to(Step::Publish, scene.now);
            target.held.insert(key.current, held);
            key.targets.insert(id.to_owned(), target);
        }
        key.store(view, &scene.name).await.unwrap();
        tx.commit().await.unwrap();
        scene
    }

    async fn key(&self) -> Key {
        let mut tx = self.bed.barrier.begin();
        let found = Key::find(&mut tx.view(MOUNT), &self.name).await;
        found.unwrap().unwrap()
    }

    async fn change(&self, change: impl Fn(&mut Key)) {
        let mut key = self.key().await;
        change(&mut key);
        let mut tx = self.bed.barrier.begin();
        key.store(&mut tx.view(MOUNT), &self.name).await.unwrap();
        tx.commit().await.unwrap();
    }

    fn below(&self, limit: u8) -> u8 {
        let mut byte = [0];
        self.random.fill(&mut byte);
        byte[0] % limit
    }

    /// One errand of those that are due, done or failed. False if there is none.
    async fn step(&self, fails: bool) -> bool {
        let room = Room {
            count: 9,
            is_taken: &|_| false,
        };
        let mut tx = self.bed.barrier.begin();
        let mut errands = due(self.now, &room, &mut tx.view(MOUNT)).await.unwrap();
        drop(tx);
        if errands.is_empty() {
            return false;
        }
        let at = usize::from(self.below(u8::try_from(errands.len()).unwrap()));
        let errand = errands.swap_remove(at);
        let done = match &errand.task {
            Task::Generate(kind) => Done::Pair(Pair::generate(*kind, &self.random).unwrap()),
            Task::Advance => Done::Nothing,
            Task::At { .. } if fails => Done::Step(Err(Trouble::new("it fails", "nothing"))),
            Task::At { .. } => Done::Step(Ok(())),
        };
        let mut tx = self.bed.barrier.begin();
        let view = &mut tx.view(MOUNT);
        settle(&errand, &done, self.now, &self.random, view)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        true
    }
}

/// Whatever fails, whenever it is rolled back: the version that readers get is at every target, and
/// nothing goes anywhere before that one was proved everywhere.
#[tokio::test]
async fn nothing_goes_before_what_stays_was_proved() {
    for seed in 0..30 {
        let mut scene = Scene::new(seed).await;
        let mut rotations = 0;
        for round in 0..400 {
            scene.now += SignedDuration::from_secs(30);
            let (fails, begins) = (scene.below(4) == 0, scene.below(16) == 0);
            scene.step(fails && round < 300).await;
            let now = scene.now;
            let key = scene.key().await;
            let ready = key
                .targets
                .values()
                .all(|target| target.has_proved(key.current));
            if begins && ready && key.rotation.is_none() && round < 300 {
                rotations += 1;
                let planned = move |key: &mut Key| {
                    key.rotation = Some(Rotation::planned(key.current, false, now));
                };
                scene.change(planned).await;
            }
            let key = scene.key().await;
            let removing = |held: &Held| !held.step.is_wanted();
            let goes = key.targets.values().any(|t| t.held.values().any(removing));
            assert!(!goes || ready, "seed {seed}, round {round}");
            if rotations > 0 {
                assert!(ready, "seed {seed}, round {round}");
                assert!(key.versions.contains_key(&key.current));
            }
        }
        let key = scene.key().await;
        assert!(rotations > 0 && key.rotation.is_none(), "seed {seed}");
        assert_eq!(key.versions.len(), 1);
        assert!(key.targets.values().all(|target| target.held.len() == 1));
        assert!(!scene.step(false).await, "nothing is left to do");
    }
}

#[tokio::test]
async fn a_rotation_begins_when_its_time_has_come_and_not_before() {
    let mut scene = Scene::new(1).await;
    while scene.step(false).await {}
    let settings = Settings {
        rotation_period: 30 * 86_400,
        ..Settings::default()
    };
    let now = scene.now;
    scene.change(|key| key.plan(&settings, now)).await;
    let reminded = async |scene: &Scene, now| {
        let mut tx = scene.bed.barrier.begin();
        remind("k", now, &mut tx.view(MOUNT)).await.unwrap();
        tx.commit().await.unwrap();
        scene.key().await.rotation.map(|rotation| rotation.stage)
    };
    let at = now + SignedDuration::from_hours(30 * 24);
    let early = at - SignedDuration::from_secs(1);
    assert_eq!(reminded(&scene, early).await, None);
    let millis = u64::try_from(at.as_millisecond()).unwrap();
    assert_eq!(scene.bed.barrier.due(millis - 1, 9).await.unwrap().len(), 0);
    assert_eq!(scene.bed.barrier.due(millis + 2, 9).await.unwrap().len(), 1);
    assert_eq!(reminded(&scene, at).await, Some(Stage::Planned));
    scene.now = at;
    while scene.step(false).await {}
    let key = scene.key().await;
    assert_eq!((key.current, key.rotation.is_none()), (2, true));
}
