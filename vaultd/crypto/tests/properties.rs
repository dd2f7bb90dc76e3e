//! Properties that hold for every input, on random inputs.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use proptest::prelude::*;
use vault_crypto::*;

/// Cheap enough to run often.
fn cheap() -> Cost {
    Cost::parse(8, 1, 1).unwrap()
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..max)
}

/// `k` of `n` and an order in which to hand the shares in.
fn set() -> impl Strategy<Value = (u8, u8, Vec<usize>)> {
    (2u8..12)
        .prop_flat_map(|n| (2..=n, Just(n)))
        .prop_flat_map(|(k, n)| {
            let order = Just((0..usize::from(n)).collect::<Vec<_>>()).prop_shuffle();
            (Just(k), Just(n), order)
        })
}

proptest! {
    #[test]
    fn records_have_the_bytes_of_the_second_implementation(
        raw in any::<[u8; 32]>(),
        seed in any::<u64>(),
        aad in bytes(100),
        plain in bytes(1500),
    ) {
        let key = RecordKey::new(Key::from_boxed(raw));
        let mut sealed = Vec::new();
        key.seal_into(&Seeded::new(seed), &aad, &plain, &mut sealed);
        prop_assert_eq!(sealed.len(), plain.len() + OVERHEAD);
        let nonce: [u8; 24] = sealed[16..40].try_into().unwrap();
        let other = XChaCha20Poly1305::new_from_slice(&raw).unwrap();
        let other = other.encrypt(&nonce.into(), Payload { msg: &plain, aad: &aad }).unwrap();
        prop_assert_eq!(&sealed[40..], &other);
        let opened = key.open(&aad, &sealed)?;
        prop_assert_eq!(opened.as_slice(), plain);
    }

    #[test]
    fn rubbish_opens_nothing_and_does_not_panic(rubbish in bytes(200)) {
        prop_assert!(RecordKey::new(Key::from_boxed([1; 32])).open(b"", &rubbish).is_err());
        prop_assert!(NameKey::new(Key::from_boxed([1; 64])).open(b"", &rubbish).is_err());
        prop_assert!(Wrapped::from_bytes(&rubbish).is_err());
        prop_assert!(PasswordHash::from_bytes(&rubbish).is_err());
        prop_assert!(!matches!(Share::parse(&rubbish), Ok(AnyShare::Tagged(_))));
        let _ = PublicKey::from_bytes(&rubbish);
        let _ = checksum_ok(&String::from_utf8_lossy(&rubbish));
    }

    #[test]
    fn any_k_of_n_give_the_secret_and_fewer_are_refused(
        secret in any::<[u8; 32]>(),
        seed in any::<u64>(),
        (k, n, order) in set(),
    ) {
        let (_, shares) = split(&secret, k, n, &Seeded::new(seed)).unwrap();
        let mut shares: Vec<_> = shares.into_iter().map(Some).collect();
        let mut chosen = Vec::new();
        for &i in order.iter().take(k.into()) {
            let (have, need) = (chosen.len(), usize::from(k));
            let refused = combine(&chosen).map(|_| ());
            let need = if have == 0 { 1 } else { need };
            prop_assert_eq!(refused, Err(ShareError::TooFew { have, need }));
            let bytes = shares[i].take().unwrap().to_bytes();
            let AnyShare::Tagged(share) = Share::parse(&bytes)? else { unreachable!() };
            chosen.push(share);
        }
        let combined = combine(&chosen)?;
        prop_assert_eq!(combined.expose(), secret.as_slice());
    }

    #[test]
    fn plain_shares_need_k_as_well(
        secret in any::<[u8; 32]>(),
        seed in any::<u64>(),
        (k, n, order) in set(),
    ) {
        let mut shares = split_plain(&secret, k, n, &Seeded::new(seed)).unwrap();
        let place = |share: &PlainShare| {
            order.iter().position(|&i| i + 1 == usize::from(share.index()))
        };
        shares.sort_by_key(place);
        let enough = combine_plain(&shares[..k.into()])?;
        prop_assert_eq!(enough.expose(), secret.as_slice());
        let few = combine_plain(&shares[..usize::from(k) - 1])?;
        prop_assert_ne!(few.expose(), secret.as_slice());
    }

    #[test]
    fn every_flipped_bit_of_a_share_is_noticed(seed in any::<u64>(), bit in 0usize..59 * 8) {
        let (_, shares) = split(&[7; 32], 2, 3, &Seeded::new(seed)).unwrap();
        let mut bytes = shares[1].to_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Share::parse(&bytes).is_err());
    }

    #[test]
    fn a_wrapped_secret_comes_back_through_its_bytes(
        phrase in bytes(40),
        context in bytes(40),
        secret in bytes(100),
        seed in any::<u64>(),
    ) {
        let wrapped = wrap(&phrase, &context, &secret, cheap(), &Seeded::new(seed))?;
        let wrapped = Wrapped::from_bytes(&wrapped.to_bytes())?;
        let opened = unwrap_secret(&wrapped, &phrase, &context)?;
        prop_assert_eq!(opened.as_slice(), secret);
        let other = [phrase.as_slice(), b"x"].concat();
        let refused = unwrap_secret(&wrapped, &other, &context).map(|_| ());
        prop_assert_eq!(refused, Err(OpenError::WrongKey));
    }

    #[test]
    fn only_the_right_password_is_accepted(right in bytes(30), wrong in bytes(30)) {
        let hash = hash_password(&right, cheap(), &Seeded::new(3))?;
        let hash = PasswordHash::from_bytes(&hash.to_bytes())?;
        prop_assert!(verify_password(Some(&hash), &right)?);
        prop_assert_eq!(verify_password(Some(&hash), &wrong)?, right == wrong);
    }

    #[test]
    fn only_the_signed_message_verifies(
        seed in any::<[u8; 32]>(),
        message in bytes(100),
        other in bytes(100),
        bit in 0usize..512,
    ) {
        let key = SigningKey::from_seed(&Key::from_boxed(seed));
        let mut signature = key.sign(&message);
        prop_assert!(key.public().verify(&message, &signature).is_ok());
        let verified = key.public().verify(&other, &signature).is_ok();
        prop_assert_eq!(verified, message == other);
        signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(key.public().verify(&message, &signature).is_err());
    }
}

