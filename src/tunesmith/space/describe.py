"""Parameters in words for people."""

import re
from collections.abc import Mapping

from tunesmith.space.lists import Categorical
from tunesmith.space.parameters import Parameter, parents
from tunesmith.space.prior import Prior
from tunesmith.space.ranges import Double, Integer
from tunesmith.space.values import Value, show

__all__ = ["describe", "differences"]

_SHOWN = 8
_PLAIN_WORD = re.compile(r"(?!(?:True|False|nan|inf)$)[^\W\d_](?:[\w+./:@ -]*[\w+])?")


def describe(parameter: Parameter, *, at_most: int = _SHOWN) -> str:
    """Return a parameter in a few words; of a long list only the first ``at_most`` values."""
    kind = type(parameter).__name__.lower()
    if isinstance(parameter, Double | Integer):
        words = f"{kind} {show(parameter.low)}..{show(parameter.high)}"
        words += f" step {show(parameter.step)}" if parameter.step is not None else ""
    else:
        shown = ", ".join(map(_word, parameter.values[:at_most]))
        more = len(parameter.values) - at_most
        words = f"{kind} {shown}" + (f", … ({more} more)" if more > 0 else "")
    if not isinstance(parameter, Categorical) and parameter.scale != "linear":
        words += f" {parameter.scale}"
    if parameter.default is not None:
        words += f", default {_word(parameter.default)}"
    if isinstance(prior := parameter.prior, Prior):
        words += f", prior {_word(prior.center)}"
        words += f" ({prior.confidence} confidence)" if prior.confidence != "medium" else ""
    conditions = [
        f"{parent} is {' or '.join(map(_word, wanted))}" for parent, wanted in parents(parameter)
    ]
    return words + (f" (when {' and '.join(conditions)})" if conditions else "")


def differences(old: Mapping[str, Parameter], new: Mapping[str, Parameter]) -> list[str]:
    """Return one sentence for each parameter that was removed, added or changed."""
    sentences = [
        f"{name}: removed (was {describe(p)})" for name, p in old.items() if name not in new
    ]
    for name, parameter in new.items():
        if name not in old:
            sentences.append(f"{name}: added ({describe(parameter)})")
        elif old[name] != parameter:
            was, now = describe(old[name]), describe(parameter)
            if was == now:  # the difference lies further down a long list
                longest = max(old[name].size or 0, parameter.size or 0)
                was = describe(old[name], at_most=longest)
                now = describe(parameter, at_most=longest)
            sentences.append(f"{name}: was {was}, is now {now}")
    return sentences


def _word(value: Value) -> str:
    """Return a value as it stands in a sentence; a text in quotes where it could be taken for another."""
    if isinstance(value, str):
        return value if _PLAIN_WORD.fullmatch(value) else repr(value)
    return str(value) if isinstance(value, bool) else show(value)
