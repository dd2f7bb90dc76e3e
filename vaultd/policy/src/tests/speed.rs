//! How long one decision takes for a token with 50 policies of 100 rules each.
//! Prints; asserts nothing about time.

use std::hint::black_box;
use std::time::Instant;

use super::*;

#[test]
fn decisions_with_five_thousand_rules() {
    let policies: Vec<_> = (0..50)
        .map(|p| Policy::parse(&name("p"), &text(p)).unwrap())
        .collect();
    let started = Instant::now();
    let acl = Acl::compile(policies.iter(), &NoTemplates, now());
    println!(
        "compile: {:?} for {} rules",
        started.elapsed(),
        acl.rules().len()
    );
    for (what, path) in [
        ("exact", "secret/data/team7/app4/config"),
        ("prefix", "secret/data/team7/dir5-x/a/b/c"),
        ("plus", "secret/data/team7/prod/svc6/password"),
        ("none", "other/data/team7/prod/svc6/nothing"),
    ] {
        let rounds = 20_000u32;
        let started = Instant::now();
        for _ in 0..rounds {
            black_box(
                acl.decide(black_box(&Ask::new(path, Capability::Read)))
                    .allowed,
            );
        }
        println!(
            "{what}: {} ns",
            started.elapsed().as_nanos() / u128::from(rounds)
        );
        assert_eq!(may(&acl, path, Capability::Read), what != "none");
    }
}

fn text(policy: usize) -> String {
    let rule = |i: usize| {
        let path = match i % 3 {
            0 => format!("secret/data/team{policy}/app{i}/config"),
            1 => format!("secret/data/team{policy}/dir{i}*"),
            _ => format!("secret/data/team{policy}/+/svc{i}/password"),
        };
        // Each of the three sorts is asked for by the numbers 4, 5 and 6.
        format!("path \"{path}\" {{ capabilities = [\"read\"] }}\n")
    };
    let extra = format!(
        "path \"secret/data/team{policy}/app4/config\" {{ capabilities = [\"read\"] }}
         path \"secret/data/team{policy}/dir5-*\" {{ capabilities = [\"read\"] }}
         path \"secret/data/team{policy}/+/svc6/+\" {{ capabilities = [\"read\"] }}\n"
    );
    (0..97).map(rule).collect::<String>() + &extra
}
