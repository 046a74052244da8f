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


def git(*args):
    subprocess.run(["git", *args], check=True, capture_output=True)


def write(argument):
    path, _, text = argument.partition(":")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text + "\n")


def remove(path):
    Path(path).unlink()


def commit(message):
    git("add", "-A")
    git("commit", "-q", "-m", message)


def commit_all_forced(message):
    git("add", "-A", "-f")
    git("commit", "-q", "-m", message)


def run(command):
    subprocess.run(command, shell=True, check=True, capture_output=True)


def answer(text):
    Path(os.environ["HYPERLOOP_RESULT_FILE"]).write_text(text)


def verdict(word):
    answer(json.dumps({"verdict": word, "detail": f"it is a {word}"}))


def say(text):
    print(text, flush=True)


def complain(text):
    print(text, file=sys.stderr, flush=True)


def say_variable(name):
    print(f"the value is {os.environ[name]}", flush=True)


def write_variable(argument):
    path, _, name = argument.partition(":")
    Path(path).write_text(f"key = {os.environ[name]}\n")


def say_environment(_):
    print(json.dumps(dict(os.environ)), flush=True)


def say_stdin(_):
    print(json.dumps({"stdin": sys.stdin.read()}), flush=True)


def say_files(_):
    found = {
        name: Path(os.environ[name]).read_text()
        for name in ("HYPERLOOP_PROMPT_FILE", "HYPERLOOP_ORDER_FILE")
    }
    print(json.dumps(found), flush=True)


def long_line(size):
    sys.stdout.write("x" * int(size) + "\n")
    sys.stdout.flush()


def sparse(argument):
    path, _, size = argument.partition(":")
    with open(path, "wb") as file:
        file.truncate(int(size))


def fifo(path):
    os.mkfifo(path)


def answer_fifo(_):
    os.mkfifo(os.environ["HYPERLOOP_RESULT_FILE"])


def answer_link(target):
    os.symlink(target, os.environ["HYPERLOOP_RESULT_FILE"])


def sleep(seconds):
    time.sleep(float(seconds))


def ignore_sigterm(_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def daemon(path):
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
        Path(path).write_text(f"{os.getpid()} {n}\n")
        time.sleep(0.005)


def plant(witness):
    """Everything in ``.git`` that makes some git run a program, all of it pointing at one witness."""
    program = Path(".git/evil")
    program.write_text(f"#!/bin/sh\ntouch {witness}\ncat\n")
    program.chmod(0o755)
    full = str(program.resolve())
    Path(".git/hooks").mkdir(exist_ok=True)
    names = "post-commit pre-commit reference-transaction post-checkout post-index-change".split()
    for name in names:
        hook = Path(".git/hooks", name)
        hook.write_text(program.read_text())
        hook.chmod(0o755)
    with open(".git/config", "a") as config:
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


def rename_clone_to_link(target):
    here = Path.cwd()
    os.chdir("/")
    here.rename(here.with_name("elsewhere"))
    here.symlink_to(target)


def git_to_link(target):
    Path(".git").rename("../old-git")
    Path(".git").symlink_to(target)


def exit(code):
    sys.exit(int(code))


for act in sys.argv[1:]:
    name, _, argument = act.partition("=")
    globals()[name](argument)
