//! How a list is made: before the request's transaction, since one transaction does not read as many
//! rows as there may be revocations, nor write a list that is longer than a row. One at a time: who
//! waits finds it done. A list counts once all its parts are stored.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use vault_x509::{Hash, Reason, Revocations, Revoked};

use super::{Entry, Kind, Made, REVOKED, State, part_row, parts_folder, state_row};
use crate::barrier::View;
use crate::core::aside::{Aside, Keep};
use crate::core::fault::Fault;
use crate::core::slow::Outside;
use crate::engine::pki::issuer::{Authority, Issuer};
use crate::engine::pki::settings::Lists;

/// Bytes of a list in one row.
const PART: usize = 512 << 10;
/// What one transaction reads when a list is served: some 600,000 revocations.
const PARTS_MAX: usize = 50;

/// Which list.
pub(in crate::engine::pki) struct Wanted<'w> {
    pub reference: &'w str,
    pub kind: Kind,
    /// Even if nothing changed.
    pub anew: bool,
    pub now: Timestamp,
}

impl Wanted<'_> {
    /// Makes it if it is due.
    pub async fn make(
        &self,
        mount: u64,
        view: &mut View<'_>,
        outside: &Outside<'_>,
    ) -> Result<(), Fault> {
        let settings = Lists::load(view).await?;
        let Some(issuer) = Issuer::find(view, self.reference).await? else {
            return Ok(());
        };
        let row = state_row(&issuer.id);
        let aside = outside.aside(mount);
        let state: State = aside.get(&row).await?.unwrap_or_default();
        if !self.is_due(&state, &settings) {
            return Ok(());
        }
        let _alone = outside.slow.alone().await;
        // What was revoked until here is read below; what comes later is counted as another change.
        let state: State = aside.get(&row).await?.unwrap_or_default();
        if !self.is_due(&state, &settings) {
            return Ok(());
        }
        issuer.may("crl-signing")?;
        let authority = issuer.open(view).await?;
        let begun = aside.keep(&Begin(&row)).await?;
        let since = match (self.kind, &begun.complete) {
            (Kind::Delta, Some(complete)) => Some((complete.number, complete.at)),
            _ => None,
        };
        let revoked = match settings.disable {
            true => Vec::new(),
            false => {
                self.revoked(&authority, since.map(|(_, at)| at), view)
                    .await?
            }
        };
        let list = Revocations {
            issuer: &authority.facts.subject,
            issuer_key_id: &authority.key_id,
            number: begun.number,
            since: since.map(|(number, _)| number),
            this_update: self.now,
            next_update: end(self.now, settings.expiry)?,
            revoked: &revoked,
        };
        let der = list
            .sign(&authority.signer(Hash::Sha256, false))
            .map_err(|_| Fault::Internal("sign a revocation list"))?;
        let made = Made {
            number: begun.number,
            changes: state.changes,
            at: self.now,
            until: list.next_update,
            parts: der.len().div_ceil(PART),
        };
        self.store(&authority, &der, made, &aside).await
    }

    fn is_due(&self, state: &State, settings: &Lists) -> bool {
        if self.kind == Kind::Delta && (!settings.enable_delta || state.complete.is_none()) {
            return false;
        }
        let made = state.of(self.kind);
        self.anew || made.is_none_or(|made| state.is_due(made, self.kind, settings, self.now))
    }

    /// What the issuer has revoked and what has not ended by itself.
    async fn revoked(
        &self,
        authority: &Authority,
        since: Option<Timestamp>,
        view: &mut View<'_>,
    ) -> Result<Vec<Revoked>, Fault> {
        let folder = format!("{REVOKED}/{}", authority.issuer.id);
        let mut found = Vec::new();
        for name in view.list(&folder).await? {
            let entry: Option<Entry> = view.get(&format!("{folder}/{name}")).await?;
            let Some(entry) = entry else {
                continue;
            };
            if entry.not_after < self.now || since.is_some_and(|since| entry.at < since) {
                continue;
            }
            let serial = hex::decode(&name).map_err(|_| Fault::Internal("a serial number"))?;
            found.push(Revoked {
                serial,
                at: entry.at,
                reason: Reason::of(entry.reason).unwrap_or_default(),
            });
        }
        Ok(found)
    }

    async fn store(
        &self,
        authority: &Authority,
        der: &[u8],
        made: Made,
        aside: &Aside,
    ) -> Result<(), Fault> {
        if made.parts > PARTS_MAX {
            return Err(Fault::invalid(
                "the revocation list is too long to be served: tidy it, or issue by another issuer",
            ));
        }
        let issuer = authority.issuer.id.as_str();
        for (index, part) in der.chunks(PART).enumerate() {
            let row = part_row(issuer, self.kind, made.number, index);
            aside.keep(&Part(row, STANDARD.encode(part))).await?;
        }
        let number = made.number;
        let switch = Switch {
            row: &state_row(issuer),
            kind: self.kind,
            made,
        };
        aside.keep(&switch).await?;
        aside
            .keep(&Old(parts_folder(issuer, self.kind), number))
            .await
    }
}

fn end(now: Timestamp, seconds: u64) -> Result<Timestamp, Fault> {
    let span = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    now.checked_add(span)
        .map_err(|_| Fault::invalid("config/crl: expiry is too long"))
}

/// Takes a number, which no other list will have.
struct Begin<'a>(&'a str);

impl Keep for Begin<'_> {
    type Kept = State;

    async fn keep(&self, view: &mut View<'_>) -> Result<State, Fault> {
        let mut state: State = view.get(self.0).await?.unwrap_or_default();
        state.number += 1;
        view.put(self.0, &state).await?;
        Ok(state)
    }
}

/// A row, and what is in it.
struct Part(String, String);

impl Keep for Part {
    type Kept = ();

    async fn keep(&self, view: &mut View<'_>) -> Result<(), Fault> {
        Ok(view.put(&self.0, &self.1).await?)
    }
}

/// From now on this list is the one.
struct Switch<'a> {
    row: &'a str,
    kind: Kind,
    made: Made,
}

impl Keep for Switch<'_> {
    type Kept = ();

    async fn keep(&self, view: &mut View<'_>) -> Result<(), Fault> {
        let mut state: State = view.get(self.row).await?.unwrap_or_default();
        let is_newer = |old: &Made| old.number < self.made.number;
        if !state.of(self.kind).is_none_or(is_newer) {
            return Ok(());
        }
        match self.kind {
            Kind::Complete => {
                state.complete = Some(self.made.clone());
                state.delta = None;
            }
            Kind::Delta => state.delta = Some(self.made.clone()),
        }
        Ok(view.put(self.row, &state).await?)
    }
}

/// What lists before this number left behind. What one transaction does not delete, the next list does.
struct Old(String, u64);

impl Keep for Old {
    type Kept = ();

    async fn keep(&self, view: &mut View<'_>) -> Result<(), Fault> {
        let mut room = PARTS_MAX;
        for number in view.list(&self.0).await? {
            let number = number.trim_end_matches('/');
            if number.parse::<u64>().is_ok_and(|number| number >= self.1) {
                continue;
            }
            for part in view.list(&format!("{}/{number}", self.0)).await? {
                if room == 0 {
                    return Ok(());
                }
                view.delete(&format!("{}/{number}/{part}", self.0)).await?;
                room -= 1;
            }
        }
        Ok(())
    }
}
