//! A request's two audit records: opened before any effect, closed before the answer leaves.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use super::Core;
use super::caller::Caller;
use super::dispatch::Resolved;
use super::fault::Fault;
use super::mount::Mount;
use super::reply::{Data as ReplyData, Reply};
use super::request::{Request, Verb};
use super::token::Token;
use super::unsealed::Unsealed;
use crate::audit::{
    Asked, AskedText, AuthEntry, Data, Hashed, Hmac, HmacMap, Line, Public, RequestEntry,
    RequestPart, ResponseEntry, ResponsePart, Ticket, WrapEntry, encode_request,
};
use crate::barrier::Journal;
use crate::policy::Capability;

pub struct Recorder<'a> {
    core: &'a Core,
    vault: &'a Unsealed,
    request: &'a Request,
    caller: Option<&'a Caller>,
    mount: Option<Arc<Mount>>,
    data: Option<String>,
    /// Of a caller, both are kept beside the token.
    token: Option<Cow<'a, Hashed>>,
    accessor: Option<&'a Hashed>,
    /// With the operation as it was decided, the same in both records.
    asked: OnceLock<AskedText>,
    opened: OnceLock<(Line, Ticket)>,
}

impl<'a> Recorder<'a> {
    pub fn new(
        core: &'a Core,
        vault: &'a Unsealed,
        request: &'a Request,
        resolved: &Resolved,
        caller: Option<&'a Caller>,
    ) -> Recorder<'a> {
        let mount = match resolved {
            Resolved::Target(target) => Some(Arc::clone(&target.mount)),
            Resolved::NoPath(mount) => Some(Arc::clone(mount)),
            Resolved::OtherVerb | Resolved::NotMounted => None,
        };
        let data = (!request.body.is_empty()).then(|| request.body.to_json());
        let given = request.token.as_deref().map(String::as_str);
        let prf = &vault.audit_prf;
        let (token, accessor) = match (given, caller) {
            (Some(given), Some(caller)) => {
                let known = caller.token.audited(prf, given);
                (Some(Cow::Borrowed(&known.token)), Some(&known.accessor))
            }
            (given, _) => {
                let hashed = |given: &str| Cow::Owned(Hashed::new(prf, given.as_bytes()));
                (given.map(hashed), None)
            }
        };
        Recorder {
            core,
            vault,
            request,
            caller,
            mount,
            data,
            token,
            accessor,
            asked: OnceLock::new(),
            opened: OnceLock::new(),
        }
    }

    /// Records the request. If it can have an effect, returns only when a device has the record;
    /// a read has none but its answer, and waits at the end for both records at once.
    pub async fn open<T>(
        &self,
        decision: &Result<(T, &super::dispatch::Target, Capability), Fault>,
    ) -> Result<(), Fault> {
        let (operation, error) = match decision {
            Ok((_, _, operation)) => (operation.as_str(), None),
            Err(fault) => (verb_name(self.request.verb), Some(fault.to_string())),
        };
        let line = self.request_line(operation, error.as_deref());
        let audit = &self.core.audit;
        let ticket = if decision.is_err() || matches!(self.request.verb, Verb::Read | Verb::List) {
            audit.append_lazily(&line)
        } else {
            let ticket = audit.append(&line);
            audit.accepted(ticket).await.map_err(|_| Fault::Audit)?;
            ticket
        };
        let _ = self.opened.set((line, ticket));
        Ok(())
    }

    fn request_line(&self, operation: &str, error: Option<&str>) -> Line {
        let entry = RequestEntry {
            time: Public(self.request.now),
            asked: self.asked(operation),
            data: self.data.as_deref().map(Data::Raw),
            error: error.map(Public),
        };
        encode_request(&entry, Some(&self.vault.audit_prf))
    }

    /// Records a request that cannot have an effect, whatever its verb.
    pub fn open_without_effect(&self, operation: &str, refused: Option<&Fault>) {
        let error = refused.map(ToString::to_string);
        let line = self.request_line(operation, error.as_deref());
        self.core.audit.append_lazily(&line);
    }

    fn asked(&self, operation: &str) -> &AskedText {
        self.asked.get_or_init(|| {
            let (auth, request) = (self.auth(), self.part(operation));
            Asked { auth, request }.encode(Some(&self.vault.audit_prf))
        })
    }

    /// The opened record, to be committed with the effect.
    pub fn journal(&self) -> Option<Journal> {
        let (line, ticket) = self.opened.get()?;
        Some(Journal {
            line: line.to_vec(),
            ticket: ticket.number(),
        })
    }

    /// Records the answer and returns when a device has it.
    pub async fn close(&self, outcome: &Result<Reply, Fault>) -> Result<(), Fault> {
        let error = outcome.as_ref().err().map(ToString::to_string);
        let reply = outcome.as_ref().ok();
        let data = match outcome {
            Ok(reply) => match &reply.data {
                ReplyData::None => None,
                ReplyData::Map(map) => Some(Data::Map(map)),
                ReplyData::Raw(text) => Some(match &reply.recorded {
                    Some(kept) => Data::Kept(text, kept),
                    None => Data::Raw(text),
                }),
            },
            Err(Fault::Described { data, .. }) => Some(Data::Map(data)),
            Err(_) => None,
        };
        let issued = reply.and_then(|reply| reply.auth.as_deref());
        let wrap = reply.and_then(|reply| reply.wrap_info.as_deref());
        let entry = ResponseEntry {
            time: Public((self.core.clock)()),
            asked: self.asked(verb_name(self.request.verb)),
            response: ResponsePart {
                status: Public(super::envelope::status_of(outcome)),
                auth: issued.map(|auth| AuthEntry {
                    client_token: Some(Hmac::Of(auth.client_token.expose().as_bytes())),
                    accessor: Some(Hmac::Of(auth.accessor.as_bytes())),
                    display_name: Public(""),
                    policies: Public(&auth.policies),
                    token_type: Public(&auth.token_type),
                    entity_id: Some(Public(auth.entity_id.as_str())).filter(|id| !id.0.is_empty()),
                    metadata: auth.metadata.as_ref().map(HmacMap),
                    remaining_uses: None,
                    ttl: Some(Public(auth.lease_duration)),
                }),
                lease_id: reply
                    .map(|reply| reply.lease.id.as_str())
                    .filter(|id| !id.is_empty())
                    .map(Public),
                wrap_info: wrap.map(|wrap| WrapEntry {
                    token: Hmac::Of(wrap.token.expose().as_bytes()),
                    accessor: Hmac::Of(wrap.accessor.as_bytes()),
                    ttl: Public(wrap.ttl),
                    creation_time: Public(self.request.now),
                    creation_path: Public(self.request.path.as_str()),
                    wrapped_accessor: wrap
                        .wrapped_accessor
                        .as_deref()
                        .map(|accessor| Hmac::Of(accessor.as_bytes())),
                }),
                warnings: Public(reply.map_or(0, |reply| reply.warnings.len() as u64)),
                // What was wrapped is in the cubbyhole, not in the answer.
                data: data.filter(|_| wrap.is_none()),
            },
            error: error.as_deref().map(Public),
        };
        let ticket = self.core.audit.response(&entry);
        let first = self.opened.get().map_or(ticket, |(_, first)| *first);
        self.core
            .audit
            .accepted_both(first, ticket)
            .await
            .map_err(|_| Fault::Audit)
    }

    fn part<'p>(&'p self, operation: &'p str) -> RequestPart<'p> {
        let mount = self.mount.as_deref();
        RequestPart {
            id: Public(&self.request.id),
            operation: Public(operation),
            path: Public(self.request.path.as_str()),
            mount_type: mount.map(|mount| Public(mount.kind.type_name())),
            mount_accessor: mount.map(|mount| Public(mount.accessor.as_str())),
            mount_class: mount.map(|mount| {
                Public(if mount.kind.is_auth() {
                    "auth"
                } else {
                    "secret"
                })
            }),
            namespace: None,
            remote_address: Some(Public(self.request.remote)),
            client_token: self.token.as_deref().map(Hmac::Known),
            client_token_accessor: self.accessor.map(Hmac::Known),
            wrap_ttl: self.request.wrap_ttl.map(|ttl| Public(ttl.as_secs())),
        }
    }

    fn auth(&self) -> Option<AuthEntry<'_>> {
        let caller = self.caller?;
        let token: &Token = &caller.token;
        Some(AuthEntry {
            client_token: self.token.as_deref().map(Hmac::Known),
            accessor: self.accessor.map(Hmac::Known),
            display_name: Public(&token.display_name),
            policies: Public(caller.policy_names()),
            token_type: Public(token.kind_name()),
            entity_id: Some(Public(token.entity_id.as_str())).filter(|id| !id.0.is_empty()),
            metadata: Some(HmacMap(&token.meta)).filter(|map| !map.0.is_empty()),
            remaining_uses: (token.num_uses > 0).then_some(Public(token.num_uses)),
            ttl: token
                .expires
                .map(|_| Public(token.ttl_left(self.request.now))),
        })
    }
}

