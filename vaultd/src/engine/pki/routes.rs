//! The API of pki as a table.

use super::acme;
use crate::core::request::Verb;
use crate::core::route::{Access, Row};

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    ListRoles,
    ReadRole,
    WriteRole,
    PatchRole,
    DeleteRole,
    Issue,
    Sign,
    SignVerbatim,
    GenerateRoot,
    GenerateIntermediate,
    CrossSign,
    SignIntermediate,
    SignSelfIssued,
    Import,
    ImportCertificates,
    DeleteRoot,
    ListIssuers,
    ReadIssuer,
    WriteIssuer,
    PatchIssuer,
    DeleteIssuer,
    RevokeIssuer,
    IssuerJson,
    IssuerDer,
    IssuerPem,
    ReadIssuersConfig,
    WriteIssuersConfig,
    ListKeys,
    ReadKey,
    WriteKey,
    DeleteKey,
    GenerateKey,
    ImportKey,
    ReadKeysConfig,
    WriteKeysConfig,
    CaDer,
    CaPem,
    CaChain,
    ListCerts,
    ListCertsDetailed,
    ListRevoked,
    ReadCert,
    CertDer,
    CertPem,
    Revoke,
    RevokeWithKey,
    List,
    ListPem,
    Delta,
    DeltaPem,
    RotateLists,
    RotateDeltas,
    Ocsp,
    ReadUrls,
    WriteUrls,
    ReadCluster,
    WriteCluster,
    ReadLists,
    WriteLists,
    Expiring,
    Tidy,
    TidyStatus,
    TidyCancel,
    ReadAutoTidy,
    WriteAutoTidy,
    Acme(acme::Call),
}

const ROLE: &str = "issuer_ref ttl max_ttl not_after not_before_duration allow_localhost \
    allowed_domains allowed_domains_template allow_bare_domains allow_subdomains allow_glob_domains \
    allow_wildcard_certificates allow_any_name enforce_hostnames allow_ip_sans allowed_ip_sans_cidr \
    allowed_uri_sans allowed_uri_sans_template allowed_other_sans allowed_serial_numbers \
    allowed_user_ids cn_validations require_cn use_csr_common_name use_csr_sans server_flag \
    client_flag code_signing_flag email_protection_flag key_usage ext_key_usage ext_key_usage_oids \
    basic_constraints_valid_for_non_ca policy_identifiers key_type key_bits signature_bits use_pss \
    ou organization country locality province street_address postal_code generate_lease no_store acme_allowed_networks";
const ISSUE: &str = "common_name alt_names ip_sans uri_sans other_sans ttl not_after format \
    private_key_format exclude_cn_from_sans remove_roots_from_chain user_ids serial_number \
    not_before_duration issuer_ref";
const SIGN: &str = "csr common_name alt_names ip_sans uri_sans other_sans ttl not_after format \
    exclude_cn_from_sans remove_roots_from_chain user_ids serial_number not_before_duration issuer_ref";
const VERBATIM: &str = "csr key_usage ext_key_usage ext_key_usage_oids ttl not_after format \
    remove_roots_from_chain signature_bits use_pss issuer_ref not_before_duration";
const CA: &str = "common_name alt_names ip_sans uri_sans other_sans ttl not_after format \
    private_key_format key_type key_bits signature_bits use_pss max_path_length \
    exclude_cn_from_sans permitted_dns_domains excluded_dns_domains permitted_ip_ranges \
    excluded_ip_ranges permitted_email_addresses excluded_email_addresses permitted_uri_domains \
    excluded_uri_domains ou organization country locality province street_address postal_code \
    serial_number not_before_duration issuer_name key_name key_ref add_basic_constraints";
