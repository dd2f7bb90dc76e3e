//! What the directory is asked in the course of a login.

use std::time::Duration;

use super::model::Config;
use super::name::{UserName, common_name};
use crate::auth::secret::Secret;
use crate::outbound::{Directory, Entry, Failure, Reach, Search, Trust, in_filter, in_name};

/// More groups than anybody is in.
const GROUPS_MAX: usize = 1000;

/// A template with `{{.NAME}}` replaced. `None` if it names something else.
fn render(template: &str, values: &[(&str, &str)]) -> Option<String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}")?;
        let name = name.trim().strip_prefix('.')?;
        let (_, value) = values.iter().find(|(known, _)| *known == name)?;
        out.push_str(before);
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// Finds the user of this name.
pub(super) fn user_filter(config: &Config, name: &str) -> Option<String> {
    let name = in_filter(name);
    let template = match config.user_filter.as_str() {
        "" => "({{.UserAttr}}={{.Username}})",
        template => template,
    };
    match config.upn_domain.as_str() {
        "" => render(
            template,
            &[("UserAttr", &config.user_attr), ("Username", &name)],
        ),
        domain => {
            let name = format!("{name}@{}", in_filter(domain));
            render(
                template,
                &[("UserAttr", "userPrincipalName"), ("Username", &name)],
            )
        }
    }
}

/// Finds the groups of this user.
pub(super) fn group_filter(config: &Config, name: &str, dn: &str) -> Option<String> {
    let values = [("Username", in_filter(name)), ("UserDN", in_filter(dn))];
    let values = values.each_ref().map(|(key, value)| (*key, value.as_str()));
    render(&config.group_filter, &values)
}

/// Who logged in, as the directory says.
pub(super) struct Person {
    /// What his entity is known by.
    pub alias: String,
    pub groups: Vec<String>,
}

