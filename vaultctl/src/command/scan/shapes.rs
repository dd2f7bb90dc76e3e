//! Tokens that are known by their shape. Only shapes that hardly anything else has: a scanner that
//! cries wolf is switched off.

use vault_crypto::checksum_ok;

pub(super) struct Shape {
    pub(super) name: &'static str,
    /// At least four bytes.
    pub(super) prefix: &'static str,
    /// Looks at what follows the prefix.
    rest: Rest,
}

enum Rest {
    /// So many characters of a kind, and then none of them.
    Run(fn(u8) -> bool, std::ops::RangeInclusive<usize>),
    /// The head of a PEM block that holds a private key, and some of the key.
    PrivateKey,
    /// GitHub's: 36 characters of which the last six are a checksum, or more without one, up to so many.
    GitHub(usize),
    /// Ours: with a checksum. Vault's own have other lengths.
    Service,
    Batch,
}

const fn run(
    name: &'static str,
    prefix: &'static str,
    kind: fn(u8) -> bool,
    length: std::ops::RangeInclusive<usize>,
) -> Shape {
    Shape {
        name,
        prefix,
        rest: Rest::Run(kind, length),
    }
}

const fn github(prefix: &'static str, longest: usize) -> Shape {
    Shape {
        name: "GitHub token",
        prefix,
        rest: Rest::GitHub(longest),
    }
}

const MANY: usize = 400;

pub(super) const SHAPES: &[Shape] = &[
    run("AWS access key", "AKIA", upper, 16..=16),
    run("AWS temporary access key", "ASIA", upper, 16..=16),
    github("ghp_", 36),
    github("gho_", 36),
    github("ghu_", 36),
    github("ghs_", 36),
    github("ghr_", 76),
    run("GitHub token", "github_pat_", word, 82..=82),
    run("GitLab token", "glpat-", dashed, 20..=MANY),
    run("GitLab token", "glrt-", dashed, 20..=MANY),
    run("GitLab token", "gldt-", dashed, 20..=MANY),
    run("GitLab token", "glcbt-", dashed, 20..=MANY),
    run("Slack token", "xoxb-", dashed, 24..=MANY),
    run("Slack token", "xoxp-", dashed, 24..=MANY),
    run("Slack token", "xoxa-", dashed, 24..=MANY),
    run("Slack token", "xoxr-", dashed, 24..=MANY),
    run("Slack token", "xoxs-", dashed, 24..=MANY),
    run("Slack token", "xapp-", dashed, 24..=MANY),
    run("Stripe key", "sk_live_", alnum, 16..=MANY),
    run("Stripe key", "rk_live_", alnum, 16..=MANY),
    Shape {
        name: "private key",
        prefix: "-----BEGIN ",
        rest: Rest::PrivateKey,
    },
    Shape {
        name: "token of vaultd or Vault",
        prefix: "hvs.",
        rest: Rest::Service,
    },
    Shape {
        name: "batch token of vaultd or Vault",
        prefix: "hvb.",
        rest: Rest::Batch,
    },
];

impl Shape {
    /// The shape that begins at a place of a text, by number.
    pub(super) fn at(text: &[u8], at: usize) -> Option<usize> {
        let rest = &text[at..];
        let begins = |shape: &Shape| rest.starts_with(shape.prefix.as_bytes());
        let number = SHAPES.iter().position(begins)?;
        let shape = &SHAPES[number];
        // In the middle of a word it is something else.
        let apart = at == 0 || !word(text[at - 1]) || shape.prefix.starts_with('-');
        (apart && shape.fits(rest)).then_some(number)
    }

    fn fits(&self, text: &[u8]) -> bool {
        let rest = &text[self.prefix.len()..];
        match &self.rest {
            Rest::Run(kind, lengths) => {
                let end = run_of(rest, *kind, MANY + 1);
                lengths.contains(&end) && !rest[..end].ends_with(b"EXAMPLE") && varied(&rest[..end])
            }
            Rest::PrivateKey => private_key(rest),
            // Without the prefix, and otherwise as ours: CRC-32 in base 62.
            Rest::GitHub(longest) => match run_of(rest, alnum, MANY) {
                36 => sum_fits(&rest[..36]),
                end => (37..=*longest).contains(&end) && varied(&rest[..end]),
            },
            Rest::Service => {
                let end = run_of(rest, dashed, 1000);
                match end {
                    46 => sum_fits(&text[..4 + end]),
                    24 | 90.. => varied(&rest[..end]),
                    _ => false,
                }
            }
            Rest::Batch => {
                let end = run_of(rest, dashed, 8000);
                end >= 100 && varied(&rest[..end])
            }
        }
    }
}