#[test]
fn an_unknown_user_is_refused_whatever_the_password() {
    assert_eq!(verify_password(None, b""), Ok(false));
    assert_eq!(verify_password(None, b"password"), Ok(false));
}

#[test]
fn a_password_hash_is_parsed_exactly() {
    let good = hash_password(b"p", cheap(), &Seeded::new(1))
        .unwrap()
        .to_bytes();
    assert_eq!(good.len(), 55);
    assert!(PasswordHash::from_bytes(&good).is_ok());
    assert!(PasswordHash::from_bytes(&good[..54]).is_err());
    assert!(PasswordHash::from_bytes(&[&good[..], b"\0"].concat()).is_err());
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        PasswordHash::from_bytes(&bytes).is_ok()
    };
    assert!(!with(0, 2), "version 2");
    assert!(!with(1, 0xff), "memory over 1 GiB");
    assert!(!with(5, 17), "17 passes");
    assert!(!with(6, 5), "5 lanes");
}

#[test]
fn thresholds_that_vault_refuses_are_refused() {
    for (need, shares) in [
        (0, 0),
        (0, 1),
        (1, 2),
        (4, 3),
        (2, 1),
        (2, 256),
        (256, 256),
        (257, 2),
    ] {
        let refused = Threshold::parse(need, shares);
        assert_eq!(refused, Err(ShareError::BadThreshold), "{need} of {shares}");
    }
    for (need, shares) in [(1, 1), (2, 2), (3, 5), (255, 255)] {
        let threshold = Threshold::parse(need, shares).unwrap();
        assert_eq!(
            (u64::from(threshold.need()), u64::from(threshold.shares())),
            (need, shares)
        );
    }
}

#[test]
fn all_255_shares_are_needed_when_all_are_asked_for() {
    let secret = [42; 16];
    let (_, mut shares) = split(&secret, 255, 255, &Seeded::new(1)).unwrap();
    assert_eq!(combine(&shares).unwrap().expose(), secret);
    shares.pop();
    let refused = combine(&shares).map(|_| ());
    assert_eq!(
        refused,
        Err(ShareError::TooFew {
            have: 254,
            need: 255
        })
    );
}

#[test]
fn a_secret_of_another_length_is_not_split() {
    for length in [0, 1, 15, 17, 31, 33] {
        let refused = split(&vec![1; length], 2, 3, &Seeded::new(1)).map(|_| ());
        assert_eq!(refused, Err(ShareError::LengthMismatch), "{length}");
    }
}

#[test]
fn errors_and_shares_name_the_share_and_show_no_bytes() {
    let (_, shares) = split(&[0xAB; 32], 2, 3, &Seeded::new(1)).unwrap();
    let shown = format!("{:?}", shares[1]);
    assert!(
        shown.starts_with("Share(2 of ") && shown.len() < 40,
        "{shown}"
    );
    let error = ShareError::WrongSet { index: 2 };
    assert_eq!(error.to_string(), "share 2 belongs to another set");
}
