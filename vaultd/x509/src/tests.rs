//! What is written, read by OpenSSL (the tests need `openssl`), and what OpenSSL writes.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use vault_crypto::{KeyKind, PrivateKey, Seeded, pem};

use crate::ocsp::{self, Questions, Status};
use crate::*;

#[expect(clippy::disallowed_methods, reason = "openssl looks at the clock too")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn openssl(dir: &Path, args: &str) -> String {
    let output = Command::new("openssl")
        .args(args.split(' '))
        .current_dir(dir)
        .output()
        .unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "openssl {args}: {text}");
    text
}

struct Authority {
    key: PrivateKey,
    public: PublicKey,
    name: Name,
    pss: bool,
}

impl Authority {
    fn new(kind: KeyKind, pss: bool) -> Authority {
        let key = PrivateKey::generate(kind, &Seeded::new(1)).unwrap();
        let public = PublicKey::from_der(&key.public_der().unwrap()).unwrap();
        let name = Name::new(&[
            (Attribute::Country, vec!["NL".to_owned()]),
            (
                Attribute::Organization,
                vec!["Zürich & Söhne".to_owned(), "B".to_owned()],
            ),
            (Attribute::CommonName, vec!["root".to_owned()]),
        ]);
        Authority {
            key,
            public,
            name,
            pss,
        }
    }

    fn signer(&self) -> Signer<'_> {
        Signer::new(&self.key, Hash::Sha256, self.pss)
    }

    fn sign(
        &self,
        serial: u8,
        subject: &Name,
        key: &PublicKey,
        extensions: &Extensions,
    ) -> Vec<u8> {
        let now = now();
        let template = Template {
            serial: &[serial],
            issuer: &self.name,
            issuer_key_id: &self.public.id(),
            subject,
            key,
            not_before: now - SignedDuration::from_secs(60),
            not_after: now + SignedDuration::from_hours(24 * 365 * 40),
            extensions,
        };
        template.sign(&self.signer()).unwrap()
    }

    fn itself(&self) -> Vec<u8> {
        let extensions = Extensions {
            authority: Some(Some(crate::Authority {
                path_length: Some(1),
            })),
            key_usage: KeyUsage::AUTHORITY,
            constraints: NameConstraints {
                permitted: vec![
                    Subtree::Dns("example.com".to_owned()),
                    Subtree::Ip("10.0.0.0/8".parse().unwrap()),
                ],
                excluded: vec![Subtree::Dns("bad.example.com".to_owned())],
            },
            ..Extensions::default()
        };
        self.sign(1, &self.name, &self.public, &extensions)
    }
}

fn write(dir: &Path, file: &str, label: &str, der: &[u8]) {
    std::fs::write(dir.join(file), pem::write(label, der, 64).as_bytes()).unwrap();
}

const KINDS: [(KeyKind, bool); 6] = [
    (KeyKind::Ed25519, false),
    (KeyKind::P256, false),
    (KeyKind::P384, false),
    (KeyKind::P521, false),
    (KeyKind::Rsa2048, false),
    (KeyKind::Rsa2048, true),
];

fn leaf_extensions() -> Extensions {
    Extensions {
        authority: Some(None),
        key_usage: KeyUsage(0b10101),
        purposes: vec![Purpose::ServerAuth, Purpose::ClientAuth],
        more_purposes: vec![oid::parse("1.3.6.1.4.1.99999.1").unwrap()],
        names: vec![
            AltName::Dns("a.example.com".to_owned()),
            AltName::Ip("10.1.2.3".parse().unwrap()),
            AltName::Other(OtherName {
                oid: oid::parse("1.3.6.1.4.1.311.20.2.3").unwrap(),
                value: "ada@example.com".to_owned(),
            }),
        ],
        policies: vec![oid::parse("2.23.140.1.2.1").unwrap()],
        urls: Urls {
            issuers: vec!["http://ca.example.com/ca".to_owned()],
            lists: vec!["http://ca.example.com/crl".to_owned()],
            deltas: vec![],
            responders: vec!["http://ca.example.com/ocsp".to_owned()],
        },
        ..Extensions::default()
    }
}

