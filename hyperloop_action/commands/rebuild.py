"""``rebuild``: a state branch made anew from task branches and trunk, when it was lost."""

from hyperloop_action.commands.call import Call
from hyperloop_action.domain.rebuild import rebuilt, summary
from hyperloop_action.errors import UsageError


def rebuild(call: Call) -> int:
    """Only where there is none: what a branch remembers is never replaced by less."""
    app = call.open()
    branch = app.settings.state_branch
    stored = app.ports.state.load()
    if stored.tip:
        raise UsageError(
            f"the branch {branch} is there, at {stored.tip[:12]}",
            expected="none: rebuild is for a state that was lost",
            hint=f"to rebuild it all the same, first: git branch -m {branch} {branch}-old",
        )
    world = app.ports.repository.observe(stored.state)
    after = rebuilt(app.ports.repository.evidence(), app.rules().process)
    told = summary(after, world.specs)
    lines = [f"{task.id} restored from {task.branch}" for task in after.tasks.values()]
    app.ports.state.save(stored, after, "rebuild the state from branches and trailers", lines, ())
    call.screen.show(f"{branch} is there again: {told}.", "Go on with: hyperloop run")
    return 0
