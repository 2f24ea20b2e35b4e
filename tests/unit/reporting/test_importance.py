import json
import re
from collections.abc import Mapping

import numpy as np
import pytest

from tunesmith.reporting import Importance, importance_document, json_text
from tunesmith.search.importance import Analysis
from tunesmith.search.sensitivity import Sensitivity
from tunesmith.space import Categorical, Discrete, Double, Space

_SPACE = Space(
    {
        "lr": Double(1e-4, 1e-1, scale="log"),
        "units": Discrete([64, 128, 512]),
        "kind": Categorical(["<a>", "b"]),
    }
)
_GRIDS = (np.linspace(0.0, 1.0, 5), np.array([1 / 6, 0.5, 5 / 6]), np.array([0.25, 0.75]))


def _analysis(
    total: tuple[float, ...] = (0.7, 0.4, 0.01),
    main: tuple[float, ...] = (0.5, 0.2, 0.0),
    pairs: Mapping[tuple[int, int], float] | None = None,
    lr: tuple[float, ...] = (1.0, 0.0, 1.0, 2.0, 3.0),
    **fields: object,
) -> Analysis:
    """An analysis with 21 paths that differ by up to a hundredth."""
    around = np.linspace(-0.01, 0.01, 21)[:, None]
    curves = ((lr), (3.0, 2.0, 1.0), (1.0, 0.0))
    parts = Sensitivity(
        mean=np.zeros(21),
        variance=np.ones(21),
        main=np.array(main) + around,
        total=np.array(total) + around,
        pairs={p: share + around[:, 0] for p, share in (pairs or {(0, 1): 0.2}).items()},
        curves=[np.array(curve) + around for curve in curves],
    )
    given: dict[str, object] = {
        "metric": "loss",
        "wanted": True,
        "share": None,
        "trials": 50,
        "left_out": 0,
        "explained": 0.9,
        "extreme": 0.0,
        "active": np.array([1.0, 1.0, 0.5]),
        "grids": _GRIDS,
        "parts": parts,
    }
    return Analysis(**(given | fields))  # type: ignore[arg-type]


def _importance(**fields: object) -> Importance:
    return Importance.of(_analysis(**fields), _SPACE)  # type: ignore[arg-type]


def test_the_most_important_parameter_comes_first_with_its_interval() -> None:
    found = _importance(total=(0.3, 0.8, 0.0), main=(0.1, 0.5, 0.0))

    assert list(found.parameters) == ["units", "lr", "kind"]
    effect = found.parameters["units"]
    assert (effect.main, effect.total) == pytest.approx((0.5, 0.8))
    assert (effect.low, effect.high) == pytest.approx((0.791, 0.809))


def test_a_share_is_never_outside_of_zero_to_one_nor_more_alone_than_in_all() -> None:
    found = _importance(total=(1.2, 0.1, -0.1), main=(1.1, 0.2, -0.2))

    for effect in found.parameters.values():
        assert 0.0 <= effect.main <= effect.total <= 1.0
        assert 0.0 <= effect.low <= effect.high <= 1.0


@pytest.mark.parametrize(
    ("lr", "wanted", "trend"),
    [
        ((3.0, 2.0, 1.0, 0.5, 0.0), True, "better when higher"),
        ((0.0, 1.0, 2.0, 3.0, 4.0), True, "better when lower"),
        ((1.0, 0.0, 1.0, 2.0, 3.0), True, "best near 0.00056"),
        ((3.0, 2.0, 1.0, 0.5, 0.0), False, "falls with it"),
        ((0.0, 1.0, 2.0, 3.0, 4.0), False, "rises with it"),
        ((1.0, 0.0, 1.0, 2.0, 3.0), False, "lowest near 0.00056"),
        ((0.0, 0.0, 0.0, 0.0, 0.0), True, ""),
    ],
)
def test_a_trend_says_which_values_are_good(
    lr: tuple[float, ...], wanted: bool, trend: str
) -> None:
    assert _importance(lr=lr, wanted=wanted).parameters["lr"].trend == trend


