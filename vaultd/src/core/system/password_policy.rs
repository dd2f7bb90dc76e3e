//! Rules for generated passwords: a length, and sets of characters with how many of each at least.
//!
//! A password takes what each rule demands from that rule's set, the rest from all sets together, and
//! is then put into random order. Every draw is uniform over its set.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use vault_crypto::Random;
use zeroize::Zeroizing;

use crate::barrier::Tx;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::mount::reserved;
use crate::core::reply::Reply;
use crate::hcl::{self, Entry};
use crate::policy::PolicyName;

const LENGTH: std::ops::RangeInclusive<usize> = 4..=100;
const CHARSET_MAX: usize = 1000;

struct Generator {
    length: usize,
    rules: Vec<Rule>,
}

struct Rule {
    charset: Vec<char>,
    min: usize,
}

impl Generator {
    fn parse(text: &str) -> Result<Generator, Fault> {
        let file = hcl::parse(text)
            .map_err(|error| Fault::invalid(format!("invalid password policy: {error}")))?;
        let mut length = None;
        let mut rules = Vec::new();
        for entry in &file.entries {
            match entry.key.text.as_str() {
                "length" => length = number(entry),
                "rule" => rules.push(Rule::parse(entry)?),
                _ => return Err(wrong("only \"length\" and \"rule\" are known")),
            }
        }
        let length = length.filter(|length| LENGTH.contains(length));
        let length = length.ok_or_else(|| wrong("\"length\" must be a number from 4 to 100"))?;
        if rules.is_empty() {
            return Err(wrong(
                "it needs a rule \"charset\" with the characters to use",
            ));
        }
        if rules.iter().map(|rule| rule.min).sum::<usize>() > length {
            return Err(wrong("the rules demand more characters than \"length\""));
        }
        Ok(Generator { length, rules })
    }

    fn generate(&self, random: &dyn Random) -> Zeroizing<String> {
        let mut all: Vec<char> = self
            .rules
            .iter()
            .flat_map(|rule| rule.charset.clone())
            .collect();
        all.sort_unstable();
        all.dedup();
        let mut drawn: Zeroizing<Vec<char>> = Zeroizing::new(Vec::with_capacity(self.length));
        for rule in &self.rules {
            drawn.extend((0..rule.min).map(|_| pick(&rule.charset, random)));
        }
        while drawn.len() < self.length {
            drawn.push(pick(&all, random));
        }
        for at in (1..drawn.len()).rev() {
            drawn.swap(at, below(at + 1, random));
        }
        Zeroizing::new(drawn.iter().collect())
    }
}

impl Rule {
    fn parse(entry: &Entry) -> Result<Rule, Fault> {
        let label = entry.labels.first().map(|label| label.text.as_str());
        let Some(body) = entry.value.as_object().filter(|_| label == Some("charset")) else {
            return Err(wrong("only rules of type \"charset\" are known"));
        };
        let (mut charset, mut min) = (Vec::new(), 0);
        for entry in &body.entries {
            match entry.key.text.as_str() {
                "charset" => charset = entry.value.as_str().unwrap_or_default().chars().collect(),
                "min-chars" => {
                    min = number(entry)
                        .ok_or_else(|| wrong("\"min-chars\" must be a number from 0"))?;
                }
                _ => return Err(wrong("a rule has only \"charset\" and \"min-chars\"")),
            }
        }
        charset.sort_unstable();
        charset.dedup();
        if charset.is_empty()
            || charset.len() > CHARSET_MAX
            || charset.iter().any(|c| c.is_control())
        {
            return Err(wrong("\"charset\" must be 1 to 1000 printable characters"));
        }
        Ok(Rule { charset, min })
    }
}

fn number(entry: &Entry) -> Option<usize> {
    usize::try_from(entry.value.as_integer()?).ok()
}

fn wrong(text: &str) -> Fault {
    Fault::invalid(format!("invalid password policy: {text}"))
}

fn pick(set: &[char], random: &dyn Random) -> char {
    set[below(set.len(), random)]
}

