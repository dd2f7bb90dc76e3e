//! Whether a token is good: asked of the cluster that issued it (TokenReview, authentication.k8s.io/v1).

use serde::Deserialize;
use serde_json::json;

use super::model::Config;
use crate::core::fault::Fault;
use crate::outbound::{Failure, Outbound, Request, Trust};

/// Where a pod finds who vouches for its cluster, and its own token.
const POD_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
const POD_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Who a token belongs to, as the cluster says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

#[derive(Deserialize)]
struct Review {
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    authenticated: bool,
    user: User,
    audiences: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    username: String,
    uid: String,
}

fn denied(why: &str) -> Fault {
    Fault::Forbidden(format!("service account unauthorized: {why}"))
}

/// The account of a token that the cluster believes in, for this audience if one is given.
pub(super) async fn review(
    outbound: &Outbound,
    config: &Config,
    audience: &str,
    token: &str,
) -> Result<Account, Fault> {
    let body = ask(outbound, config, audience, token).await.map_err(|failure| match failure {
        Failure::Status(401 | 403) => denied("the cluster does not let us review tokens; token_reviewer_jwt must belong to an account with the role system:auth-delegator"),
        failure => Fault::invalid(format!("the cluster does not review tokens: {failure}")),
    })?;
    let review: Review = serde_json::from_slice(&body).map_err(|_| {
        Fault::invalid("the cluster does not review tokens: expected a TokenReview")
    })?;
    account(review.status, audience)
}

async fn ask(
    outbound: &Outbound,
    config: &Config,
    audience: &str,
    token: &str,
) -> Result<zeroize::Zeroizing<Vec<u8>>, Failure> {
    let url = config
        .host
        .join("apis/authentication.k8s.io/v1/tokenreviews")?;
    let audiences = (!audience.is_empty()).then_some([audience]);
    let spec = match audiences {
        Some(audiences) => json!({"token": token, "audiences": audiences}),
        None => json!({ "token": token }),
    };
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": spec,
    });
    let pod_ca = config.ca_cert.is_empty() && !config.disable_local_ca_jwt;
    let ca = match pod_ca {
        true => std::fs::read_to_string(POD_CA).unwrap_or_default(),
        false => config.ca_cert.clone(),
    };
    let trust = Trust::from_pem(&ca)?;
    let request = Request::post(url, "application/json", body.to_string().into_bytes());
    let request = request.bearer(&reviewer(config, token));
    outbound.send(&trust, request).await?.success()
}

/// Who asks: the configured account, the pod's own, or the one that logs in.
fn reviewer(config: &Config, token: &str) -> zeroize::Zeroizing<String> {
    let own = match (&config.reviewer, config.disable_local_ca_jwt) {
        (Some(reviewer), _) => Some(reviewer.expose().to_owned()),
        (None, false) => std::fs::read_to_string(POD_TOKEN).ok(),
        (None, true) => None,
    };
    let text = own.unwrap_or_else(|| token.to_owned());
    zeroize::Zeroizing::new(text.trim().to_owned())
}

fn account(status: Status, audience: &str) -> Result<Account, Fault> {
    if !status.authenticated {
        return Err(denied(
            "the cluster does not know the token; it may be expired, or its account or pod deleted",
        ));
    }
    // A cluster that does not know audiences names none.
    if !audience.is_empty() && !status.audiences.iter().any(|one| one == audience) {
        return Err(denied("the token is not for the role's audience"));
    }
    let parts: Vec<&str> = status.user.username.split(':').collect();
    let ["system", "serviceaccount", namespace, name] = parts[..] else {
        return Err(denied("the token does not belong to a service account"));
    };
    if namespace.is_empty() || name.is_empty() || status.user.uid.is_empty() {
        return Err(denied("the cluster did not say whose token it is"));
    }
    Ok(Account {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: status.user.uid,
    })
}
