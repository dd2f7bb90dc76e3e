#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::*;
use crate::wire::Malformed;
use crate::{KeyKind, PrivateKey};

fn key(kind: KeyKind) -> PrivateKey {
    PrivateKey::generate(kind, &vault_crypto::System).unwrap()
}

fn binding(host: &PrivateKey, session: &[u8], forwarding: bool) -> Binding {
    Binding {
        host_key: host.public().blob(),
        session: session.to_vec(),
        signature: host.sign(session).unwrap(),
        forwarding,
    }
}

fn login(key: &PrivateKey, session: &[u8], host: Option<&PrivateKey>) -> Userauth {
    let algorithm = match key.public().algorithm() {
        "ssh-rsa" => "rsa-sha2-512",
        other => other,
    };
    Userauth {
        session: session.to_vec(),
        user: "git".to_owned(),
        algorithm: algorithm.to_owned(),
        key: key.public().blob(),
        host_key: host.map(|host| host.public().blob()),
    }
}

fn wish(userauth: &Userauth, flags: u32) -> SignRequest {
    SignRequest {
        key: userauth.key.clone(),
        data: userauth.to_bytes(),
        flags,
    }
}

const SESSION: &[u8] = &[7; 32];
const OTHER: &[u8] = &[8; 32];

#[test]
fn only_a_login_of_the_bound_session_and_host_is_signed() {
    let (user, host, other) = (
        key(KeyKind::Ed25519),
        key(KeyKind::P256),
        key(KeyKind::Ed25519),
    );
    let mut connection = Connection::default();
    connection.bind(&binding(&host, SESSION, false)).unwrap();
    assert_eq!(connection.host().unwrap().key, *host.public());

    for good in [
        login(&user, SESSION, Some(&host)),
        login(&user, SESSION, None),
    ] {
        assert!(connection.login(&wish(&good, 0)).is_ok());
    }
    for bad in [
        login(&user, OTHER, Some(&host)),
        login(&user, SESSION, Some(&other)),
    ] {
        assert!(connection.login(&wish(&bad, 0)).is_err());
    }
    let mut of_another_key = wish(&login(&user, SESSION, None), 0);
    of_another_key.key = other.public().blob();
    assert!(connection.login(&of_another_key).is_err());
    for data in [b"SSHSIG\0\0\0\x03git".to_vec(), Vec::new(), vec![0; 200]] {
        let key = user.public().blob();
        let wish = SignRequest {
            key,
            data,
            flags: 0,
        };
        assert!(connection.login(&wish).is_err());
    }
}

#[test]
fn a_connection_that_is_bound_falsely_twice_or_for_forwarding_signs_nothing() {
    let (user, host, other) = (
        key(KeyKind::Ed25519),
        key(KeyKind::Ed25519),
        key(KeyKind::Ed25519),
    );
    let mut forged = binding(&host, SESSION, false);
    forged.signature = other.sign(SESSION).unwrap();
    let mut of_another_session = binding(&host, SESSION, false);
    of_another_session.session = OTHER.to_vec();
    let forwarded = binding(&host, SESSION, true);
    for bad in [forged, of_another_session, forwarded] {
        let mut connection = Connection::default();
        assert!(connection.bind(&bad).is_err());
        assert!(connection.is_spoiled());
        // A good one comes too late.
        assert!(connection.bind(&binding(&host, SESSION, false)).is_err());
        let login = wish(&login(&user, SESSION, None), 0);
        assert!(connection.login(&login).is_err());
    }
    let mut connection = Connection::default();
    connection.bind(&binding(&host, SESSION, false)).unwrap();
    assert!(connection.bind(&binding(&other, OTHER, false)).is_err());
    assert!(
        connection
            .login(&wish(&login(&user, SESSION, None), 0))
            .is_err()
    );
}

