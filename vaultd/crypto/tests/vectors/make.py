#!/usr/bin/env python3
"""Makes the vectors next to it, from published values and from a second
implementation of each format (this file, hashlib, and `cryptography`).

Run it in this directory; the result does not change from run to run. Published
vectors are asserted while generating. A case has either `ok`, the expected
output, or `error`, the exact fault; the name of a failing case is its defect.
"""
import hashlib, hmac, json, struct
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESSIV, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

H = bytes.fromhex


def rand(tag, n):
    return hashlib.shake_256(tag.encode()).digest(n)


def be32(n):
    return struct.pack(">I", n)


def parts(*fields):
    return b"".join(be32(len(f)) + f for f in fields)


def flip(b, i):
    i %= len(b)
    return b[:i] + bytes([b[i] ^ 1]) + b[i + 1:]


def save(name, cases):
    names = [c["name"] for c in cases]
    assert len(set(names)) == len(names), name
    enc = lambda v: v.hex() if isinstance(v, bytes) else v
    with open(name + ".json", "w") as f:
        json.dump(cases, f, indent=1, default=enc)
        f.write("\n")
    print(name, sum("ok" in c for c in cases), "pass,", sum("error" in c for c in cases), "fail")


# --- HKDF (RFC 5869) -----------------------------------------------------
def hkdf(ikm, salt, info, n):
    prk = hmac.digest(salt or bytes(32), ikm, "sha256")
    out, t, i = b"", b"", 1
    while len(out) < n:
        t = hmac.digest(prk, t + info + bytes([i]), "sha256")
        out, i = out + t, i + 1
    return out[:n]


def derive(ikm, salt, label, *info, n=32):
    return hkdf(ikm, salt, parts(b"vaultd/v1/" + label.encode(), *info), n)


LABELS = ("Records records,Commit commit,Names names,Directory directory,RowPrf row-prf,"
          "Token token,Audit audit,AuditSign audit-sign,Wrapping wrapping,Presence presence,"
          "ShareWrap share-wrap,RootWrap root-wrap,KeyringWrap keyring-wrap,Lease lease,"
          "Approle approle,Batch batch")


def make_kdf():
    cases = []
    for pair in LABELS.split(","):
        label, text = pair.split()
        for info in ([], [b"mount", b""]):
            ikm, salt = rand(label, 32), b"" if not info else rand("salt", 16)
            cases.append(dict(name=f"{label} with {len(info)} parts of info", label=label, ikm=ikm,
                              salt=salt, info=info, ok=derive(ikm, salt, text, *info)))
    save("kdf", cases)


