//! What a job's definition needs, for each forge.

/// A job that may log in.
pub(super) struct Job<'a> {
    pub(super) forge: &'static str,
    pub(super) address: &'a str,
    pub(super) role: &'a str,
    pub(super) mount: &'a str,
    pub(super) audience: &'a str,
    pub(super) environment: Option<&'a str>,
}

impl Job<'_> {
    pub(super) fn text(&self) -> String {
        let Job {
            address, audience, ..
        } = self;
        let run = self.run();
        let environment = |indent: &str| {
            let line = |name| format!("\n{indent}environment: {name}");
            self.environment.map(line).unwrap_or_default()
        };
        match self.forge {
            "github" => format!(
                "\
jobs:
  deploy:
    runs-on: ubuntu-latest{}
    permissions:
      contents: read
      id-token: write
    env:
      VAULT_ADDR: {address}
    steps:
      - run: {run}",
                environment("    ")
            ),
            "gitlab" => format!(
                "\
deploy:{}
  id_tokens:
    VAULT_ID_TOKEN:
      aud: {audience}
  variables:
    VAULT_ADDR: {address}
  script:
    - {run}",
                environment("  ")
            ),
            "buildkite" => format!(
                "\
steps:
  - command: {run}
    env:
      VAULT_ADDR: {address}"
            ),
            "circleci" => format!(
                "\
jobs:
  deploy:  # in the workflow, give it a context, any one: without there is no token
    environment:
      VAULT_ADDR: {address}
    steps:
      - run: {run}"
            ),
            _ => format!(
                "\
environment {{ VAULT_ADDR = '{address}' }}
steps {{
  // an 'OpenID Connect id token' credential with the audience {audience}
  withCredentials([string(credentialsId: 'vault', variable: 'VAULT_ID_TOKEN')]) {{
    sh '{run}'
  }}
}}"
            ),
        }
    }

    fn run(&self) -> String {
        let path = match self.mount {
            "jwt" => String::new(),
            mount => format!(" --ci-path {mount}"),
        };
        // Where a job asks for its token itself, it says whom it is for.
        let audience = match self.forge {
            "github" | "buildkite" if self.audience != self.address => {
                format!(" --audience {}", self.audience)
            }
            _ => String::new(),
        };
        let role = self.role;
        format!(
            "vaultctl run --ci-role {role}{path}{audience} --mask -s secret/apps/web -- ./deploy.sh"
        )
    }
}