pub fn verb_name(verb: Verb) -> &'static str {
    match verb {
        Verb::Read => "read",
        Verb::Write => "update",
        Verb::Patch => "patch",
        Verb::Delete => "delete",
        Verb::List => "list",
    }
}

/// Records of what happens while there is no pipeline: init, unseal, seal.
pub async fn operator_event(
    core: &Core,
    request: &Request,
    status: Option<u16>,
    error: Option<&str>,
) -> Result<(), Fault> {
    record(core, request, part(request, "system"), status, error).await
}

/// Records of what an engine does outside that no request asks for: before the deed without a status,
/// after it with one.
pub async fn errand_event(
    core: &Core,
    request: &Request,
    mount: &Mount,
    status: Option<u16>,
    error: Option<&str>,
) -> Result<(), Fault> {
    let mut part = part(request, mount.kind.type_name());
    part.mount_accessor = Some(Public(mount.accessor.as_str()));
    record(core, request, part, status, error).await
}

fn part<'a>(request: &'a Request, mount_type: &'a str) -> RequestPart<'a> {
    RequestPart {
        id: Public(&request.id),
        operation: Public(verb_name(request.verb)),
        path: Public(request.path.as_str()),
        mount_type: Some(Public(mount_type)),
        mount_accessor: None,
        mount_class: Some(Public("secret")),
        namespace: None,
        remote_address: Some(Public(request.remote)),
        client_token: None,
        client_token_accessor: None,
        wrap_ttl: None,
    }
}

async fn record(
    core: &Core,
    request: &Request,
    part: RequestPart<'_>,
    status: Option<u16>,
    error: Option<&str>,
) -> Result<(), Fault> {
    let asked = &core.audit.asked(&Asked {
        auth: None,
        request: part,
    });
    let ticket = match status {
        None => core.audit.request(&RequestEntry {
            time: Public(request.now),
            asked,
            data: None,
            error: error.map(Public),
        }),
        Some(status) => core.audit.response(&ResponseEntry {
            time: Public((core.clock)()),
            asked,
            response: ResponsePart {
                status: Public(status),
                auth: None,
                lease_id: None,
                wrap_info: None,
                warnings: Public(0),
                data: None,
            },
            error: error.map(Public),
        }),
    };
    core.audit.accepted(ticket).await.map_err(|_| Fault::Audit)
}