const SIGN_CA: &str = "csr common_name alt_names ip_sans uri_sans other_sans ttl not_after format \
    use_csr_values max_path_length exclude_cn_from_sans permitted_dns_domains excluded_dns_domains \
    permitted_ip_ranges excluded_ip_ranges permitted_email_addresses excluded_email_addresses \
    permitted_uri_domains excluded_uri_domains ou organization country locality province \
    street_address postal_code serial_number signature_bits use_pss not_before_duration issuer_ref \
    remove_roots_from_chain enforce_leaf_not_after_behavior";
const SELF: &str =
    "certificate issuer_ref signature_bits use_pss require_matching_certificate_algorithms";
const ISSUER: &str = "issuer_name leaf_not_after_behavior manual_chain usage \
    issuing_certificates crl_distribution_points delta_crl_distribution_points ocsp_servers \
    enable_aia_url_templating enable_templating";
const URLS: &str = "issuing_certificates crl_distribution_points delta_crl_distribution_points \
    ocsp_servers enable_templating";
const LISTS: &str = "expiry disable ocsp_disable ocsp_expiry auto_rebuild auto_rebuild_grace_period \
    enable_delta delta_rebuild_interval cross_cluster_revocation unified_crl \
    unified_crl_on_existing_paths";
const TIDY: &str = "tidy_cert_store tidy_revoked_certs tidy_revocation_list safety_buffer \
    enabled interval_duration maintain_stored_certificate_counts";

const fn open(row: Row<Call>) -> Row<Call> {
    row.access(Access::Open)
}

const fn sudo(row: Row<Call>) -> Row<Call> {
    row.access(Access::Sudo)
}

/// Every operation.
pub const ROWS: &[Row<Call>] = &joined();

const COUNT: usize = {
    let (mut count, mut table) = (OWN.len(), 0);
    while table < acme::ROWS.len() {
        count += acme::ROWS[table].len();
        table += 1;
    }
    count
};

/// This table and those of the ACME server.
const fn joined() -> [Row<Call>; COUNT] {
    let mut all = [OWN[0]; COUNT];
    let (mut at, mut table) = (0, 0);
    while at < OWN.len() {
        all[at] = OWN[at];
        at += 1;
    }
    while table < acme::ROWS.len() {
        let rows = acme::ROWS[table];
        let mut row = 0;
        while row < rows.len() {
            all[at] = rows[row];
            (at, row) = (at + 1, row + 1);
        }
        table += 1;
    }
    all
}

