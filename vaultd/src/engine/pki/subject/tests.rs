//! Which names a role allows.

use super::*;

fn role(change: impl FnOnce(&mut Role)) -> Role {
    let mut role = Role {
        allowed_domains: vec!["example.com".to_owned()],
        ..Role::default()
    };
    change(&mut role);
    role
}

#[test]
fn hosts_are_those_that_the_role_names() {
    let bare = role(|role| role.allow_bare_domains = true);
    let below = role(|role| role.allow_subdomains = true);
    let glob = role(|role| {
        role.allow_glob_domains = true;
        role.allowed_domains = vec!["web-*.example.com".to_owned()];
    });
    let any = role(|role| role.allow_any_name = true);
    let all = [&bare, &below, &glob, &any];
    for (name, allowed) in [
        ("example.com", [true, false, false, true]),
        ("EXAMPLE.com", [true, false, false, true]),
        ("a.example.com", [false, true, false, true]),
        ("a.b.example.com", [false, true, false, true]),
        ("*.example.com", [false, true, false, true]),
        ("*.a.example.com", [false, true, false, true]),
        ("fo*.example.com", [false, true, false, true]),
        ("web-1.example.com", [false, true, true, true]),
        ("localhost", [true, true, true, true]),
        ("*.localhost", [false, true, false, true]),
        ("a.localhost", [false, true, false, true]),
        // Look-alikes and smuggled names.
        ("badexample.com", [false, false, false, true]),
        ("example.com.evil.org", [false, false, false, true]),
        (".example.com", [false; 4]),
        ("example.com.", [false; 4]),
        ("a.*.example.com", [false; 4]),
        ("**.example.com", [false; 4]),
        ("*", [false; 4]),
        ("a b.example.com", [false; 4]),
        ("a,b.example.com", [false; 4]),
        ("a_b.example.com", [false; 4]),
        ("-a.example.com", [false; 4]),
        ("ex\u{430}mple.com", [false; 4]),
        ("", [false; 4]),
    ] {
        let found = all.map(|role| role.allows_host(name));
        assert_eq!(found, allowed, "{name}");
    }
    let none = role(|role| {
        role.allow_subdomains = true;
        role.allow_wildcard_certificates = false;
    });
    assert!(!none.allows_host("*.example.com") && none.allows_host("a.example.com"));
}

#[test]
fn mailboxes_are_those_of_the_domains() {
    let role = role(|role| role.allow_bare_domains = true);
    assert!(role.allows_email("ada@example.com"));
    for odd in [
        "ada@evil.org",
        "@example.com",
        "a@b@example.com",
        "a,b@example.com",
        "ada@a.example.com",
    ] {
        assert!(!role.allows_email(odd), "{odd}");
    }
}

#[test]
fn addresses_and_other_names_are_in_their_ranges() {
    let mut role = role(|role| {
        role.allowed_ip_sans_cidr = vec!["10.0.0.0/8".to_owned()];
        role.allowed_other_sans = vec!["1.2.3;UTF8:*@example.com".to_owned()];
    });
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    assert!(role.allows_address(address("10.1.2.3")));
    assert!(!role.allows_address(address("11.1.2.3")));
    assert!(!role.allows_address(address("::ffff:11.1.2.3")));
    let other = |text: &str| other_name(text).expect("a name");
    assert!(role.allows_other(&other("1.2.3;UTF8:a@example.com")));
    assert!(!role.allows_other(&other("1.2.4;UTF8:a@example.com")));
    assert!(!role.allows_other(&other("1.2.3;UTF8:a@evil.org")));
    role.allow_ip_sans = false;
    assert!(!role.allows_address(address("10.1.2.3")));
}