#[test]
fn openssl_verifies_strictly_what_every_kind_of_key_signs() {
    for (kind, pss) in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let root = Authority::new(kind, pss);
        write(dir.path(), "root.pem", "CERTIFICATE", &root.itself());
        let key = PrivateKey::generate(KeyKind::P256, &Seeded::new(2)).unwrap();
        let key = PublicKey::from_der(&key.public_der().unwrap()).unwrap();
        let subject = Name::new(&[(Attribute::CommonName, vec!["a.example.com".to_owned()])]);
        let leaf = root.sign(7, &subject, &key, &leaf_extensions());
        write(dir.path(), "leaf.pem", "CERTIFICATE", &leaf);
        openssl(
            dir.path(),
            "verify -x509_strict -CAfile root.pem -verify_hostname a.example.com leaf.pem",
        );
        let text = openssl(dir.path(), "x509 -in leaf.pem -noout -text");
        for part in [
            "Digital Signature, Key Encipherment, Key Agreement",
            "TLS Web Server Authentication, TLS Web Client Authentication, 1.3.6.1.4.1.99999.1",
            "DNS:a.example.com, IP Address:10.1.2.3, othername: UPN::ada@example.com",
            "CA:FALSE",
            "OCSP - URI:http://ca.example.com/ocsp",
            "CA Issuers - URI:http://ca.example.com/ca",
            "URI:http://ca.example.com/crl",
            "Policy: 2.23.140.1.2.1",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let outside = Extensions {
            names: vec![AltName::Dns("bad.example.com".to_owned())],
            ..leaf_extensions()
        };
        let outside = root.sign(8, &Name::new(&[]), &key, &outside);
        write(dir.path(), "outside.pem", "CERTIFICATE", &outside);
        let refused = Command::new("openssl")
            .args([
                "verify",
                "-x509_strict",
                "-CAfile",
                "root.pem",
                "outside.pem",
            ])
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(!refused.status.success(), "an excluded name was accepted");
    }
}

#[test]
fn a_list_and_a_delta_are_what_openssl_reads() {
    for (kind, pss) in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let root = Authority::new(kind, pss);
        write(dir.path(), "root.pem", "CERTIFICATE", &root.itself());
        let now = now();
        let revoked = [
            Revoked {
                serial: vec![7],
                at: now,
                reason: Reason::KeyCompromise,
            },
            Revoked {
                serial: vec![0xff, 1],
                at: now,
                reason: Reason::Unspecified,
            },
        ];
        let list = Revocations {
            issuer: &root.name,
            issuer_key_id: &root.public.id(),
            number: 3,
            since: None,
            this_update: now,
            next_update: now + SignedDuration::from_hours(72),
            revoked: &revoked,
        };
        let der = list.sign(&root.signer()).unwrap();
        write(dir.path(), "list.pem", "X509 CRL", &der);
        let text = openssl(dir.path(), "crl -in list.pem -noout -text -CAfile root.pem");
        for part in [
            "verify OK",
            "Serial Number: 07",
            "Serial Number: FF01",
            "Key Compromise",
            "CRL Number",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let delta = Revocations {
            number: 4,
            since: Some(3),
            revoked: &[],
            ..list
        };
        let der = delta.sign(&root.signer()).unwrap();
        write(dir.path(), "delta.pem", "X509 CRL", &der);
        let text = openssl(
            dir.path(),
            "crl -in delta.pem -noout -text -CAfile root.pem",
        );
        assert!(
            text.contains("X509v3 Delta CRL Indicator: critical"),
            "{text}"
        );
    }
}