/// All nodes share one store: what Vault calls unified is the same list.
#[rustfmt::skip]
const OWN: &[Row<Call>] = &[
    Row::new(Verb::List, "roles", Call::ListRoles, "after limit", "List the roles."),
    Row::new(Verb::Read, "roles/{name}", Call::ReadRole, "", "Read what a role allows."),
    Row::new(Verb::Write, "roles/{name}", Call::WriteRole, ROLE, "Create or replace a role.").creates(),
    Row::new(Verb::Patch, "roles/{name}", Call::PatchRole, ROLE, "Change the given fields of a role."),
    Row::new(Verb::Delete, "roles/{name}", Call::DeleteRole, "", "Delete a role; certificates stay valid."),
    Row::new(Verb::Write, "issue/{name}", Call::Issue, ISSUE, "Issue a certificate with a new private key."),
    Row::new(Verb::Write, "issuer/{ref}/issue/{name}", Call::Issue, ISSUE, "Issue a certificate with a new private key, by this issuer."),
    Row::new(Verb::Write, "sign/{name}", Call::Sign, SIGN, "Sign a CSR within a role."),
    Row::new(Verb::Write, "issuer/{ref}/sign/{name}", Call::Sign, SIGN, "Sign a CSR within a role, by this issuer."),
    Row::new(Verb::Write, "sign-verbatim", Call::SignVerbatim, VERBATIM, "Sign a CSR as it stands."),
    Row::new(Verb::Write, "sign-verbatim/{name}", Call::SignVerbatim, VERBATIM, "Sign a CSR as it stands, for as long as a role allows."),
    Row::new(Verb::Write, "issuer/{ref}/sign-verbatim", Call::SignVerbatim, VERBATIM, "Sign a CSR as it stands, by this issuer."),
    Row::new(Verb::Write, "issuer/{ref}/sign-verbatim/{name}", Call::SignVerbatim, VERBATIM, "Sign a CSR as it stands, by this issuer, for as long as a role allows."),
    Row::new(Verb::Write, "root/generate/{type}", Call::GenerateRoot, CA, "Make a root."),
    Row::new(Verb::Write, "root/rotate/{type}", Call::GenerateRoot, CA, "Make another root."),
    Row::new(Verb::Write, "issuers/generate/root/{type}", Call::GenerateRoot, CA, "Make a root."),
    Row::new(Verb::Write, "intermediate/generate/{type}", Call::GenerateIntermediate, CA, "Make a key and a CSR for an intermediate."),
    Row::new(Verb::Write, "issuers/generate/intermediate/{type}", Call::GenerateIntermediate, CA, "Make a key and a CSR for an intermediate."),
    Row::new(Verb::Write, "intermediate/cross-sign", Call::CrossSign, CA, "Make a CSR with a key that is there."),
    Row::new(Verb::Write, "root/sign-intermediate", Call::SignIntermediate, SIGN_CA, "Sign the CSR of an authority."),
    Row::new(Verb::Write, "issuer/{ref}/sign-intermediate", Call::SignIntermediate, SIGN_CA, "Sign the CSR of an authority, by this issuer."),
    sudo(Row::new(Verb::Write, "root/sign-self-issued", Call::SignSelfIssued, SELF, "Sign another authority's self-signed certificate.")),
    sudo(Row::new(Verb::Write, "issuer/{ref}/sign-self-issued", Call::SignSelfIssued, SELF, "Sign another authority's self-signed certificate, by this issuer.")),
    Row::new(Verb::Write, "intermediate/set-signed", Call::ImportCertificates, "certificate", "Bring the certificate of a generated CSR."),
    Row::new(Verb::Write, "config/ca", Call::Import, "pem_bundle", "Bring keys and certificates of authorities."),
    Row::new(Verb::Write, "issuers/import/bundle", Call::Import, "pem_bundle", "Bring keys and certificates of authorities."),
    Row::new(Verb::Write, "issuers/import/cert", Call::ImportCertificates, "pem_bundle", "Bring certificates of authorities."),
    sudo(Row::new(Verb::Delete, "root", Call::DeleteRoot, "", "Delete every issuer and key for good.")),
    open(Row::new(Verb::List, "issuers", Call::ListIssuers, "after limit", "List the issuers.")),
    Row::new(Verb::Read, "issuer/{ref}", Call::ReadIssuer, "", "Read an issuer."),
    Row::new(Verb::Write, "issuer/{ref}", Call::WriteIssuer, ISSUER, "Set what an issuer may do."),
    Row::new(Verb::Patch, "issuer/{ref}", Call::PatchIssuer, ISSUER, "Change the given fields of an issuer."),
    Row::new(Verb::Delete, "issuer/{ref}", Call::DeleteIssuer, "", "Delete an issuer; its key stays."),
    Row::new(Verb::Write, "issuer/{ref}/revoke", Call::RevokeIssuer, "", "Revoke an issuer: it signs nothing any more."),
    open(Row::new(Verb::Read, "issuer/{ref}/json", Call::IssuerJson, "", "The certificate of an issuer.")),
    open(Row::new(Verb::Read, "issuer/{ref}/der", Call::IssuerDer, "", "The certificate of an issuer, DER.")),
    open(Row::new(Verb::Read, "issuer/{ref}/pem", Call::IssuerPem, "", "The certificate of an issuer, PEM.")),
    open(Row::new(Verb::Read, "issuer/{ref}/crl", Call::List, "", "The revocation list of an issuer.")),
    open(Row::new(Verb::Read, "issuer/{ref}/unified-crl", Call::List, "", "The revocation list of an issuer.")),
    open(Row::new(Verb::Read, "issuer/{ref}/crl/der", Call::List, "", "The revocation list of an issuer, DER.")),
    open(Row::new(Verb::Read, "issuer/{ref}/unified-crl/der", Call::List, "", "The revocation list of an issuer, DER.")),
    open(Row::new(Verb::Read, "issuer/{ref}/crl/pem", Call::ListPem, "", "The revocation list of an issuer, PEM.")),
    open(Row::new(Verb::Read, "issuer/{ref}/unified-crl/pem", Call::ListPem, "", "The revocation list of an issuer, PEM.")),
    open(Row::new(Verb::Read, "issuer/{ref}/crl/delta", Call::Delta, "", "What changed since the list of an issuer.")),
    open(Row::new(Verb::Read, "issuer/{ref}/unified-crl/delta", Call::Delta, "", "What changed since the list of an issuer.")),
    open(Row::new(Verb::Read, "issuer/{ref}/crl/delta/der", Call::Delta, "", "What changed since the list of an issuer, DER.")),
    open(Row::new(Verb::Read, "issuer/{ref}/unified-crl/delta/der", Call::Delta, "", "What changed since the list of an issuer, DER.")),
    open(Row::new(Verb::Read, "issuer/{ref}/crl/delta/pem", Call::DeltaPem, "", "What changed since the list of an issuer, PEM.")),
    open(Row::new(Verb::Read, "issuer/{ref}/unified-crl/delta/pem", Call::DeltaPem, "", "What changed since the list of an issuer, PEM.")),
    Row::new(Verb::Read, "config/issuers", Call::ReadIssuersConfig, "", "Which issuer is the default one."),
    Row::new(Verb::Write, "config/issuers", Call::WriteIssuersConfig, "default default_follows_latest_issuer", "Set the default issuer."),
    Row::new(Verb::Write, "root/replace", Call::WriteIssuersConfig, "default", "Set the default issuer."),
    Row::new(Verb::List, "keys", Call::ListKeys, "after limit", "List the keys of authorities."),
    Row::new(Verb::Read, "key/{ref}", Call::ReadKey, "", "Read about a key."),
    Row::new(Verb::Write, "key/{ref}", Call::WriteKey, "key_name", "Name a key."),
    Row::new(Verb::Delete, "key/{ref}", Call::DeleteKey, "", "Delete a key that no issuer uses."),
    Row::new(Verb::Write, "keys/generate/{type}", Call::GenerateKey, "key_name key_type key_bits private_key_format", "Make a key."),
    Row::new(Verb::Write, "keys/import", Call::ImportKey, "pem_bundle key_name", "Bring a key."),
    Row::new(Verb::Read, "config/keys", Call::ReadKeysConfig, "", "Which key is the default one."),
    Row::new(Verb::Write, "config/keys", Call::WriteKeysConfig, "default", "Set the default key."),
    open(Row::new(Verb::Read, "ca", Call::CaDer, "", "The default issuer's certificate, DER.")),
    open(Row::new(Verb::Read, "ca/pem", Call::CaPem, "", "The default issuer's certificate, PEM.")),
    open(Row::new(Verb::Read, "ca_chain", Call::CaChain, "", "The default issuer's chain, PEM.")),
    Row::new(Verb::List, "certs", Call::ListCerts, "after limit", "List certificates that were issued."),
    Row::new(Verb::List, "certs/detailed", Call::ListCertsDetailed, "after limit detailed", "List certificates that were issued, with their ends."),
    Row::new(Verb::List, "certs/revoked", Call::ListRevoked, "after limit", "List certificates that were revoked."),
    Row::new(Verb::List, "certs/unified-revoked", Call::ListRevoked, "after limit", "List certificates that were revoked."),
    open(Row::new(Verb::Read, "cert/{serial}", Call::ReadCert, "", "Read a certificate, the CA, its chain or its list.")),
    open(Row::new(Verb::Read, "cert/{serial}/raw", Call::CertDer, "", "A certificate in DER.")),
    open(Row::new(Verb::Read, "cert/{serial}/raw/pem", Call::CertPem, "", "A certificate in PEM.")),
    Row::new(Verb::Write, "revoke", Call::Revoke, "serial_number certificate", "Revoke a certificate."),
    Row::new(Verb::Write, "revoke-with-key", Call::RevokeWithKey, "serial_number certificate private_key", "Revoke a certificate whose private key the caller has."),
    open(Row::new(Verb::Read, "crl", Call::List, "", "The default issuer's revocation list, DER.")),
    open(Row::new(Verb::Read, "unified-crl", Call::List, "", "The default issuer's revocation list, DER.")),
    open(Row::new(Verb::Read, "crl/pem", Call::ListPem, "", "The default issuer's revocation list, PEM.")),
    open(Row::new(Verb::Read, "unified-crl/pem", Call::ListPem, "", "The default issuer's revocation list, PEM.")),
    open(Row::new(Verb::Read, "crl/delta", Call::Delta, "", "What changed since the list, DER.")),
    open(Row::new(Verb::Read, "unified-crl/delta", Call::Delta, "", "What changed since the list, DER.")),
    open(Row::new(Verb::Read, "crl/delta/pem", Call::DeltaPem, "", "What changed since the list, PEM.")),
    open(Row::new(Verb::Read, "unified-crl/delta/pem", Call::DeltaPem, "", "What changed since the list, PEM.")),
    Row::new(Verb::Read, "crl/rotate", Call::RotateLists, "", "Make every revocation list anew."),
    Row::new(Verb::Read, "crl/rotate-delta", Call::RotateDeltas, "", "Make every delta list anew."),
    open(Row::new(Verb::Read, "ocsp/{request..}", Call::Ocsp, "", "Ask whether certificates are revoked (RFC 6960, A.1).")),
    open(Row::new(Verb::Read, "unified-ocsp/{request..}", Call::Ocsp, "", "Ask whether certificates are revoked (RFC 6960, A.1).")),
    open(Row::new(Verb::Write, "ocsp", Call::Ocsp, "request", "Ask whether certificates are revoked (RFC 6960, A.1).")),
    open(Row::new(Verb::Write, "unified-ocsp", Call::Ocsp, "request", "Ask whether certificates are revoked (RFC 6960, A.1).")),
    Row::new(Verb::Read, "config/urls", Call::ReadUrls, "", "Read the URLs that certificates name."),
    Row::new(Verb::Write, "config/urls", Call::WriteUrls, URLS, "Set the URLs that certificates name."),
    Row::new(Verb::Read, "config/cluster", Call::ReadCluster, "", "Read under which address clients reach this mount."),
    Row::new(Verb::Write, "config/cluster", Call::WriteCluster, "path aia_path", "Set under which address clients reach this mount."),
    Row::new(Verb::Read, "config/crl", Call::ReadLists, "", "Read how revocation lists are made."),
    Row::new(Verb::Write, "config/crl", Call::WriteLists, LISTS, "Set how revocation lists are made."),
    Row::new(Verb::Read, "expiring", Call::Expiring, "within limit", "What ends soon: issuers and stored certificates, the soonest first."),
    Row::new(Verb::Write, "tidy", Call::Tidy, TIDY, "Delete certificates that ended long ago."),
    Row::new(Verb::Read, "tidy-status", Call::TidyStatus, "", "How the last tidy goes or went."),
    Row::new(Verb::Write, "tidy-cancel", Call::TidyCancel, "", "Stop the tidy that is under way."),
    Row::new(Verb::Read, "config/auto-tidy", Call::ReadAutoTidy, "", "Read what is tidied at intervals."),
    Row::new(Verb::Write, "config/auto-tidy", Call::WriteAutoTidy, TIDY, "Set what is tidied at intervals."),
];
