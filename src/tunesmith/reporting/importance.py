"""Which parameters matter: shares of a metric's variance, with words for people.

main    what a parameter does on its own
total   all that it takes part in, so totals may add up to more than 1
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Self

import numpy as np

from tunesmith.reporting.figures import number
from tunesmith.space import Categorical, Parameter, Space

if TYPE_CHECKING:
    from tunesmith.search.importance import Analysis

__all__ = ["Effect", "Importance", "Interaction", "importance_document"]

_SIDES = (0.05, 0.95)  # of the interval that is told
_SHOWN = 3  # interactions, in words
_SMALL = 0.02  # an interaction below this is no news
_IDLE = 0.05  # a parameter whose share is surely below this hardly matters
_BAR = 24
_EXTREME = 0.9
_HOPELESS = 0.2


@dataclass(frozen=True, slots=True)
class Effect:
    """How much a parameter matters; shares of the variance, from 0 to 1.

    Attributes:
        main: What it does on its own.
        total: All that it takes part in.
        low: ``total`` is between here
        high: and here with a probability of 90 percent, if the model is right.
        active: In how much of the space it is active.
        trend: Which of its values are good, averaged over all other parameters; ``""`` where that
            is not clear.
    """

    main: float
    total: float
    low: float
    high: float
    active: float = 1.0
    trend: str = ""


@dataclass(frozen=True, slots=True)
class Interaction:
    """What two parameters do together, beyond what each does on its own.

    Attributes:
        first: A parameter.
        second: Another.
        share: Of the variance, from 0 to 1.
        low: ``share`` is between here
        high: and here with a probability of 90 percent, if the model is right.
    """

    first: str
    second: str
    share: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.first} and {self.second} together: {_percent(self.share)} ({_interval(self)})"
        )


@dataclass(frozen=True, slots=True, repr=False)
class Importance:
    """Which parameters of a study matter for a metric.

    Attributes:
        metric: The metric.
        top: The better part of the space that was looked at; None for all of it.
        trials: How many trials have a value of the metric.
        left_out: How many ended without one.
        explained: How much of the differences between trials the model predicts, each trial from
            the others (leave-one-out R²): 1 for all, 0 or less for nothing.
        parameters: By name, the greatest total first.
        interactions: Of pairs of parameters, the strongest first.
        warnings: Why the numbers may be wrong, a sentence each.
        findings: What they say, a sentence each.
    """

    metric: str
    top: float | None
    trials: int
    left_out: int
    explained: float
    parameters: Mapping[str, Effect]
    interactions: Sequence[Interaction]
    warnings: Sequence[str]
    findings: Sequence[str]

    @classmethod
    def of(cls, analysis: "Analysis", space: Space) -> Self:
        """Return what an analysis says, by the names of the parameters."""
        parameters = _effects(analysis, space)
        interactions = _interactions(analysis, space)
        return cls(
            metric=analysis.metric,
            top=analysis.share,
            trials=analysis.trials,
            left_out=analysis.left_out,
            explained=analysis.explained,
            parameters=parameters,
            interactions=interactions,
            warnings=_warnings(analysis, len(space)),
            findings=() if analysis.explained < _HOPELESS else _findings(parameters, interactions),
        )

    def __repr__(self) -> str:
        return "\n".join([*_head(self), *_table(self), *self.findings])

    def _repr_html_(self) -> str:
        rows = "".join(_row(name, effect) for name, effect in self.parameters.items())
        lines = "".join(f"<div>{escape(line)}</div>" for line in self.findings)
        head = "".join(f"<div>{escape(line)}</div>" for line in _head(self))
        style = (
            "font:13px sans-serif;line-height:1.6;border:1px solid #8885;border-radius:6px;"
            "padding:8px 12px"
        )
        titles = "".join(f"<th>{title}</th>" for title in ("parameter", "", *_TITLES[1:]))
        return (
            f'<div style="{style}">{head}<table><thead><tr>{titles}</tr></thead>'
            f"<tbody>{rows}</tbody></table>{lines}</div>"
        )


_TITLES = ("parameter", "total", "between", "alone", "")


def importance_document(importance: Importance) -> dict[str, object]:
    """Return it as plain data."""
    return {
        "metric": importance.metric,
        "top": importance.top,
        "trials": importance.trials,
        "left_out": importance.left_out,
        "explained": importance.explained,
        "parameters": [
            {
                "name": name,
                "main": effect.main,
                "total": effect.total,
                "low": effect.low,
                "high": effect.high,
                "active": effect.active,
                "trend": effect.trend,
            }
            for name, effect in importance.parameters.items()
        ],
        "interactions": [
            {"parameters": [i.first, i.second], "share": i.share, "low": i.low, "high": i.high}
            for i in importance.interactions
        ],
        "warnings": list(importance.warnings),
        "findings": list(importance.findings),
    }


# From arrays to names


def _effects(analysis: "Analysis", space: Space) -> dict[str, Effect]:
    parts = analysis.parts
    if parts is None:
        return {
            name: Effect(0.0, 0.0, 0.0, 0.0, float(active))
            for name, active in zip(space, analysis.active, strict=True)
        }
    effects = {}
    for i, name in enumerate(space):
        main, (total, low, high) = _share(parts.main[:, i])[0], _share(parts.total[:, i])
        trend = ""
        if high >= _IDLE:
            trend = _trend(space[name], analysis.grids[i], parts.curves[i], wanted=analysis.wanted)
        effects[name] = Effect(min(main, total), total, low, high, float(analysis.active[i]), trend)
    return dict(sorted(effects.items(), key=lambda item: -item[1].total))


def _interactions(analysis: "Analysis", space: Space) -> tuple[Interaction, ...]:
    if analysis.parts is None:
        return ()
    names = list(space)
    found = [
        Interaction(names[i], names[j], *_share(shares))
        for (i, j), shares in analysis.parts.pairs.items()
    ]
    return tuple(sorted(found, key=lambda interaction: -interaction.share))


def _share(draws: np.ndarray) -> tuple[float, float, float]:
    """Return the mean and the interval of a share, none outside of 0 to 1."""
    low, high = np.quantile(draws, _SIDES)
    mean, low, high = np.clip([draws.mean(), low, high], 0.0, 1.0).tolist()
    return mean, low, high


def _trend(parameter: Parameter, grid: np.ndarray, curves: np.ndarray, *, wanted: bool) -> str:
    """Return which values are good, from the curves of several paths, less being better."""
    curve = curves.mean(0)
    best, worst = int(curve.argmin()), int(curve.argmax())
    gaps = curves[:, worst] - curves[:, best]
    if not gaps.mean() > 2.0 * gaps.std():  # the paths do not agree
        return ""
    place = parameter.from_unit(float(grid[best]))
    value = f"{place:.2g}" if parameter.size is None else number(place)  # no more than is known
    if isinstance(parameter, Categorical):
        return f"best: {value}" if wanted else f"lowest: {value}"
    steps = np.diff(curve)
    down, up = -steps[steps < 0].sum(), steps[steps > 0].sum()
    if min(down, up) > 0.1 * max(down, up):
        return f"best near {value}" if wanted else f"lowest near {value}"
    if wanted:
        return "better when lower" if up > down else "better when higher"
    return "rises with it" if up > down else "falls with it"


# Sentences


def _warnings(analysis: "Analysis", parameters: int) -> tuple[str, ...]:
    if analysis.parts is None:
        return (f"All trials measured the same {analysis.metric}: nothing tells parameters apart.",)
    warnings = []
    explained = _percent(analysis.explained)
    if analysis.explained < _HOPELESS:
        warnings.append(
            f"The model explains next to nothing of the differences between trials ({explained}):"
            " do not go by these numbers. More trials help, unless the metric is mostly noise."
        )
    elif analysis.explained < 0.5:
        warnings.append(
            f"The model explains only {explained} of the differences between trials: take these"
            " numbers as hints. More trials help, unless the metric is mostly noise."
        )
    if analysis.extreme > _EXTREME and analysis.share is None:
        warnings.append(
            f"The worst few trials make nearly all of the variance of {analysis.metric}: these numbers"
            " say what causes them. Among the better half (top 0.5) others may matter."
        )
    if analysis.trials < 4 * parameters:
        named = "1 parameter" if parameters == 1 else f"{parameters} parameters"
        warnings.append(
            f"{analysis.trials} trials are few for {named}: the numbers may shift as more come."
        )
    return tuple(warnings)


def _findings(
    parameters: Mapping[str, Effect], interactions: Sequence[Interaction]
) -> tuple[str, ...]:
    strong = [i for i in interactions if i.share >= _SMALL and i.low > 0.0]
    findings = [str(interaction) for interaction in strong[:_SHOWN]]
    idle = [name for name, effect in parameters.items() if effect.high < _IDLE]
    if 0 < len(idle) < len(parameters):
        words = "hardly matters" if len(idle) == 1 else "hardly matter"
        them = "it" if len(idle) == 1 else "them"
        findings.append(f"{_list(idle)} {words}: fix {them}, and search the rest")
    return tuple(findings)


def _head(importance: Importance) -> list[str]:
    part = (
        "" if importance.top is None else f" among the best {_percent(importance.top)} of the space"
    )
    left = importance.left_out
    trials = f"{importance.trials} trials" + (f"; {left} without a value left out" if left else "")
    return [
        f"what matters for {importance.metric}{part}, from {trials}",
        f"the model explains {_percent(importance.explained)} of the differences between trials",
        *(f"warning: {sentence}" for sentence in importance.warnings),
    ]


def _table(importance: Importance) -> list[str]:
    if not any(effect.total for effect in importance.parameters.values()):
        return []
    rows = [(*_TITLES, "")] + [
        (name, _percent(e.total), _interval(e), _percent(e.main), _bar(e), _remark(e))
        for name, e in importance.parameters.items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return ["", *lines, ""]


def _row(name: str, effect: Effect) -> str:
    alone, rest = (100 * share for share in (effect.main, effect.total - effect.main))
    bar = "".join(
        f'<span style="display:inline-block;height:10px;width:{width:.1f}%;background:#3b82f6;'
        f'opacity:{opacity}"></span>'
        for width, opacity in ((alone, 1), (rest, 0.4))
    )
    cells = [
        escape(name),
        f'<div style="width:160px;font-size:0;background:#8883">{bar}</div>',
        _percent(effect.total),
        _interval(effect),
        _percent(effect.main),
        escape(_remark(effect)),
    ]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _bar(effect: Effect) -> str:
    alone, whole = round(_BAR * effect.main), round(_BAR * effect.total)
    return "█" * alone + "░" * (whole - alone)


def _remark(effect: Effect) -> str:
    part = "" if effect.active > 0.999 else f"active in {_percent(effect.active)} of the space"
    return ", ".join(filter(None, (effect.trend, part)))


def _percent(share: float) -> str:
    return f"{100 * max(share, 0.0):.0f}%"


def _interval(share: Effect | Interaction) -> str:
    return f"{100 * share.low:.0f}–{100 * share.high:.0f}%"


def _list(names: Sequence[str]) -> str:
    if len(names) < 3:
        return " and ".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