#[test]
fn openssl_takes_the_answers_to_what_it_asks() {
    for (hash, kind) in [("sha1", KeyKind::P256), ("sha256", KeyKind::Rsa2048)] {
        let dir = tempfile::tempdir().unwrap();
        let root = Authority::new(kind, false);
        write(dir.path(), "root.pem", "CERTIFICATE", &root.itself());
        let subject = Name::new(&[(Attribute::CommonName, vec!["leaf".to_owned()])]);
        for serial in [7, 8, 9] {
            let leaf = root.sign(serial, &subject, &root.public, &Extensions::default());
            write(dir.path(), &format!("{serial}.pem"), "CERTIFICATE", &leaf);
        }
        openssl(
            dir.path(),
            &format!(
                "ocsp -no_nonce -{hash} -issuer root.pem -cert 7.pem -cert 8.pem -cert 9.pem -reqout ask"
            ),
        );
        let questions =
            Questions::from_der(&std::fs::read(dir.path().join("ask")).unwrap()).unwrap();
        let now = now();
        assert!(
            questions
                .certificates
                .iter()
                .all(|id| id.is_of(&root.name, &root.public))
        );
        let statuses: Vec<Status> = questions
            .certificates
            .iter()
            .map(|id| match id.serial.as_slice() {
                [7] => Status::Good,
                [8] => Status::Revoked(Revoked {
                    serial: vec![8],
                    at: now,
                    reason: Reason::Superseded,
                }),
                _ => Status::Unknown,
            })
            .collect();
        let next = Some(now + SignedDuration::from_hours(1));
        let answer = ocsp::answer(
            &questions,
            &statuses,
            &root.public,
            now,
            next,
            &root.signer(),
        )
        .unwrap();
        std::fs::write(dir.path().join("answer"), answer).unwrap();
        let text = openssl(
            dir.path(),
            &format!(
                "ocsp -no_nonce -{hash} -issuer root.pem -cert 7.pem -cert 8.pem -cert 9.pem -reqin ask -respin answer -CAfile root.pem"
            ),
        );
        for part in [
            "Response verify OK",
            "7.pem: good",
            "8.pem: revoked",
            "9.pem: unknown",
            "superseded",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}

#[test]
fn a_nonce_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let root = Authority::new(KeyKind::P256, false);
    write(dir.path(), "root.pem", "CERTIFICATE", &root.itself());
    openssl(dir.path(), "ocsp -issuer root.pem -serial 7 -reqout ask");
    let ask = std::fs::read(dir.path().join("ask")).unwrap();
    let questions = Questions::from_der(&ask).unwrap();
    let now = now();
    let answer = ocsp::answer(
        &questions,
        &[Status::Good],
        &root.public,
        now,
        None,
        &root.signer(),
    );
    std::fs::write(dir.path().join("answer"), answer.unwrap()).unwrap();
    let asked = openssl(dir.path(), "ocsp -reqin ask -req_text");
    let nonce = asked.lines().last().unwrap().trim();
    let answered = openssl(dir.path(), "ocsp -respin answer -resp_text -noverify");
    assert!(
        nonce.starts_with("04") && answered.contains(nonce),
        "{asked} {answered}"
    );
}

#[test]
fn requests_of_openssl_are_read() {
    let dir = tempfile::tempdir().unwrap();
    for key in ["rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-384", "ed25519"] {
        openssl(
            dir.path(),
            &format!(
                "req -new -nodes -newkey {key} -keyout key.pem -out csr.pem -subj /O=Acme/CN=a.example.com -addext subjectAltName=DNS:b.example.com,IP:::1,email:a@b.c,URI:spiffe://x/y -addext basicConstraints=CA:TRUE"
            ),
        );
        let text = std::fs::read_to_string(dir.path().join("csr.pem")).unwrap();
        let request = Request::from_pem(&text).unwrap();
        assert_eq!(request.common_name.as_deref(), Some("a.example.com"));
        assert_eq!(
            request.names,
            [
                AltName::Dns("b.example.com".to_owned()),
                AltName::Ip("::1".parse().unwrap()),
                AltName::Email("a@b.c".to_owned()),
                AltName::Uri("spiffe://x/y".to_owned()),
            ]
        );
        assert!(request.authority && request.extensions.len() == 1);
        // Every bit of it counts.
        let (_, der) = pem::read(&text).unwrap();
        for at in (0..der.len()).step_by(7) {
            let mut changed = der.to_vec();
            changed[at] ^= 1;
            assert!(Request::from_der(&changed).is_err(), "byte {at}");
        }
    }
}

#[test]
fn requests_are_written_as_openssl_reads_them() {
    for (kind, pss) in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let own = Authority::new(kind, pss);
        let der = write_request(&own.name, &own.public, &leaf_extensions(), &own.signer()).unwrap();
        write(dir.path(), "csr.pem", "CERTIFICATE REQUEST", &der);
        let text = openssl(dir.path(), "req -in csr.pem -noout -verify -text");
        assert!(
            text.contains("DNS:a.example.com") && text.contains("verify OK"),
            "{text}"
        );
        let request = Request::from_der(&der).unwrap();
        assert_eq!(request.subject, own.name);
        assert_eq!(request.names, leaf_extensions().names);
        let plain = write_request(
            &own.name,
            &own.public,
            &Extensions::default(),
            &own.signer(),
        );
        assert!(Request::from_der(&plain.unwrap()).unwrap().names.is_empty());
    }
}

#[test]
fn names_of_usages_and_kinds_are_known_in_any_case() {
    assert_eq!(KeyUsage::named("digitalsignature"), Some(KeyUsage(1)));
    assert_eq!(KeyUsage::named("KeyUsageCertSign"), Some(KeyUsage(32)));
    assert_eq!(KeyUsage::named("everything"), None);
    assert_eq!(Purpose::named("ServerAuth"), Some(Purpose::ServerAuth));
    assert_eq!(
        Purpose::named("ExtKeyUsageOCSPSigning"),
        Some(Purpose::OcspSigning)
    );
    for odd in [
        "",
        "1",
        "3.1",
        "1.40",
        "1.2.",
        "1.2.x",
        "+1.2",
        "1.2.99999999999999999999",
    ] {
        assert!(oid::parse(odd).is_none(), "{odd}");
    }
}

