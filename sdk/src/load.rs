//! Loading of many secrets at once, with one error for all that is wrong.

mod kept;

pub use kept::{Obtained, wait_for_server};

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::kv2::{join, version_of};
use crate::problem::{Cause, Problem};
use crate::secrets::{Found, SecretRef, Secrets, fill};
use crate::typed::harmless;
use crate::wipe::Wiped;
use crate::{Call, Change, Client, Error};

/// Requests in flight at a time.
const AT_ONCE: usize = 8;

/// Loaded secrets with the versions they came from.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The secrets.
    pub secrets: T,
    /// By `mount/path`. Engines without versions are not listed.
    pub versions: BTreeMap<String, u64>,
    pub(crate) stamps: BTreeMap<Place, Stamp>,
}

impl<T> Deref for Loaded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.secrets
    }
}

impl<T> Loaded<T> {
    /// Whether it is about a secret that was read, found or not.
    pub(crate) fn is_touched_by(&self, change: &Change) -> bool {
        self.stamps
            .keys()
            .any(|place| change.concerns(join(&[&place.mount, &place.path]).trim_end_matches('/')))
    }
}

/// A mount and a path in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    mount: String,
    path: String,
}

/// Tells one state of a secret from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamp {
    Missing,
    Version(u64),
    Content(u64),
}

struct Page {
    values: Wiped,
    stamp: Stamp,
}

type Pages = BTreeMap<Place, Result<Page, Cause>>;

#[derive(Clone, Copy)]
enum Engine {
    Kv1,
    Kv2,
}

impl Client {
    /// Reads everything that `T` needs; each path once, several at a time.
    ///
    /// # Errors
    /// [`Error::Load`] lists every secret that is missing, denied or of
    /// another type. A server that is sealed or away, and a token that is not
    /// accepted, are an error of their own.
    pub async fn load<T: Secrets>(&self) -> Result<T, Error> {
        self.load_with::<T>(&HashMap::new())
            .await
            .map(|loaded| loaded.secrets)
    }

    /// Like [`Client::load`]; `given` fills the `{names}` of the paths before
    /// the environment does, and the versions are told.
    pub async fn load_with<T: Secrets>(
        &self,
        given: &HashMap<String, String>,
    ) -> Result<Loaded<T>, Error> {
        let environment = |name: &str| std::env::var(name).ok();
        let places: Vec<_> = T::MANIFEST
            .iter()
            .map(|row| {
                fill(row.path, given, &environment).map(|path| Place {
                    mount: row.mount.to_owned(),
                    path,
                })
            })
            .collect();
        let distinct = places.iter().flatten().cloned().collect();
        let pages = self.pages(distinct).await?;
        assemble(&places, &pages)
    }

    /// Reads all keys of these paths into one type; later paths win. Give
    /// its secret fields the type [`crate::Secret`].
    ///
    /// # Errors
    /// As [`Client::load`]; serde names only the first key that is missing.
    pub async fn load_serde<T: DeserializeOwned>(
        &self,
        mount: &str,
        paths: &[&str],
    ) -> Result<T, Error> {
        let place = |path: &&str| Place {
            mount: mount.to_owned(),
            path: (*path).to_owned(),
        };
        let mut pages = self.pages(paths.iter().map(place).collect()).await?;
        let mut merged = Wiped::from(Value::Object(serde_json::Map::new()));
        let mut problems = Vec::new();
        for place in paths.iter().map(place) {
            let reference = join(&[&place.mount, &place.path]);
            match pages.remove(&place) {
                Some(Ok(page)) => merge(&mut merged, page.values.take()),
                Some(Err(cause)) => problems.push(Problem { reference, cause }),
                None => {}
            }
        }
        if !problems.is_empty() {
            return Err(Error::Load(problems));
        }
        T::deserialize(&*merged).map_err(|failure| {
            let reference = format!("{mount}/{}", paths.join("+"));
            let cause = Cause::Shape(harmless(&failure));
            Error::Load(vec![Problem { reference, cause }])
        })
    }

    async fn pages(&self, places: BTreeSet<Place>) -> Result<Pages, Error> {
        if let Some(cache) = &self.inner.cache {
            return Box::pin(self.pages_kept(cache, &places)).await;
        }
        let mounts: BTreeSet<_> = places.iter().map(|place| place.mount.clone()).collect();
        let engines = each(mounts, |mount| {
            let client = self.clone();
            async move { client.engine(&mount).await }
        })
        .await?;
        let engine = |mount: &str| match engines.get(mount) {
            Some(Ok(engine)) => *engine,
            // The reads themselves will say what is wrong.
            _ => Engine::Kv2,
        };
        if places.len() > 1
            && let Some(pages) = self.pages_at_once(&places, engine).await?
        {
            return Ok(pages);
        }
        each(places, |place| {
            let (client, engine) = (self.clone(), engine(&place.mount));
            async move { client.page(&place, engine).await }
        })
        .await
    }

