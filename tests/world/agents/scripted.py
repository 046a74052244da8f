"""A small agent for tests: does each act named on its command line, one after the other.

An act is ``name`` or ``name=argument``. The hostile ones try to reach what is outside the clone.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HOOKS = ("post-commit", "pre-commit", "reference-transaction", "post-index-change")


def git(*args: str) -> None:
    subprocess.run(["git", *args], check=True, capture_output=True)


def write(argument: str) -> None:
    path, _, text = argument.partition(":")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text + "\n")


def remove(path: str) -> None:
    Path(path).unlink()


def commit(message: str) -> None:
    git("add", "-A")
    git("commit", "-q", "-m", message)


def commit_all_forced(message: str) -> None:
    git("add", "-A", "-f")
    git("commit", "-q", "-m", message)


def run(command: str) -> None:
    subprocess.run(command, shell=True, check=True, capture_output=True)


def answer(text: str) -> None:
    Path(os.environ["HYPERLOOP_RESULT_FILE"]).write_text(text)


def verdict(word: str) -> None:
    answer(json.dumps({"verdict": word, "detail": f"it is a {word}"}))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def say_variable(name: str) -> None:
    say(f"the value is {os.environ[name]}")


def write_variable(argument: str) -> None:
    path, _, name = argument.partition(":")
    Path(path).write_text(f"key = {os.environ[name]}\n")


def say_environment(_: str) -> None:
    say(json.dumps(dict(os.environ)))


def say_stdin(_: str) -> None:
    say(json.dumps({"stdin": sys.stdin.read()}))


def say_files(_: str) -> None:
    found = {
        name: Path(os.environ[name]).read_text()
        for name in ("HYPERLOOP_PROMPT_FILE", "HYPERLOOP_ORDER_FILE")
    }
    say(json.dumps(found))


def long_line(size: str) -> None:
    sys.stdout.write("x" * int(size) + "\n")
    sys.stdout.flush()


def sparse(argument: str) -> None:
    path, _, size = argument.partition(":")
    with Path(path).open("wb") as file:
        file.truncate(int(size))


def fifo(path: str) -> None:
    os.mkfifo(path)


def answer_fifo(_: str) -> None:
    os.mkfifo(os.environ["HYPERLOOP_RESULT_FILE"])


def answer_link(target: str) -> None:
    Path(os.environ["HYPERLOOP_RESULT_FILE"]).symlink_to(target)


def sleep(seconds: str) -> None:
    time.sleep(float(seconds))


def ignore_sigterm(_: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def daemon(path: str) -> None:
    """Leave the process group, scrub the environment, and keep writing."""
    if os.fork():
        while not Path(path).exists():
            time.sleep(0.005)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    n = 0
    while True:
        n += 1
        Path(f"{path}.new").write_text(f"{os.getpid()} {n}\n")
        Path(f"{path}.new").replace(path)  # it is killed at any moment, and its sign is read then
        time.sleep(0.005)


def plant(witness: str) -> None:
    """Everything in ``.git`` that makes some git run a program; all of it touches ``witness``."""
    program = Path(".git/evil")
    program.write_text(f"#!/bin/sh\ntouch {witness}\ncat\n")
    program.chmod(0o755)
    full = str(program.resolve())
    Path(".git/hooks").mkdir(exist_ok=True)
    for name in HOOKS:
        hook = Path(".git/hooks", name)
        hook.write_text(program.read_text())
        hook.chmod(0o755)
    with Path(".git/config").open("a") as config:
        config.write(
            f"[core]\n\thooksPath = {Path('.git/hooks').resolve()}\n\tfsmonitor = {full}\n"
            f"\tsshCommand = {full}\n\talternateRefsCommand = {full}\n"
            f'[filter "evil"]\n\tclean = {full}\n\tsmudge = {full}\n\trequired = true\n'
            f'[diff "evil"]\n\ttextconv = {full}\n\tcommand = {full}\n'
            f"[uploadpack]\n\tpackObjectsHook = {full}\n"
            f'[remote "evil"]\n\turl = /nowhere\n\tpromisor = true\n\tuploadpack = {full}\n'
            f"[extensions]\n\tpartialClone = evil\n[gpg]\n\tprogram = {full}\n"
        )
    Path(".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")


def rename_clone_to_link(target: str) -> None:
    here = Path.cwd()
    os.chdir("/")
    here.rename(here.with_name("elsewhere"))
    here.symlink_to(target)


def git_to_link(target: str) -> None:
    Path(".git").rename("../old-git")
    Path(".git").symlink_to(target)


def end(code: str) -> None:
    sys.exit(int(code))


for act in sys.argv[1:]:
    name, _, argument = act.partition("=")
    globals()[name](argument)