proptest! {
    #[test]
    fn garbage_is_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Request::from_der(&bytes).is_err());
        prop_assert!(Questions::from_der(&bytes).is_err());
        prop_assert!(PublicKey::from_der(&bytes).is_err());
        prop_assert!(Name::from_der(&bytes).is_err() || bytes.first() == Some(&0x30));
    }
}

/// Found by `tests/fuzz`: the library adds up the lengths of what it skips.
#[test]
fn a_length_that_wraps_around_is_refused() {
    let found = "-----BEGIN X-----
MHoweDBRME8wiP//////////XiFhuy/kEm0Dnl6Oh2D6oi7g6gQElimXpQgASS0nviFhuy/ks1yD7ugQAH7Qwk8CFAXRMJnu
FGQPmQmh7PZTQOVNlPR3oiMwITAfBoj//////////14hYbsv5LNcg44SBBA+c9/Um88INLY=
-----END X-----
";
    let (_, der) = pem::read(found).unwrap();
    assert!(Questions::from_der(&der).is_err());
    for bytes in [
        &[0x30, 0x80, 0, 0][..],
        &[0x30, 0x85, 0, 0, 0, 0, 0],
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0],
        &[0x30, 2, 0x30, 1],
        &[0x1f, 0x81, 1, 0],
        &[0x30],
    ] {
        assert!(!crate::der::is_sound(bytes), "{bytes:?}");
    }
    let deep = (0..40).fold(Vec::new(), |inner: Vec<u8>, _| {
        let length = u8::try_from(inner.len()).unwrap();
        [&[0x30, length], inner.as_slice()].concat()
    });
    assert!(!crate::der::is_sound(&deep));
    assert!(crate::der::is_sound(&[0x30, 5, 0x30, 0, 4, 1, 0x30]));
}

#[test]
fn constraints_hold_for_names_as_verifiers_read_them() {
    let of = |permitted: &[Subtree], excluded: &[Subtree]| NameConstraints {
        permitted: permitted.to_vec(),
        excluded: excluded.to_vec(),
    };
    let dns = |text: &str| AltName::Dns(text.to_owned());
    let below = of(&[Subtree::Dns("example.com".to_owned())], &[]);
    for name in [
        "example.com",
        "EXAMPLE.com",
        "a.example.com",
        "a.b.example.com",
        "*.example.com",
    ] {
        assert!(below.allow(&dns(name)), "{name}");
    }
    for name in [
        "evil.org",
        "badexample.com",
        "example.com.evil.org",
        "com",
        "*.com",
        "",
    ] {
        assert!(!below.allow(&dns(name)), "{name}");
    }
    // Of other kinds it says nothing.
    assert!(below.allow(&AltName::Email("a@evil.org".to_owned())));
    let without = of(&[], &[Subtree::Dns("secret.example.com".to_owned())]);
    assert!(without.allow(&dns("a.example.com")) && without.allow(&dns("*.a.example.com")));
    for name in [
        "secret.example.com",
        "a.secret.example.com",
        "*.secret.example.com",
        "*.example.com",
    ] {
        assert!(!without.allow(&dns(name)), "{name}");
    }
    let nets = of(&[Subtree::Ip("10.0.0.0/8".parse().unwrap())], &[]);
    assert!(nets.allow(&AltName::Ip("10.1.2.3".parse().unwrap())));
    assert!(!nets.allow(&AltName::Ip("11.1.2.3".parse().unwrap())));
    assert!(!nets.allow(&AltName::Ip("::1".parse().unwrap())));
    let mail = of(
        &[
            Subtree::Email("example.com".to_owned()),
            Subtree::Email(".in.org".to_owned()),
        ],
        &[],
    );
    let email = |text: &str| AltName::Email(text.to_owned());
    assert!(mail.allow(&email("a@example.com")) && mail.allow(&email("a@x.in.org")));
    assert!(!mail.allow(&email("a@x.example.com")) && !mail.allow(&email("a@in.org")));
    let uris = of(&[Subtree::Uri("example.com".to_owned())], &[]);
    let uri = |text: &str| AltName::Uri(text.to_owned());
    assert!(
        uris.allow(&uri("spiffe://example.com/x")) && uris.allow(&uri("https://u@example.com:1/"))
    );
    for text in [
        "https://evil.org/example.com",
        "urn:a",
        "https://10.0.0.1/",
        "https://x.example.com",
    ] {
        assert!(!uris.allow(&uri(text)), "{text}");
    }
}