def test_what_was_turned_to_be_minimized_falls_where_the_metric_falls() -> None:
    losses_rise = (0.0, 1.0, 2.0, 3.0, 4.0)

    assert _importance(lr=losses_rise).parameters["lr"].trend == "better when lower"
    assert _importance().parameters["units"].trend == "better when higher"
    some = _importance(total=(0.7, 0.4, 0.2), active=np.ones(3))
    assert some.parameters["kind"].trend == "best: b"


def test_of_what_hardly_matters_no_trend_is_told() -> None:
    assert _importance().parameters["kind"].trend == ""


def test_paths_that_do_not_agree_tell_no_trend() -> None:
    analysis = _analysis()
    assert analysis.parts is not None
    slopes = np.linspace(-1.0, 2.0, 21)[:, None]
    analysis.parts.curves[0][:] = slopes * np.arange(5.0)

    assert Importance.of(analysis, _SPACE).parameters["lr"].trend == ""


def test_interactions_are_sentences_the_strongest_first() -> None:
    found = _importance(pairs={(0, 1): 0.1, (1, 2): 0.2, (0, 2): 0.001})

    assert [(i.first, i.second) for i in found.interactions] == [
        ("units", "kind"),
        ("lr", "units"),
        ("lr", "kind"),
    ]
    assert list(found.findings[:2]) == [
        "units and kind together: 20% (19–21%)",
        "lr and units together: 10% (9–11%)",
    ]


def test_parameters_that_hardly_matter_are_named() -> None:
    assert _importance().findings[-1] == "kind hardly matters: fix it, and search the rest"
    both = _importance(total=(0.9, 0.02, 0.01), pairs={(0, 1): 0.0})
    assert both.findings == ("units and kind hardly matter: fix them, and search the rest",)


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ({"explained": 0.05}, r"explains next to nothing .* \(5%\): do not go by these numbers"),
        ({"explained": -3.0}, r"explains next to nothing .* \(0%\)"),
        ({"explained": 0.4}, "explains only 40% .*: take these numbers as hints"),
        ({"trials": 11}, "11 trials are few for 3 parameters"),
        ({"extreme": 0.95}, "worst few trials make nearly all of the variance of loss"),
        ({"parts": None, "explained": 0.0}, "All trials measured the same loss"),
    ],
)
def test_what_may_be_wrong_is_said(fields: dict[str, object], warning: str) -> None:
    assert not _importance().warnings

    found = _importance(**fields)

    assert len(found.warnings) == 1
    assert re.search(warning, found.warnings[0])
    assert f"warning: {found.warnings[0]}" in repr(found)


def test_a_model_that_explains_nothing_finds_nothing() -> None:
    assert _importance().findings
    assert not _importance(explained=0.1).findings


def test_it_is_shown_as_a_table_with_bars() -> None:
    head, *rest = repr(_importance(left_out=2, share=0.25)).splitlines()

    assert head.startswith("what matters for loss among the best 25% of the space, from 50 trials")
    assert head.endswith("; 2 without a value left out")
    assert rest == [
        "the model explains 90% of the differences between trials",
        "",
        "parameter  total  between  alone",
        "lr         70%    69–71%   50%    ████████████░░░░░  best near 0.00056",
        "units      40%    39–41%   20%    █████░░░░░         better when higher",
        "kind       1%     0–2%     0%                        active in 50% of the space",
        "",
        "lr and units together: 20% (19–21%)",
        "kind hardly matters: fix it, and search the rest",
    ]


def test_a_notebook_gets_a_card_without_scripts_and_with_nothing_unescaped() -> None:
    space = Space({"<lr>": Double(0.0, 1.0), "units": Discrete([1, 2]), "kind": Categorical([1])})

    card = Importance.of(_analysis(), space)._repr_html_()

    assert "&lt;lr&gt;" in card
    assert "<lr>" not in card
    assert "<script" not in card
    assert "what matters for loss, from 50 trials" in card


def test_programs_get_all_of_it_as_plain_data() -> None:
    document = json.loads(json_text(importance_document(_importance())))

    assert document["metric"] == "loss"
    assert document["parameters"][0]["name"] == "lr"
    assert document["parameters"][0]["total"] == pytest.approx(0.7)
    assert document["interactions"][0]["parameters"] == ["lr", "units"]
    assert document["interactions"][0]["share"] == pytest.approx(0.2)
    assert document["top"] is None
    assert document["findings"]