/// Uniform below `n`: draws again where a remainder would prefer small numbers.
fn below(n: usize, random: &dyn Random) -> usize {
    let n = n as u64;
    loop {
        let mut bytes = Zeroizing::new([0; 8]);
        random.fill(&mut *bytes);
        let drawn = u64::from_le_bytes(*bytes);
        if drawn < u64::MAX - u64::MAX % n {
            return (drawn % n) as usize;
        }
    }
}

fn row(ctx: &Ctx<'_>) -> Result<String, Fault> {
    let name: PolicyName = ctx
        .param("name")
        .parse()
        .map_err(|error| Fault::invalid(format!("{error}")))?;
    Ok(format!("password/{}", name.as_str()))
}

async fn stored(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<String, Fault> {
    let text = tx.view(reserved::POLICIES).get(&row(ctx)?).await?;
    text.ok_or_else(|| Fault::NoRoute("policy does not exist".to_owned()))
}

pub async fn list(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    ctx.list_in(&mut tx.view(reserved::POLICIES), "password")
        .await
}

pub async fn read(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    Ok(Reply::json(json!({"policy": stored(ctx, tx).await?})))
}

/// The text may come in base64.
pub async fn write(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let given = ctx.body().string("policy")?.unwrap_or_default();
    if given.is_empty() {
        return Err(Fault::invalid("missing policy"));
    }
    let decoded = STANDARD.decode(&given).ok();
    let text = decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or(given);
    Generator::parse(&text)?;
    tx.view(reserved::POLICIES).put(&row(ctx)?, &text).await?;
    Ok(Reply::none())
}

pub async fn delete(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    tx.view(reserved::POLICIES).delete(&row(ctx)?).await?;
    Ok(Reply::none())
}

pub async fn generate(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let password = Generator::parse(&stored(ctx, tx).await?)?.generate(ctx.random);
    Ok(Reply::json(json!({"password": *password})))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;
    use vault_crypto::Seeded;

    const TEXT: &str = "length = 20\n\
        rule \"charset\" {\n  charset = \"abcdefghij\"\n  min-chars = 2\n}\n\
        rule \"charset\" {\n  charset = \"0123456789\"\n  min-chars = 3\n}\n\
        rule \"charset\" { charset = \"-!\" }\n";

    #[test]
    fn passwords_obey_their_rules() {
        let generator = Generator::parse(TEXT).unwrap();
        let random = Seeded::new(1);
        let mut first = std::collections::BTreeSet::new();
        for _ in 0..500 {
            let password = generator.generate(&random);
            assert_eq!(password.chars().count(), 20);
            assert!(password.chars().filter(char::is_ascii_digit).count() >= 3);
            assert!(password.chars().filter(char::is_ascii_lowercase).count() >= 2);
            first.extend(password.chars().next());
        }
        // No place is kept for one kind of character.
        assert_eq!(first.len(), 22);
    }

    #[test]
    fn draws_are_uniform() {
        let random = Seeded::new(2);
        let mut seen = [0_u32; 7];
        for _ in 0..70_000 {
            seen[below(7, &random)] += 1;
        }
        assert!(
            seen.iter().all(|count| (9_600..10_400).contains(count)),
            "{seen:?}"
        );
    }

    #[test]
    fn policies_that_make_no_sense_are_refused() {
        for text in [
            "",
            "length = 20",
            "length = 3\nrule \"charset\" { charset = \"ab\" }",
            "length = 101\nrule \"charset\" { charset = \"ab\" }",
            "length = -5\nrule \"charset\" { charset = \"ab\" }",
            "length = \"x\"\nrule \"charset\" { charset = \"ab\" }",
            "length = 20\nrule \"charset\" { charset = \"\" }",
            "length = 20\nrule \"charset\" { charset = \"a\\u0007\" }",
            "length = 20\nrule \"charset\" {\n charset = \"ab\"\n min-chars = 21\n}",
            "length = 20\nrule \"charset\" {\n charset = \"ab\"\n min-chars = -1\n}",
            "length = 20\nrule \"other\" { charset = \"ab\" }",
            "length = 20\nrule \"charset\" {\n charset = \"ab\"\n max = 1\n}",
            "length = 20\nlow = 1\nrule \"charset\" { charset = \"ab\" }",
            "rule {",
        ] {
            assert!(Generator::parse(text).is_err(), "{text:?}");
        }
    }
}