    /// All of them as of one moment, if the server can do that.
    async fn pages_at_once(
        &self,
        places: &BTreeSet<Place>,
        engine: impl Fn(&str) -> Engine,
    ) -> Result<Option<Pages>, Error> {
        let path = |place: &Place| match engine(&place.mount) {
            Engine::Kv2 => join(&[&place.mount, "data", &place.path]),
            Engine::Kv1 => join(&[&place.mount, &place.path]),
        };
        let paths: Vec<_> = places.iter().map(|place| (path(place), None)).collect();
        let Some(results) = self.batch(&paths).await? else {
            return Ok(None);
        };
        let page = |place: &Place, data| match engine(&place.mount) {
            Engine::Kv2 => page_of_kv2(&path(place), data),
            Engine::Kv1 => Ok(page_of_kv1(data)),
        };
        let mut pages = Pages::new();
        for (place, result) in places.iter().zip(results) {
            let page = result.and_then(|data| page(place, data));
            if page.as_ref().is_err_and(concerns_all) {
                return page.map(|_| None);
            }
            pages.insert(place.clone(), page.map_err(|failure| Cause::of(&failure)));
        }
        Ok(Some(pages))
    }

    async fn engine(&self, mount: &str) -> Result<Engine, Error> {
        let path = join(&["sys/internal/ui/mounts", mount.trim_end_matches('/')]);
        let info: Value = self.data(Call::get(path)).await?;
        let version = info.pointer("/options/version");
        let two = version.is_some_and(|version| *version == "2" || *version == 2);
        Ok(if two { Engine::Kv2 } else { Engine::Kv1 })
    }

    async fn page(&self, place: &Place, engine: Engine) -> Result<Page, Error> {
        match engine {
            Engine::Kv2 => {
                let call = Call::get(join(&[&place.mount, "data", &place.path]));
                let path = call.path.clone();
                page_of_kv2(&path, Wiped::from(self.data::<Value>(call).await?))
            }
            Engine::Kv1 => {
                let call = Call::get(join(&[&place.mount, &place.path]));
                Ok(page_of_kv1(Wiped::from(self.data::<Value>(call).await?)))
            }
        }
    }
}

fn page_of_kv2(path: &str, data: Wiped) -> Result<Page, Error> {
    let (values, metadata) = version_of(path, data)?;
    let stamp = Stamp::Version(metadata.version);
    Ok(Page { values, stamp })
}

fn page_of_kv1(values: Wiped) -> Page {
    let stamp = Stamp::Content(fingerprint(&values));
    Page { values, stamp }
}

/// Runs `work` for each item, [`AT_ONCE`] at a time. What concerns all items
/// alike (sealed, away, no token) ends it at once.
async fn each<K, V, F>(
    items: BTreeSet<K>,
    work: impl Fn(K) -> F,
) -> Result<BTreeMap<K, Result<V, Cause>>, Error>
where
    K: Clone + Ord + Send + 'static,
    V: Send + 'static,
    F: Future<Output = Result<V, Error>> + Send + 'static,
{
    let mut items = items.into_iter();
    let mut tasks = JoinSet::new();
    let mut done = BTreeMap::new();
    loop {
        while tasks.len() < AT_ONCE
            && let Some(item) = items.next()
        {
            let future = work(item.clone());
            tasks.spawn(async move { (item, future.await) });
        }
        match tasks.join_next().await {
            None => return Ok(done),
            Some(Err(_panicked)) => return Err(Error::Config("a read was cancelled".into())),
            Some(Ok((_, Err(failure)))) if concerns_all(&failure) => return Err(failure),
            Some(Ok((item, result))) => {
                done.insert(item, result.map_err(|failure| Cause::of(&failure)));
            }
        }
    }
}

fn concerns_all(failure: &Error) -> bool {
    failure.is_retryable()
        || matches!(
            failure,
            Error::InvalidToken { .. } | Error::Tls { .. } | Error::Config(_)
        )
}

fn assemble<T: Secrets>(
    places: &[Result<Place, Cause>],
    pages: &Pages,
) -> Result<Loaded<T>, Error> {
    let values = T::MANIFEST
        .iter()
        .zip(places)
        .map(|(row, place)| one_value(row, place, pages))
        .collect();
    let mut found = Found::new(values);
    let taken = T::take(&mut found);
    let (Some(secrets), true) = (taken, found.problems.is_empty()) else {
        return Err(Error::Load(found.problems));
    };
    let stamp =
        |page: &Result<Page, Cause>| page.as_ref().map_or(Stamp::Missing, |page| page.stamp);
    let stamps: BTreeMap<_, _> = pages
        .iter()
        .map(|(place, page)| (place.clone(), stamp(page)))
        .collect();
    let versions = stamps
        .iter()
        .filter_map(|(place, stamp)| match stamp {
            Stamp::Version(version) => Some((join(&[&place.mount, &place.path]), *version)),
            _ => None,
        })
        .collect();
    Ok(Loaded {
        secrets,
        versions,
        stamps,
    })
}

fn one_value(
    row: &SecretRef,
    place: &Result<Place, Cause>,
    pages: &Pages,
) -> (String, Result<Option<Wiped>, Cause>) {
    let path = place.as_ref().map_or(row.path, |place| &place.path);
    let reference = format!("{}#{}", join(&[row.mount, path]), row.key);
    let value = match place {
        Err(cause) => Err(cause.clone()),
        Ok(place) => match pages.get(place) {
            Some(Ok(page)) => Ok(page.values.get(row.key).cloned().map(Wiped::from)),
            Some(Err(Cause::MissingPath)) if row.optional => Ok(None),
            Some(Err(cause)) => Err(cause.clone()),
            None => Ok(None),
        },
    };
    (reference, value)
}

fn merge(into: &mut Value, page: Value) {
    if let (Value::Object(into), Value::Object(page)) = (into, page) {
        into.extend(page);
    }
}

/// Only to see a change; not for anything an attacker could gain from.
fn fingerprint(value: &Value) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let text = zeroize::Zeroizing::new(value.to_string());
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
