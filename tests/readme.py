#!/usr/bin/env python3
"""Types every command of the README's "By hand" section on a terminal, as a reader would.

    tests/readme.py [--bin DIR]        default: target/release

The programs are those in DIR; everything else is typed as it stands, but for the ports, which are free
ones, and the home folder, which is a temporary one. Prompts are answered. A command that ends with
another exit code than the README says is a failure.
"""
import os, pty, re, select, socket, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PASSPHRASE = "correct horse battery staple"
PASSWORD = "s3cr3t-of-the-readme"
# What a command that does not end by itself says once it works.
RUNNING = {"vaultd server": "listening on", "vaultd dev": "Root Token:", "cargo run": "ready:"}
# Exit codes other than 0 that the text announces.
CODES = {"vaultctl status": 2}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


class Terminal:
    """A bash on a terminal of its own."""

    def __init__(self, home):
        env = {k: v for k, v in os.environ.items() if not re.match("VAULT_|BAO_", k)}
        for name, folder in (("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")):
            env.setdefault(name, os.path.expanduser("~/" + folder))
        env.update(HOME=home, PS1="", PS2="", TERM="dumb", HISTFILE="/dev/null")
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], env)
        self.seen = ""
        self.type("stty -echo")
        self.ends("true")

    def type(self, text):
        os.write(self.fd, text.encode() + b"\n")

    def read(self, seconds):
        """What is printed until `seconds` pass or something arrives."""
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                self.seen += os.read(self.fd, 65536).decode(errors="replace").replace("\r", "")
            except OSError:
                raise SystemExit("the terminal ended")

    def until(self, pattern, answers=(), limit=600):
        """Waits for `pattern`, answering each prompt on the way; returns the match and all text."""
        begun, text = time.time(), ""
        while True:
            found = re.search(pattern, self.seen)
            if found:
                text += self.seen[: found.start()]
                self.seen = self.seen[found.end():]
                return found, text
            for prompt, answer in answers:
                asked = re.search(prompt, self.seen)
                if asked:
                    text += self.seen[: asked.end()]
                    self.seen = self.seen[asked.end():]
                    self.type(answer() if callable(answer) else answer)
            if time.time() - begun > limit:
                raise SystemExit(f"no {pattern!r} within {limit} s; on the terminal:\n{text}{self.seen}")
            self.read(0.2)

    def ends(self, command, answers=()):
        """Types a command and waits for its end; its exit code and what it printed."""
        # In one line with the command, so that no prompt takes it for its answer.
        joint = "\n" if "<<" in command else "; "
        self.type(command + joint + "printf '\\n<<%s>>\\n' $?")
        found, text = self.until(r"<<(\d+)>>", answers)
        return int(found.group(1)), text.strip()

    def close(self):
        # A server takes a hang-up for "reload"; Ctrl-C ends it.
        os.write(self.fd, b"\x03\nexit\n")
        try:
            while select.select([self.fd], [], [], 20)[0] and os.read(self.fd, 65536):
                pass
        except OSError:
            pass  # The terminal is closed: bash has ended.
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def blocks(readme):
    section = readme.split("\n## By hand", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```sh\n(.*?)```", section, re.S)


def commands(block):
    """Lines, a here-document with its first."""
    lines, out = block.splitlines(), []
    while lines:
        line = lines.pop(0)
        here = re.search(r"<<'(\w+)'", line)
        if here:
            while True:
                line += "\n" + lines[0]
                if lines.pop(0) == here.group(1):
                    break
        out.append(line)
    return out


def main():
    given = sys.argv[2] if sys.argv[1:2] == ["--bin"] else os.path.join(ROOT, "target/release")
    programs = os.path.abspath(given)
    with open(os.path.join(ROOT, "README.md")) as file:
        text = file.read()
    for port in ("8200", "8300"):
        text = text.replace(port, free_port())
    with tempfile.TemporaryDirectory(prefix="vaultd-readme-") as home:
        work(blocks(text), programs, home)


def work(blocks, programs, home):
    known = {}
    answers = [
        (r"Passphrase for [^\n]*: ?$", PASSPHRASE),
        (r"Token[^\n]*: $", lambda: known["root"]),
        (r"Value of db_password: $", PASSWORD),
        (r"Type seal to go on: $", "seal"),
    ]
    terminals, typed = [], 0
    try:
        # The server keeps the first terminal; a reader opens another one.
        terminal = None
        for block in blocks:
            if terminal is None:
                terminal = Terminal(home)
                terminals.append(terminal)
            for command in commands(block):
                shown = command.split("\n")[0]
                if command.startswith("cargo build"):
                    continue
                command = command.replace("$PWD/target/release", programs)
                running = next((text for start, text in RUNNING.items() if command.startswith(start)), None)
                if command.startswith("cargo run"):
                    command = os.path.join(programs, "examples/web_app")
                typed += 1
                print(f"$ {shown}", flush=True)
                if running:
                    terminal.type(command)
                    terminal.until(re.escape(running))
                    if "web_app" in command:
                        os.write(terminal.fd, b"\x03")
                        code, printed = terminal.ends("true")
                    else:
                        terminal = None
                    continue
                code, printed = terminal.ends(command, answers)
                print("\n".join("    " + line for line in printed.splitlines()), flush=True)
                wanted = CODES.pop(command, 0)
                if code != wanted:
                    raise SystemExit(f"readme: FAILED: {shown!r} ended with {code} instead of {wanted}")
                token = re.search(r"Root Token: (\S+)", printed)
                if token:
                    known["root"] = token.group(1)
                if (PASSWORD in printed) != ("secret/apps/web" in command and "--reveal" in command):
                    raise SystemExit(f"readme: FAILED: {shown!r} showed the secret, or did not")
    finally:
        for terminal in reversed(terminals):
            terminal.close()
    if typed < 30:
        raise SystemExit(f"readme: FAILED: only {typed} commands were found")
    print(f"readme: {typed} commands typed, all did what the README says")


if __name__ == "__main__":
    main()
