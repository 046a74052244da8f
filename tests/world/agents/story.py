"""An agent for stories in which things are killed: story.py LEDGER [PAUSE_S]

What it does depends on its order alone, never on how often it was started. It writes two lines to
the ledger, which lies outside of every repository: when it starts, and when it has reported what it
cost. So the ledger knows what was paid for, whatever the engine remembers. While there is a file
``hold`` beside the ledger, an implementer stays half-way.
"""

import json
import os
import sys
import time
from pathlib import Path

COST_USD = 0.25
FAILS_IN_ROUND_0 = "Words"

ledger = Path(sys.argv[1])
pause_s = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
order = json.loads(Path(os.environ["HYPERLOOP_ORDER_FILE"]).read_text())


def note(what: str) -> None:
    line = {"what": what, "order": order["id"], "pid": os.getpid(), "round": order["round"]}
    line |= {"role": order["role"], "task": order["task"]}
    with ledger.open("a") as file:  # one short write to a file opened to append is never torn
        file.write(json.dumps(line) + "\n")


def plan() -> dict[str, object]:
    """A task per spec, each after the one before it."""
    paths = [spec["path"] for spec in order["specs"]]
    keys = [Path(path).stem for path in paths]
    proposals = [
        {
            "key": key,
            "title": key.capitalize(),
            "description": f"What {path} says.",
            "spec": path,
            "deps": keys[:n][-1:],
        }
        for n, (key, path) in enumerate(zip(keys, paths, strict=True))
    ]
    return {"proposals": proposals}


def implement() -> dict[str, object]:
    """One commit, then a change that is left to the supervisor; a second session may follow."""
    title = order["title"]
    folder = Path("src")
    folder.mkdir(exist_ok=True)
    (folder / f"{title}.txt").write_text(f"{title} of round {order['round']}\n")
    os.system("git add -A && git commit --quiet -m 'First half' || true")
    note("half-way")
    time.sleep(pause_s)
    while ledger.with_name("hold").exists():
        time.sleep(0.02)
    (folder / f"{title}.more.txt").write_text("The second half.\n")
    return {"verdict": "pass", "detail": f"Wrote {title}."}


def verify() -> dict[str, object]:
    time.sleep(pause_s)
    whole = Path("src", f"{order['title']}.more.txt").exists()
    first = order["round"] == 0 and order["title"] == FAILS_IN_ROUND_0
    passed = whole and not first
    return {"verdict": "pass" if passed else "fail", "detail": f"whole: {whole}, first: {first}"}


note("starts")
answer = {"proposals": plan, "changes": implement, "verdict": verify}[order["wants"]]()
answer["usage"] = {"cost_usd": COST_USD, "turns": 1}
target = Path(os.environ["HYPERLOOP_RESULT_FILE"])
target.with_suffix(".new").write_text(json.dumps(answer))
target.with_suffix(".new").rename(target)
note("reported")