#[test]
fn rsa_signs_with_the_hash_that_the_login_names_and_never_with_sha1() {
    let rsa = key(KeyKind::Rsa2048);
    let connection = Connection::default();
    for (algorithm, flags, good) in [
        ("rsa-sha2-512", RSA_SHA2_512, true),
        ("rsa-sha2-256", RSA_SHA2_256, true),
        ("rsa-sha2-512", RSA_SHA2_256, false),
        ("rsa-sha2-256", 0, false),
        ("ssh-rsa", 0, false),
        ("ssh-ed25519", 0, false),
    ] {
        let mut login = login(&rsa, SESSION, None);
        login.algorithm = algorithm.to_owned();
        assert_eq!(
            connection.login(&wish(&login, flags)).is_ok(),
            good,
            "{algorithm} {flags}"
        );
    }
}

#[test]
fn any_cut_of_a_message_is_refused() {
    let host = key(KeyKind::Ed25519);
    let requests = [
        Request::Sign(wish(&login(&host, SESSION, Some(&host)), 0)),
        Request::Bind(binding(&host, SESSION, false)),
    ];
    for request in requests {
        let bytes = request.to_bytes();
        for end in 0..bytes.len() {
            assert_eq!(
                Request::parse(&bytes[..end]),
                Err(Malformed),
                "cut at {end}"
            );
        }
        assert_eq!(Request::parse(&[&bytes[..], &[0]].concat()), Err(Malformed));
    }
    let answer = Answer::Identities(vec![Identity {
        key: host.public().blob(),
        comment: "é".to_owned(),
    }]);
    let bytes = answer.to_bytes();
    for end in 0..bytes.len() {
        assert_eq!(Answer::parse(&bytes[..end]), Err(Malformed));
    }
    let many = [IDENTITIES_ANSWER, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(Answer::parse(&many), Err(Malformed));
    let login = login(&host, SESSION, Some(&host)).to_bytes();
    for end in 0..login.len() {
        assert_eq!(Userauth::parse(&login[..end]), Err(Malformed));
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..80)
}

fn requests() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::Identities),
        Just(Request::Query),
        (bytes(), bytes(), any::<u32>())
            .prop_map(|(key, data, flags)| Request::Sign(SignRequest { key, data, flags })),
        (bytes(), bytes(), bytes(), any::<bool>()).prop_map(
            |(host_key, session, signature, forwarding)| Request::Bind(Binding {
                host_key,
                session,
                signature,
                forwarding
            })
        ),
        ("[a-z]{1,9}@x", bytes()).prop_map(|(name, rest)| Request::Extension(name, rest)),
        (
            any::<u8>().prop_filter("known", |n| ![11, 13, 27].contains(n)),
            bytes()
        )
            .prop_map(|(number, rest)| Request::Other(number, rest)),
    ]
}

