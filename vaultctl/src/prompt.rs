//! Questions to the person at the terminal. Secrets are never echoed, and nothing waits for a
//! terminal that is not there.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Outcome, file, local};

/// Shortest passphrase accepted for a share file, in characters.
pub(crate) const MIN_PASSPHRASE: usize = 12;

/// Reads one line from the terminal without echo.
pub(crate) fn hidden(question: &str, otherwise: &str) -> Outcome<Zeroizing<String>> {
    rpassword::prompt_password(format!("{question}: "))
        .map(Zeroizing::new)
        .map_err(|_| {
            local(
                format!("cannot ask for it ({question}): there is no terminal"),
                otherwise,
            )
        })
}

/// Asks twice for a new passphrase until both agree.
pub(crate) fn new_passphrase(operator: &str) -> Outcome<Zeroizing<String>> {
    let otherwise = "run this on a terminal, or give --passphrase-file NAME=FILE";
    loop {
        let first = hidden(
            &format!("Passphrase for {operator} (at least {MIN_PASSPHRASE} characters)"),
            otherwise,
        )?;
        if let Err(reason) = check_passphrase(&first) {
            eprintln!("{reason}");
            continue;
        }
        let second = hidden(&format!("Passphrase for {operator}, again"), otherwise)?;
        if *first == *second {
            return Ok(first);
        }
        eprintln!("The two differ; once more.");
    }
}

/// Says why a passphrase is too weak to hold a share.
pub(crate) fn check_passphrase(passphrase: &str) -> Result<(), String> {
    let length = passphrase.chars().count();
    if length < MIN_PASSPHRASE {
        return Err(format!(
            "The passphrase has {length} characters; a share file can be attacked offline, so at least {MIN_PASSPHRASE} are needed."
        ));
    }
    Ok(())
}

/// Reads a passphrase from a file; one line end at its end does not count.
pub(crate) fn passphrase_file(path: &Path) -> Outcome<Zeroizing<String>> {
    let mut text =
        Zeroizing::new(std::fs::read_to_string(path).map_err(|e| file("read", path, &e))?);
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// Lets a destructive command go on only after its target was typed back.
///
/// # Errors
/// A local failure when the answer differs, or when nobody can be asked.
pub(crate) fn confirm(yes: bool, deed: &str, name: &str) -> Outcome {
    if yes {
        return Ok(());
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(local(
            format!("this would {deed}, and nobody is there to confirm it"),
            "add --yes",
        ));
    }
    eprint!("This will {deed}.\nType {name} to go on: ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    if read.is_ok() && answer.trim() == name {
        return Ok(());
    }
    Err(local(
        "not confirmed, nothing was done",
        format!("type exactly {name}, or add --yes"),
    ))
}
