//! Nothing: see `hashicorp_vault.sh`.