# --- HMAC (RFC 4231) -----------------------------------------------------
def make_prf():
    published = [
        ("case 1", b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        ("case 2", b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ("case 3", b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        ("case 4", bytes(range(1, 26)), b"\xcd" * 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
        ("case 6", b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First", "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
        ("case 7", b"\xaa" * 131, b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.", "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
    ]
    cases = []
    for name, key, message, tag in published:
        assert hmac.digest(key, message, "sha256").hex() == tag
        # HMAC pads a short key with zeros and hashes one over 64 bytes, so
        # these 32 bytes are the same key.
        key = hashlib.sha256(key).digest() if len(key) > 64 else key.ljust(32, b"\0")
        cases.append(dict(name="RFC 4231 " + name, key=key, message=message, ok=H(tag)))
    save("prf", cases)


# --- XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) -------------------------
def hchacha(key, nonce16):
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce16))
    rot = lambda v, n: (v << n | v >> 32 - n) & 0xFFFFFFFF

    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            s[z] = rot(s[z] ^ s[x], n)

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<8I", *s[:4], *s[12:])


def message_key(key, nonce):
    return hchacha(key, nonce[:16]), bytes(4) + nonce[16:]


def xchacha(key, nonce, aad, plain):
    subkey, n = message_key(key, nonce)
    return ChaCha20Poly1305(subkey).encrypt(n, plain, aad)


def opens(key, nonce, aad, sealed):
    subkey, n = message_key(key, nonce)
    try:
        return ChaCha20Poly1305(subkey).decrypt(n, sealed, aad)
    except InvalidTag:
        return None


def commit(key):
    return derive(key, b"", "commit", n=16)


def seal(key, nonce, aad, plain):
    return commit(key) + nonce + xchacha(key, nonce, aad, plain)


def two_key_blob(a, b):
    """A nonce, one block and a tag that XChaCha20-Poly1305 opens under a and b."""
    p = 2**130 - 5
    length = int.from_bytes(struct.pack("<QQ", 0, 16), "little") + 2**128
    for i in range(10000):
        nonce = rand(f"two keys {i}", 24)
        rs = []
        for key in (a, b):
            subkey, n = message_key(key, nonce)
            otk = Cipher(algorithms.ChaCha20(subkey, bytes(4) + n), None).encryptor().update(bytes(32))
            r = int.from_bytes(otk[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
            rs.append((r, int.from_bytes(otk[16:], "little")))
        (r1, s1), (r2, s2) = rs
        x = (s2 - s1 + length * (r2 - r1)) * pow(r1 * r1 - r2 * r2, -1, p) % p
        if not 2**128 <= x < 2**129:
            continue
        block = (x - 2**128).to_bytes(16, "little")
        tag = ((x * r1 * r1 + length * r1) % p + s1) % 2**128
        blob = block + tag.to_bytes(16, "little")
        if opens(a, nonce, b"", blob) is not None and opens(b, nonce, b"", blob) is not None:
            return nonce, blob
    raise AssertionError("no collision")


LADIES = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
          b"future, sunscreen would be it.")


def make_record():
    assert hchacha(bytes(range(32)), H("000000090000004a0000000031415927")).hex() == \
        "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    draft_key, draft_nonce = bytes(range(0x80, 0xA0)), bytes(range(0x40, 0x58))
    draft_aad = H("50515253c0c1c2c3c4c5c6c7")
    draft = xchacha(draft_key, draft_nonce, draft_aad, LADIES)
    assert draft.hex() == (
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39"
        "ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
        "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49")

    key, other, nonce = rand("record key", 32), rand("other key", 32), rand("nonce", 24)
    u64 = lambda n: struct.pack(">Q", n)
    place = [b"vaultd/record/v1", b"cluster-1", u64(1), b"mount-a", b"app/db", u64(7)]
    aad = parts(*place)
    secret = b'{"password":"correct horse"}'
    good = seal(key, nonce, aad, secret)
    cases = []

    def ok(name, key, aad, sealed, plain):
        cases.append(dict(name=name, key=key, aad=aad, sealed=sealed, ok=plain))

    def bad(name, error, sealed=good, aad=aad, key=key):
        cases.append(dict(name=name, key=key, aad=aad, sealed=sealed, error=error))

    ok("the vector of the XChaCha draft, after its commitment", draft_key, draft_aad,
       commit(draft_key) + draft_nonce + draft, LADIES)
    ok("a record", key, aad, good, secret)
    ok("an empty record", key, aad, seal(key, nonce, aad, b""), b"")
    ok("a record without associated data", key, b"", seal(key, nonce, b"", secret), secret)
    ok("a record of several blocks", key, aad, seal(key, nonce, aad, secret * 40), secret * 40)

    bad("nothing at all", "Malformed", b"")
    bad("one byte shorter than an empty record", "Malformed", seal(key, nonce, aad, b"")[:-1])
    bad("only a commitment", "Malformed", good[:16])
    bad("commitment and nonce only", "Malformed", good[:40])
    bad("bad commitment, first bit", "WrongKey", flip(good, 0))
    bad("bad commitment, last byte", "WrongKey", flip(good, 15))
    bad("commitment of zeros", "WrongKey", bytes(16) + good[16:])
    bad("record of another term", "WrongKey", key=other)
    bad("commitment of another term before this record", "WrongKey", commit(other) + good[16:])
    bad("record of another term behind this commitment", "Altered", commit(key) + seal(other, nonce, aad, secret)[16:])
    bad("bad nonce, part for the subkey", "Altered", flip(good, 16))
    bad("bad nonce, part for the stream", "Altered", flip(good, 39))
    bad("bad ciphertext, first byte", "Altered", flip(good, 40))
    bad("bad ciphertext, last byte", "Altered", flip(good, -17))
    bad("bad tag, first byte", "Altered", flip(good, -16))
    bad("bad tag, last byte", "Altered", flip(good, -1))
    bad("tag of zeros", "Altered", good[:-16] + bytes(16))
    bad("truncated by a byte", "Altered", good[:-1])
    bad("ciphertext cut to nothing", "Altered", good[:40] + good[-16:])
    bad("a byte appended", "Altered", good + b"\0")
    bad("a byte before", "WrongKey", b"\0" + good)
    bad("plaintext instead of ciphertext", "Altered", good[:40] + secret + good[-16:])
    bad("sealed by AEAD without HChaCha20", "Altered",
        commit(key) + nonce + ChaCha20Poly1305(key).encrypt(bytes(4) + nonce[16:], secret, aad))

    def moved(name, *fields):
        bad(name, "Altered", aad=parts(*fields))

    domain, cluster, term, mount, path, generation = place
    moved("another domain", b"vaultd/record/v2", *place[1:])
    moved("another cluster", domain, b"cluster-2", term, mount, path, generation)
    moved("wrong term in the associated data", domain, cluster, u64(2), mount, path, generation)
    moved("another mount", domain, cluster, term, b"mount-b", path, generation)
    moved("another path", domain, cluster, term, mount, b"app/dc", generation)
    moved("an older generation", domain, cluster, term, mount, path, u64(6))
    moved("swapped fields", domain, cluster, term, path, mount, generation)
    moved("reordered fields", domain, term, cluster, mount, path, generation)
    moved("a field left out", domain, cluster, term, mount, path)
    moved("a field too many", *place, b"")
    moved("a border moved between mount and path", domain, cluster, term, b"mount-aa", b"pp/db", generation)
    moved("two fields joined", domain, cluster, term, mount + path, generation)
    moved("an empty path", domain, cluster, term, mount, b"", generation)
    moved("term and generation swapped", domain, cluster, generation, mount, path, term)
    bad("fields joined without lengths", "Altered", aad=b"".join(place))
    bad("little-endian lengths", "Altered", aad=b"".join(struct.pack("<I", len(f)) + f for f in place))
    bad("no associated data", "Altered", aad=b"")

    collision_nonce, blob = two_key_blob(key, other)
    bad("a blob for two keys, committed to the first, opened by the second", "WrongKey",
        commit(key) + collision_nonce + blob, aad=b"", key=other)
    bad("a blob for two keys, committed to the second, opened by the first", "WrongKey",
        commit(other) + collision_nonce + blob, aad=b"")
    save("record", cases)


# --- AES-SIV (RFC 5297) ----------------------------------------------------
def make_name():
    assert AESSIV(H("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")).encrypt(
        H("112233445566778899aabbccddee"), [H("101112131415161718191a1b1c1d1e1f2021222324252627")]).hex() == \
        "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"
    key, other = rand("name key", 64), rand("other name key", 64)
    pad = lambda n: n + b"\x80" + bytes(15 - len(n) % 16)
    raw = lambda padded, parent=b"parent", key=key: AESSIV(key).encrypt(padded, [parent])
    cases = []
    for name in (b"", b"a", b"fifteen bytes..", b"sixteen bytes...", b"ends in zero\0", b"ends in 80\x80", b"n" * 200):
        cases.append(dict(name=f"a name of {len(name)} bytes", key=key, parent=b"parent", sealed=raw(pad(name)), ok=name))
    good = raw(pad(b"name"))

    def bad(name, error, sealed=good, parent=b"parent", key=key):
        cases.append(dict(name=name, key=key, parent=parent, sealed=sealed, error=error))

    bad("nothing at all", "Malformed", b"")
    bad("only the SIV", "Malformed", good[:16])
    bad("length no multiple of 16", "Malformed", good[:-1])
    bad("a byte appended", "Malformed", good + b"\0")
    bad("a block appended", "Altered", good + bytes(16))
    bad("a block cut off", "Altered", raw(pad(b"n" * 20))[:-16])
    bad("bad SIV", "Altered", flip(good, 0))
    bad("bad ciphertext", "Altered", flip(good, -1))
    bad("moved to another parent", "Altered", parent=b"parens")
    bad("moved to the root", "Altered", parent=b"")
    bad("another key", "Altered", key=other)
    bad("halves of the key swapped", "Altered", key=key[32:] + key[:32])
    bad("sealed without associated data", "Altered", AESSIV(key).encrypt(pad(b"name"), []))
    bad("parent given twice", "Altered", AESSIV(key).encrypt(pad(b"name"), [b"parent", b"parent"]))
    bad("no padding", "Malformed", raw(b"sixteen bytes..."))
    bad("padding of zeros only", "Malformed", raw(b"name" + bytes(12)))
    bad("a second block of padding", "Malformed", raw(pad(b"name") + bytes(16)))
    bad("rubbish in the padding", "Malformed", raw(b"name\x80" + bytes(10) + b"\1"))
    save("name", cases)


# --- Argon2id (RFC 9106) and what is wrapped with it -----------------------
def argon2(passphrase, salt, m, t, p, n=32):
    return Argon2id(salt=salt, length=n, iterations=t, lanes=p, memory_cost=m).derive(passphrase)


def make_passwords():
    cases = []
    for m, t, p in ((8, 1, 1), (64, 3, 1), (32, 1, 4), (19456, 2, 1)):
        salt = rand(f"{m}", 16)
        cases.append(dict(name=f"{m} KiB, {t} passes, {p} lanes", passphrase=b"open sesame", salt=salt,
                          memory=m, passes=t, lanes=p, ok=argon2(b"open sesame", salt, m, t, p)))

    def bad(name, m, t, p):
        cases.append(dict(name=name, passphrase=b"", salt=bytes(16), memory=m, passes=t, lanes=p, error="BadCost"))

    bad("memory over 1 GiB", 1024 * 1024 + 1, 1, 1)
    bad("all the memory there is", 2**32 - 1, 1, 1)
    bad("no memory", 0, 1, 1)
    bad("memory under 8 KiB", 7, 1, 1)
    bad("memory under 8 KiB for each lane", 31, 1, 4)
    bad("no pass", 64, 0, 1)
    bad("17 passes", 64, 17, 1)
    bad("passes that look small when cut to a byte", 64, 257, 1)
    bad("no lane", 64, 1, 0)
    bad("5 lanes", 64, 1, 5)
    bad("lanes that look small when cut to a byte", 4096, 1, 257)
    save("argon2id", cases)

    salt, nonce, secret = rand("salt", 16), rand("wrap nonce", 24), rand("share", 32)

    def wrapped(m=64, t=2, p=1, phrase=b"open sesame", context=b"share 2", version=1, length=None, domain=b"vaultd/wrapped/v1"):
        cost = be32(m) + bytes([t, p])
        key = argon2(phrase, salt, max(8, min(m, 1024)), max(1, min(t, 16)), max(1, min(p, 4)))
        sealed = seal(key, nonce, parts(domain, cost, salt, context), secret)
        return bytes([version]) + cost + salt + be32(len(sealed) if length is None else length) + sealed

    good = wrapped()
    cases = [dict(name="a wrapped share", wrapped=good, passphrase=b"open sesame", context=b"share 2", ok=secret),
             dict(name="an empty passphrase and context", wrapped=wrapped(phrase=b"", context=b""), passphrase=b"",
                  context=b"", ok=secret)]

    def bad(name, error, wrapped=good, passphrase=b"open sesame", context=b"share 2"):
        cases.append(dict(name=name, wrapped=wrapped, passphrase=passphrase, context=context, error=error))

    bad("wrong passphrase", "WrongKey", passphrase=b"open sesami")
    bad("empty passphrase", "WrongKey", passphrase=b"")
    bad("passphrase with a newline after it", "WrongKey", passphrase=b"open sesame\n")
    bad("another context", "Altered", context=b"share 3")
    bad("no context", "Altered", context=b"")
    bad("another domain", "Altered", wrapped(domain=b"vaultd/wrapped/v2"))
    bad("cheaper cost written in", "WrongKey", good[:1] + be32(8) + good[5:])
    bad("fewer passes written in", "WrongKey", good[:5] + b"\1" + good[6:])
    bad("another salt", "WrongKey", flip(good, 7))
    bad("bad commitment", "WrongKey", flip(good, 27))
    bad("bad nonce", "Altered", flip(good, 50))
    bad("bad ciphertext", "Altered", flip(good, 70))
    bad("bad tag", "Altered", flip(good, -1))
    bad("nothing at all", "Malformed", b"")
    bad("version 0", "Malformed", wrapped(version=0))
    bad("version 2", "Malformed", wrapped(version=2))
    bad("memory over 1 GiB", "Malformed", wrapped(m=1024 * 1024 + 1))
    bad("all the memory there is", "Malformed", wrapped(m=2**32 - 1))
    bad("memory under 8 KiB", "Malformed", wrapped(m=7))
    bad("no pass", "Malformed", wrapped(t=0))
    bad("17 passes", "Malformed", wrapped(t=17))
    bad("no lane", "Malformed", wrapped(p=0))
    bad("5 lanes", "Malformed", wrapped(p=5))
    bad("a trailing byte", "Malformed", good + b"\0")
    bad("a trailing newline", "Malformed", good + b"\n")
    bad("truncated by a byte", "Malformed", good[:-1])
    bad("only the head", "Malformed", good[:23])
    bad("length too small by one", "Malformed", wrapped(length=87))
    bad("length too large by one", "Malformed", wrapped(length=89))
    bad("a length of 4 GiB", "Malformed", wrapped(length=2**32 - 1))
    bad("sealed part under its least size", "Malformed", good[:23] + be32(55) + good[27:82])
    save("wrapped", cases)


# --- Ed25519 (RFC 8032), verified strictly ---------------------------------
def make_signature():
    published = [
        ("test 1", "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
        ("test 2", "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
        ("test 3", "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
    ]
    order = 2**252 + 27742317777372353535851937790883648493
    cases = []
    for name, seed, message, sig in published:
        private = Ed25519PrivateKey.from_private_bytes(H(seed))
        assert private.sign(H(message)).hex() == sig
        cases.append(dict(name="RFC 8032 " + name, seed=H(seed), public=private.public_key().public_bytes_raw(),
                          message=H(message), signature=H(sig), ok=b""))
    public, message, good = (cases[2][k] for k in ("public", "message", "signature"))

    def bad(name, error="BadSignature", public=public, message=message, signature=good):
        cases.append(dict(name=name, public=public, message=message, signature=signature, error=error))

    bad("another message", message=b"\xaf\x83")
    bad("the message with a byte more", message=message + b"\0")
    bad("an empty message", message=b"")
    bad("another key", public=cases[1]["public"])
    bad("bad R", signature=flip(good, 0))
    bad("bad s", signature=flip(good, 32))
    bad("R and s swapped", signature=good[32:] + good[:32])
    bad("signature of zeros", signature=bytes(64))
    bad("truncated by a byte", signature=good[:-1])
    bad("a byte appended", signature=good + b"\0")
    bad("no signature", signature=b"")
    s = int.from_bytes(good[32:], "little")
    bad("s plus the group order", signature=good[:32] + (s + order).to_bytes(32, "little"))
    bad("s with its top bit set", signature=good[:63] + bytes([good[63] | 0x80]))
    # R is the neutral element: the equation holds, strict verification refuses.
    digest = hashlib.sha512(cases[2]["seed"]).digest()
    scalar = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
    neutral = b"\1" + bytes(31)
    k = int.from_bytes(hashlib.sha512(neutral + public + message).digest(), "little")
    bad("R of small order", signature=neutral + (k * scalar % order).to_bytes(32, "little"))
    # Under a key of small order one signature fits many messages.
    bad("the neutral element as key", "BadPublicKey", neutral, signature=neutral + bytes(32))
    bad("a key of order 2", "BadPublicKey", b"\xec" + b"\xff" * 30 + b"\x7f")
    bad("a key of order 4", "BadPublicKey", bytes(32))
    bad("a key of order 8", "BadPublicKey", H("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))
    bad("a key that is no point", "BadPublicKey", b"\2" + bytes(31))
    bad("a key that is short", "BadPublicKey", public[:-1])
    bad("a key that is long", "BadPublicKey", public + b"\0")
    bad("no key", "BadPublicKey", b"")
    save("signature", cases)


# --- Shamir over GF(2^8) with 0x11b ----------------------------------------
EXP, LOG = [0] * 510, [0] * 256
x = 1
for i in range(255):
    EXP[i] = EXP[i + 255] = x
    LOG[x] = i
    x ^= x << 1 ^ (0x11B if x & 0x80 else 0)  # times the generator 3
    x &= 0xFF


def gf_mul(a, b):
    return EXP[LOG[a] + LOG[b]] if a and b else 0


def split_plain(secret, k, xs, tag):
    """{x: y} of random polynomials, one for each byte, by sums of powers."""
    top = [rand(f"{tag} {i}", k - 1) for i in range(len(secret))]
    out = {}
    for x in xs:
        y = []
        for byte, coefficients in zip(secret, top):
            power = 1
            for c in coefficients:
                power = gf_mul(power, x)
                byte ^= gf_mul(c, power)
            y.append(byte)
        out[x] = bytes(y)
    return out


def make_shares():
    secret, short = rand("unseal key", 32), rand("short key", 16)

    def tagged(y, index, k=3, set_id=rand("set", 8), version=1):
        check = hashlib.sha256(b"vaultd share v1" + set_id + bytes([k, index]) + y).digest()[:16]
        return bytes([version]) + set_id + bytes([k]) + y + check + bytes([index])

    ys = split_plain(secret, 3, range(0, 6), "tagged")
    share = [tagged(ys[i], i) for i in range(6)]
    cases = []

    def ok(name, shares, secret=secret):
        cases.append(dict(name=name, shares=shares, ok=secret))

    def bad(name, error, *shares):
        cases.append(dict(name=name, shares=shares, error=error))

    ok("3 of 5, the first", share[1:4])
    ok("3 of 5, the last, backwards", share[:2:-1])
    ok("3 of 5, all", share[1:])
    ok("1 of 1", [tagged(secret, 1, k=1)])
    sixteen = split_plain(short, 2, (1, 255), "sixteen")
    ok("2 of 255, 16 bytes", [tagged(y, i, k=2) for i, y in sixteen.items()], short)
    # Vault numbers its shares at random.
    for k, xs in ((2, (3, 200)), (3, (81, 17, 254)), (5, (255, 1, 128, 27, 99))):
        plain = split_plain(secret, k, xs, f"vault {k}")
        ok(f"Vault's format, threshold {k}", [y + bytes([x]) for x, y in plain.items()])
    ok("Vault's format, 16 bytes", [y + bytes([x]) for x, y in sixteen.items()], short)

    other_ys = split_plain(secret, 3, range(1, 6), "other set")
    stranger = tagged(other_ys[4], 4, set_id=rand("other set", 8))
    bad("no share", "TooFew { have: 0, need: 1 }")
    bad("one too few", "TooFew { have: 2, need: 3 }", share[1], share[2])
    bad("one only", "TooFew { have: 1, need: 3 }", share[5])
    bad("the same share twice", "Duplicate { index: 1 }", share[1], share[2], share[1])
    bad("the same number twice with other content", "Duplicate { index: 2 }",
        share[1], share[2], tagged(rand("y", 32), 2))
    bad("wrong set", "WrongSet { index: 4 }", share[1], share[2], stranger)
    bad("wrong set beyond the threshold", "WrongSet { index: 4 }", *share[1:4], stranger)
    bad("same set with another threshold", "WrongSet { index: 3 }", share[1], share[2], tagged(ys[3], 3, k=2))
    bad("same set with another length", "LengthMismatch", share[1], share[2], tagged(ys[3][:16], 3))
    bad("number zero, where the secret is", "ZeroIndex", share[1], share[2], share[0])
    bad("threshold zero", "Malformed", tagged(ys[1], 1, k=0))
    bad("flipped check", "Damaged { index: 2 }", share[1], flip(share[2], -2), share[3])
    bad("flipped first byte of y", "Damaged { index: 2 }", share[1], flip(share[2], 10), share[3])
    bad("flipped last byte of y", "Damaged { index: 2 }", share[1], flip(share[2], 41), share[3])
    bad("flipped set", "Damaged { index: 2 }", share[1], flip(share[2], 1), share[3])
    bad("flipped threshold", "Damaged { index: 2 }", share[1], flip(share[2], 9), share[3])
    bad("renumbered share", "Damaged { index: 3 }", share[1], flip(share[2], -1), share[3])
    bad("check of zeros", "Damaged { index: 2 }", share[2][:42] + bytes(16) + b"\2")
    bad("check of another share", "Damaged { index: 2 }", share[2][:42] + share[3][42:58] + b"\2")
    bad("version 0", "Malformed", tagged(ys[1], 1, version=0))
    bad("version 2", "Malformed", tagged(ys[1], 1, version=2))
    bad("nothing at all", "Malformed", b"")
    bad("truncated by a byte", "Malformed", share[1][:-1])
    bad("a byte appended", "Malformed", share[1] + b"\0")
    bad("only the head", "Malformed", share[1][:10])
    y = split_plain(secret, 2, (3, 200), "vault 2")
    bad("Vault's format, number zero", "ZeroIndex", y[3] + b"\3", secret + b"\0")
    bad("Vault's format, the same number twice", "Duplicate { index: 3 }", y[3] + b"\3", y[200] + b"\3")
    bad("Vault's format, lengths mixed", "LengthMismatch", y[3] + b"\3", y[200][:16] + b"\xc8")
    bad("Vault's format, a byte short", "Malformed", y[3])
    bad("Vault's format, a byte long", "Malformed", y[3] + b"\3\0")
    bad("Vault's format, only a number", "Malformed", b"\3")
    save("share", cases)


make_kdf()
make_prf()
make_record()
make_name()
make_passwords()
make_signature()
make_shares()