async fn connect(config: &Config) -> Result<Directory, Failure> {
    let trust = Trust::from_pem(&config.certificate)?;
    let rules = config.tls()?;
    let mut last = Failure::DirectoryUrl;
    for url in &config.urls {
        let reach = Reach {
            url,
            starttls: config.starttls,
            trust: &trust,
            rules: rules.clone(),
            connect: Duration::from_secs(config.connection_timeout),
            request: Duration::from_secs(config.request_timeout),
        };
        match Directory::connect(&reach).await {
            Ok(directory) => return Ok(directory),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

/// The person with this name and password; none if the directory does not know him.
pub(super) async fn ask(
    config: &Config,
    name: &UserName,
    password: &Secret,
) -> Result<Option<Person>, Failure> {
    let mut directory = connect(config).await?;
    let found = match config.searches() {
        true => find(config, &mut directory, name).await?,
        false => Some(made_up(config, name)),
    };
    let Some(mut found) = found else {
        return Ok(None);
    };
    if !directory.bind(&found.dn, password.expose()).await? {
        return Ok(None);
    }
    // Groups are read by who searched, not by who logs in.
    if let Some((dn, password)) = config.service() {
        serve(&mut directory, dn, password).await?;
    }
    let alias = match (config.username_as_alias, found.values.as_slice()) {
        (true, _) => name.as_str().to_owned(),
        (false, [alias]) => alias.clone(),
        (false, _) => return Err(Failure::Answer("the user's userattr has not one value")),
    };
    if !config.searches() && !config.upn_domain.is_empty() {
        found.dn = by_principal(config, &mut directory, name).await?;
    }
    let groups = groups(config, directory, name, &found.dn).await?;
    Ok(Some(Person { alias, groups }))
}

/// What is known of a person without his password.
pub(super) enum Still {
    Gone,
    /// With his groups, if others than he may read them.
    There(Option<Vec<String>>),
}

/// Asks about a person who has logged in before.
pub(super) async fn look_up(config: &Config, name: &UserName) -> Result<Still, Failure> {
    if !config.searches() {
        return Ok(Still::There(None));
    }
    let mut directory = connect(config).await?;
    let Some(found) = find(config, &mut directory, name).await? else {
        return Ok(Still::Gone);
    };
    if config.service().is_none() && !config.anonymous_group_search {
        return Ok(Still::There(None));
    }
    let groups = groups(config, directory, name, &found.dn).await?;
    Ok(Still::There(Some(groups)))
}

async fn serve(directory: &mut Directory, dn: &str, password: &Secret) -> Result<(), Failure> {
    match directory.bind(dn, password.expose()).await? {
        true => Ok(()),
        false => Err(Failure::Answer("binddn and bindpass are refused")),
    }
}

/// The one entry that the filter finds.
async fn find(
    config: &Config,
    directory: &mut Directory,
    name: &UserName,
) -> Result<Option<Entry>, Failure> {
    if let Some((dn, password)) = config.service() {
        serve(directory, dn, password).await?;
    }
    let filter = user_filter(config, name.as_str()).unwrap_or_default();
    only(config, directory, &filter).await
}

async fn only(
    config: &Config,
    directory: &mut Directory,
    filter: &str,
) -> Result<Option<Entry>, Failure> {
    let search = Search {
        base: &config.user_dn,
        filter,
        attribute: &config.user_attr,
        dereference: config.dereference,
        // With a second one it is nobody.
        limit: 2,
        page: 0,
    };
    let mut found = directory.search(&search).await?.into_iter();
    Ok(match (found.next(), found.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    })
}

/// The name that the config says how to make.
fn made_up(config: &Config, name: &UserName) -> Entry {
    let name = name.as_str();
    let dn = match config.upn_domain.as_str() {
        // No distinguished name: nothing is special in it (MS-ADTS, 5.1.1.1.1).
        domain if !domain.is_empty() => format!("{name}@{domain}"),
        _ => format!("{}={},{}", config.user_attr, in_name(name), config.user_dn),
    };
    Entry {
        values: vec![dn.clone()],
        dn,
    }
}

/// The distinguished name of who has logged in as `NAME@DOMAIN`.
async fn by_principal(
    config: &Config,
    directory: &mut Directory,
    name: &UserName,
) -> Result<String, Failure> {
    let (name, domain) = (in_filter(name.as_str()), in_filter(&config.upn_domain));
    let filter = format!("(userPrincipalName={name}@{domain})");
    let found = only(config, directory, &filter).await?;
    Ok(found.map_or(String::new(), |found| found.dn))
}

async fn groups(
    config: &Config,
    mut directory: Directory,
    name: &UserName,
    dn: &str,
) -> Result<Vec<String>, Failure> {
    let filter = group_filter(config, name.as_str(), dn).unwrap_or_default();
    if filter.is_empty() || config.group_dn.is_empty() {
        return Ok(Vec::new());
    }
    if config.anonymous_group_search {
        directory.close().await;
        directory = connect(config).await?;
    }
    let search = Search {
        base: &config.group_dn,
        filter: &filter,
        attribute: &config.group_attr,
        dereference: config.dereference,
        limit: GROUPS_MAX,
        page: config.page_size,
    };
    let mut names = Vec::new();
    for entry in directory.search(&search).await? {
        match entry.values.is_empty() {
            true => names.push(common_name(&entry.dn)),
            false => names.extend(entry.values.iter().map(|value| common_name(value))),
        }
    }
    directory.close().await;
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            user_attr: "uid".to_owned(),
            user_dn: "ou=people".to_owned(),
            ..Config::default()
        }
    }

    #[test]
    fn a_name_changes_neither_filter_nor_distinguished_name() {
        let config = config();
        let filter = |name| user_filter(&config, name).unwrap_or_default();
        assert_eq!(filter("ann"), "(uid=ann)");
        assert_eq!(filter("*"), "(uid=\\2a)");
        assert_eq!(filter("a)(uid=*"), "(uid=a\\29\\28uid=\\2a)");
        let upn = Config {
            upn_domain: "example.org".to_owned(),
            ..config.clone()
        };
        let filter = user_filter(&upn, "a*").unwrap_or_default();
        assert_eq!(filter, "(userPrincipalName=a\\2a@example.org)");
        let filter = group_filter(&config, "a", "uid=a\\2c(b),ou=people").unwrap_or_default();
        assert_eq!(
            filter,
            "(|(memberUid=a)(member=uid=a\\5c2c\\28b\\29,ou=people)(uniqueMember=uid=a\\5c2c\\28b\\29,ou=people))"
        );
        let dn = |name: &str| {
            let name = UserName::parse(name, false);
            name.map_or(String::new(), |name| made_up(&config, &name).dn)
        };
        assert_eq!(dn("ann"), "uid=ann,ou=people");
        assert_eq!(dn("ann,ou=x"), "uid=ann\\2cou\\3dx,ou=people");
        assert_eq!(dn("#x+y"), "uid=\\23x\\2by,ou=people");
    }

    #[test]
    fn templates_know_their_names() {
        let values = [("A", "1"), ("B", "2")];
        assert_eq!(render("x{{.A}}{{ .B }}y", &values).as_deref(), Some("x12y"));
        for odd in ["{{.C}}", "{{A}}", "{{.A", "{{printf \"x\"}}", "{{.A}}{{"] {
            assert_eq!(render(odd, &values), None, "{odd}");
        }
        // What was put in is not read again.
        assert_eq!(
            render("{{.A}}", &[("A", "{{.A}}")]).as_deref(),
            Some("{{.A}}")
        );
    }
}