fn answers() -> impl Strategy<Value = Answer> {
    let identity = (bytes(), ".{0,20}").prop_map(|(key, comment)| Identity { key, comment });
    prop_oneof![
        Just(Answer::Success),
        Just(Answer::Failure),
        Just(Answer::ExtensionFailure),
        bytes().prop_map(Answer::Signature),
        prop::collection::vec(identity, 0..4).prop_map(Answer::Identities),
        prop::collection::vec(".{0,20}", 0..4).prop_map(Answer::Extensions),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_the_same(request in requests(), answer in answers()) {
        prop_assert_eq!(Request::parse(&request.to_bytes()), Ok(request));
        prop_assert_eq!(Answer::parse(&answer.to_bytes()), Ok(answer));
    }

    #[test]
    fn what_is_read_is_written_the_same(garbage in bytes(), number in 0u8..32) {
        for bytes in [garbage.clone(), [&[number][..], &garbage].concat()] {
            if let Ok(request) = Request::parse(&bytes) {
                prop_assert_eq!(request.to_bytes(), bytes.clone());
            }
            if let Ok(answer) = Answer::parse(&bytes) {
                prop_assert_eq!(answer.to_bytes(), bytes.clone());
            }
            if let Ok(login) = Userauth::parse(&bytes) {
                prop_assert_eq!(login.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn a_changed_login_is_refused_or_read_as_it_is(at in any::<prop::sample::Index>(), bit in 0u32..8) {
        let seed = PrivateKey::generate(KeyKind::Ed25519, &vault_crypto::System).unwrap();
        let mut data = login(&seed, SESSION, Some(&seed)).to_bytes();
        let at = at.index(data.len());
        data[at] ^= 1 << bit;
        if let Ok(read) = Userauth::parse(&data) {
            prop_assert_eq!(read.to_bytes(), data);
        }
    }
}

#[cfg(feature = "socket")]
mod socket {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;

    async fn ask(stream: &mut UnixStream, request: &Request) -> Answer {
        let mut framed = Vec::new();
        push_string(&mut framed, &request.to_bytes());
        stream.write_all(&framed).await.unwrap();
        let mut answer = vec![0; stream.read_u32().await.unwrap() as usize];
        stream.read_exact(&mut answer).await.unwrap();
        Answer::parse(&answer).unwrap()
    }

    fn identities(answer: Answer) -> usize {
        match answer {
            Answer::Identities(found) => found.len(),
            other => panic!("{other:?}"),
        }
    }

    fn private_folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
        folder
    }

    #[tokio::test]
    async fn one_key_is_offered_to_its_hosts_and_signs_for_them_alone() {
        let (user, host, stranger) = (
            key(KeyKind::Ed25519),
            key(KeyKind::Ed25519),
            key(KeyKind::Ed25519),
        );
        let folder = private_folder();
        let path = folder.path().join("agent");
        let socket = Socket::bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(Socket::bind(&path).is_err());
        let public = user.public().clone();
        let sign = |host| Request::Sign(wish(&login(&user, SESSION, host), 0));
        let good = sign(Some(&host));
        let unbound = sign(None);
        let elsewhere = sign(Some(&stranger));
        let text = user.to_openssh("", &vault_crypto::System).unwrap();
        let held = PrivateKey::parse(&text).unwrap();
        let keys = Arc::new(OneKey::new(held, "one", vec![host.public().clone()]));
        let serving = {
            let keys = keys.clone();
            tokio::spawn(async move { socket.serve(keys).await })
        };

        let mut stream = UnixStream::connect(&path).await.unwrap();
        assert_eq!(
            ask(&mut stream, &Request::Query).await,
            Answer::known_extensions()
        );
        let found = ask(&mut stream, &Request::Identities).await;
        assert_eq!(identities(found), 1);
        assert_eq!(ask(&mut stream, &unbound).await, Answer::Failure);
        let bind = Request::Bind(binding(&host, SESSION, false));
        assert_eq!(ask(&mut stream, &bind).await, Answer::Success);
        let Answer::Signature(signature) = ask(&mut stream, &good).await else {
            panic!("no signature");
        };
        let Request::Sign(wish) = &good else { panic!() };
        public.verify(&wish.data, &signature).unwrap();
        assert_eq!(keys.signed(), 1);
        // Adding a key, removing all, locking.
        for number in [17, 19, 22] {
            let other = Request::Other(number, Vec::new());
            assert_eq!(ask(&mut stream, &other).await, Answer::Failure);
        }

        let mut stream = UnixStream::connect(&path).await.unwrap();
        let bind = Request::Bind(binding(&stranger, SESSION, false));
        assert_eq!(ask(&mut stream, &bind).await, Answer::Success);
        let found = ask(&mut stream, &Request::Identities).await;
        assert_eq!(identities(found), 0);
        assert_eq!(ask(&mut stream, &elsewhere).await, Answer::Failure);
        assert_eq!(keys.signed(), 1);

        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(&[0xff; 4]).await.unwrap();
        assert!(stream.read_u32().await.is_err());
        serving.abort();
        let _ = serving.await;
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_folder_that_others_may_enter_holds_no_socket() {
        let folder = private_folder();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o750)).unwrap();
        assert!(Socket::bind(&folder.path().join("agent")).is_err());
    }
}
