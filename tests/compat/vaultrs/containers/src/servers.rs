//! The names that `tests/common.rs` of vaultrs imports, in the places where it expects them.

/// A config with a builder that takes what it is given and a server that is not there.
macro_rules! absent {
    ($server:ident, $config:ident) => {
        pub struct $server;

        #[derive(Default)]
        pub struct $config;

        impl $config {
            pub fn builder() -> $config {
                $config
            }

            pub fn port(self, _: u32) -> $config {
                self
            }

            pub fn version(self, _: String) -> $config {
                self
            }

            pub fn env(self, _: std::collections::HashMap<String, String>) -> $config {
                self
            }

            pub fn build(self) -> Result<$config, &'static str> {
                Ok(self)
            }
        }

        impl crate::Config for $config {
            fn accept(self) {
                panic!("there is no {}", stringify!($server));
            }
        }
    };
}

pub mod cloud {
    pub mod localstack {
        absent!(LocalStackServer, LocalStackServerConfig);
    }
}

pub mod database {
    pub mod postgres {
        absent!(PostgresServer, PostgresServerConfig);
    }
}

pub mod webserver {
    pub mod nginx {
        absent!(NginxServer, NginxServerConfig);

        pub type ManagedContent = Vec<u8>;

        impl NginxServerConfig {
            pub fn tls_from_ca_bytes(&mut self, _: &[u8], _: &[u8]) -> Result<ManagedContent, &'static str> {
                Ok(Vec::new())
            }

            pub fn add_web_content(&mut self, _: WebserverContent) -> Result<ManagedContent, &'static str> {
                Ok(Vec::new())
            }
        }

        pub struct WebserverContent;

        impl WebserverContent {
            pub fn builder() -> WebserverContent {
                WebserverContent
            }

            pub fn name(self, _: &str) -> WebserverContent {
                self
            }

            pub fn content(self, _: Vec<u8>) -> WebserverContent {
                self
            }

            pub fn content_type(self, _: &str) -> WebserverContent {
                self
            }

            pub fn serve_path(self, _: &str) -> WebserverContent {
                self
            }

            pub fn build(self) -> Result<WebserverContent, &'static str> {
                Ok(self)
            }
        }
    }
}

pub mod hashi {
    /// Where the server is, and its root token.
    pub struct VaultServer {
        pub token: String,
        pub(crate) port: u16,
    }

    impl VaultServer {
        pub fn external_url(&self) -> String {
            format!("http://127.0.0.1:{}", self.port)
        }
    }

    #[derive(Default)]
    pub struct VaultServerConfig;

    impl VaultServerConfig {
        pub fn builder() -> VaultServerConfig {
            VaultServerConfig
        }

        pub fn port(self, _: u32) -> VaultServerConfig {
            self
        }

        pub fn version(self, _: String) -> VaultServerConfig {
            self
        }

        pub fn build(self) -> Result<VaultServerConfig, &'static str> {
            Ok(self)
        }
    }

    impl crate::Config for VaultServerConfig {
        fn accept(self) {}
    }
}
