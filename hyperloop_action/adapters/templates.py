"""Templates -> text; the one door to jinja2. ``prompts.py`` calls it.

Shipped templates are files in ``templates/``; the prompts of agents are templates that a project
wrote. Both run sandboxed, see only what they are given, and fail on a name that they were not.
Specs, findings and titles are values: what looks like a template in them stays as it is.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hyperloop_action.errors import ConfigError, Problem

FOLDER = Path(__file__).parents[1] / "templates"

OLD_NAMES = re.compile(r"(?<!\{)\{(spec_ref|task_id|round)\}(?!\})")
"""How definitions of before named a value: ``{round}``. All other braces are left alone."""


def render_shipped(name: str, values: Mapping[str, object]) -> str:
    """The text of ``templates/NAME``. It is ours: an error in it is a bug, and raised as it is."""
    return _environment().get_template(name).render(values)


def render_prompt(source: str, values: Mapping[str, object], *, where: Problem) -> str:
    """The text of an agent's prompt; ``where`` says what file, line and key it was read from.

    Raises :class:`ConfigError` naming that place, for a template that is wrong or that uses a name
    other than those of ``values``.
    """
    template = OLD_NAMES.sub(r"{{ \1 }}", source)
    try:
        return _environment().from_string(template).render(values)
    except TemplateSyntaxError as error:
        line = where.line + error.lineno - 1 if where.line else 0
        what = f"is not a template: {error.message} (line {error.lineno} of the text)"
        raise _refused(where, what, _TO_WRITE_BRACES, line=line) from error
    except SecurityError as error:
        raise _refused(where, f"is refused: {error}", "use values only") from error
    except TemplateError as error:
        known = ", ".join(f"{{{{ {name} }}}}" for name in values)
        raise _refused(where, f"cannot be filled in: {error}", _TO_WRITE_BRACES, known) from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise _refused(where, f"cannot be filled in: {error}", _TO_WRITE_BRACES) from error


_TO_WRITE_BRACES = "to write braces as they are, put {% raw %} and {% endraw %} around them"


def _refused(
    where: Problem, what: str, hint: str, expected: str = "", line: int | None = None
) -> ConfigError:
    at = where.line if line is None else line
    return ConfigError([Problem(where.file, at, where.key, what, expected, hint)])


class _Sandbox(ImmutableSandboxedEnvironment):
    """Values and conditions, without what only costs time: no prompt needs a power of a power."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(
        self,
        context: object,  # noqa: ARG002 - the signature is jinja's
        operator: str,
        left: object,  # noqa: ARG002
        right: object,  # noqa: ARG002
    ) -> object:
        raise SecurityError(f"the operator {operator} is not available in prompts")


@cache
def _environment() -> _Sandbox:
    # What is rendered is text for a model, never HTML: escaping would falsify specs.
    environment = _Sandbox(
        loader=FileSystemLoader(FOLDER),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.clear()
    environment.filters |= {"quoted": quoted, "plain": plain}
    return environment


def quoted(text: str, info: str = "") -> str:
    """A fenced block that its text cannot end: the fence is longer than any run of backticks."""
    runs = re.findall("`+", text)
    fence = "`" * max(3, 1 + max(map(len, runs), default=0))
    return f"{fence}{info}\n{text.rstrip()}\n{fence}"


def plain(text: str) -> str:
    """A title in a line of ours: one line, and nothing in it that would end a quotation."""
    return " ".join(text.replace("`", "'").replace('"', "'").split())