fn sum_fits(token: &[u8]) -> bool {
    std::str::from_utf8(token).is_ok_and(checksum_ok)
}

/// `xxxx…` in documents is no token.
fn varied(text: &[u8]) -> bool {
    let mut seen = [false; 256];
    text.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count() >= 6
}

/// `…PRIVATE KEY…-----`, a line end, and the begin of a body. A line end may be escaped, and headers
/// may come before the body.
fn private_key(rest: &[u8]) -> bool {
    let head = &rest[..rest.len().min(64)];
    let Some(end) = head.windows(5).position(|part| part == b"-----") else {
        return false;
    };
    let is_private = head[..end].windows(11).any(|part| part == b"PRIVATE KEY");
    let body = &rest[end + 5..rest.len().min(end + 300)];
    let base64 = |byte: u8| alnum(byte) || byte == b'+' || byte == b'/' || byte == b'=';
    is_private && (0..body.len()).any(|at| run_of(&body[at..], base64, 40) >= 32)
}

fn run_of(text: &[u8], kind: fn(u8) -> bool, most: usize) -> usize {
    text.iter()
        .take(most)
        .position(|byte| !kind(*byte))
        .unwrap_or(text.len().min(most))
}

fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn word(byte: u8) -> bool {
    alnum(byte) || byte == b'_'
}

fn dashed(byte: u8) -> bool {
    word(byte) || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;
    use vault_crypto::{Seeded, checked, new_token, random_base62};

    fn found(text: &str) -> Vec<&'static str> {
        let bytes = text.as_bytes();
        (0..bytes.len())
            .filter_map(|at| Shape::at(bytes, at))
            .map(|number| SHAPES[number].name)
            .collect()
    }

    #[test]
    fn shapes_are_found_and_what_only_looks_alike_is_not() {
        let random = |length| random_base62(length, &Seeded::new(7));
        let text = |prefix: &str, length| format!("x = \"{prefix}{}\"", random(length));
        let key = random(16).to_ascii_uppercase();
        assert_eq!(found(&format!("id: AKIA{key};")), ["AWS access key"]);
        let sum = checked(random(30));
        for prefix in ["ghp_", "gho_", "ghu_", "ghs_", "ghr_"] {
            let token = format!("x = \"{prefix}{}\"", sum.expose());
            assert_eq!(found(&token), ["GitHub token"]);
            assert_eq!(found(&text(prefix, 36)), NONE);
        }
        assert_eq!(found(&text("ghr_", 76)), ["GitHub token"]);
        assert_eq!(found(&text("github_pat_", 82)), ["GitHub token"]);
        assert_eq!(found(&text("glpat-", 20)), ["GitLab token"]);
        assert_eq!(found(&text("xoxb-", 40)), ["Slack token"]);
        assert_eq!(found(&text("sk_live_", 24)), ["Stripe key"]);
        for none in [
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            format!("AKIA{key}0"),
            text("ghp_", 35),
            text("ghs_", 37),
            text("sk_test_", 24),
            text("task_live_", 24),
            format!("ghp_{}", "x".repeat(36)),
        ] {
            assert_eq!(found(&none), NONE, "{none}");
        }
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn our_tokens_are_told_by_their_checksum() {
        let token = new_token("hvs.", &Seeded::new(1));
        let token = token.expose();
        assert_eq!(found(token), ["token of vaultd or Vault"]);
        let mut wrong = token[..49].to_owned();
        wrong.push(if token.ends_with('a') { 'b' } else { 'a' });
        assert_eq!(found(&wrong), NONE);
        let batch = checked(format!("hvb.{}", random_base62(300, &Seeded::new(1))));
        assert_eq!(found(batch.expose()), ["batch token of vaultd or Vault"]);
    }

    #[test]
    fn a_private_key_is_one_with_a_body() {
        let body = random_base62(64, &Seeded::new(2));
        for (begin, end) in [("\n", "\n"), ("\\n", "\\n"), ("\r\n    ", "\r\n")] {
            let pem = format!("-----BEGIN RSA PRIVATE KEY-----{begin}{body}{end}");
            assert_eq!(found(&pem), ["private key"], "{pem}");
        }
        assert_eq!(found(&format!("-----BEGIN PUBLIC KEY-----\n{body}")), NONE);
        assert_eq!(found("if text == \"-----BEGIN PRIVATE KEY-----\" {"), NONE);
    }
}
