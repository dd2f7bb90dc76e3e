//! Durations as Vault shows them: `768h`, `1h30m`.

/// Whole seconds with units, the way Vault's tables show them.
pub(crate) fn show(seconds: u64) -> String {
    let (h, m, s) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let parts = [(h, 'h'), (m, 'm'), (s, 's')];
    let text: String = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, u)| format!("{n}{u}"))
        .collect();
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_shown_in_hours_minutes_and_seconds() {
        assert_eq!(show(2_764_800), "768h");
        assert_eq!(show(3_661), "1h1m1s");
        assert_eq!(show(0), "0s");
    }
}
