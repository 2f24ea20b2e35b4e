"""Laws that hold for parameters of every kind."""

import math
import pickle
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject, SearchStrategy

from tunesmith.errors import SpaceError
from tunesmith.space import Categorical, Discrete, Double, Integer, Parameter, Space, parents

LAW = settings(deadline=None, derandomize=True)

NAMES = {"Categorical": Categorical, "Discrete": Discrete, "Double": Double, "Integer": Integer}

PLACES = st.floats(0.0, 1.0)


@LAW
@given(st.data())
def test_a_counted_value_is_found_again_at_its_place(
    counted: SearchStrategy[Parameter], data: DataObject
) -> None:
    parameter = data.draw(counted)

    for value in islice(parameter.members(), 500):
        again = parameter.from_unit(parameter.to_unit(value))

        assert again == value
        assert type(again) is type(value)


@LAW
@given(st.data(), PLACES)
def test_whatever_stands_at_a_place_is_a_member_in_its_final_form(
    counted: SearchStrategy[Parameter],
    continuous: SearchStrategy[Parameter],
    data: DataObject,
    u: float,
) -> None:
    parameter = data.draw(counted | continuous)

    value = parameter.from_unit(u)

    assert parameter.contains(value)
    canonical = parameter.canonical(value)
    assert canonical == value
    assert type(canonical) is type(value)
    assert 0.0 <= parameter.to_unit(value) <= 1.0


@LAW
@given(st.data())
def test_the_members_are_as_many_as_the_size_says_and_none_comes_twice(
    counted: SearchStrategy[Parameter], data: DataObject
) -> None:
    parameter = data.draw(counted.filter(lambda p: (p.size or 0) <= 1000))

    members = list(parameter.members())

    assert len(members) == parameter.size
    assert len({(isinstance(value, bool), value) for value in members}) == len(members)
    assert all(parameter.contains(value) for value in members)


@LAW
@given(st.data(), st.lists(PLACES, min_size=2, max_size=2))
def test_numbers_rise_along_the_unit_interval(
    counted: SearchStrategy[Parameter],
    continuous: SearchStrategy[Parameter],
    data: DataObject,
    places: list[float],
) -> None:
    parameter = data.draw((counted | continuous).filter(lambda p: not isinstance(p, Categorical)))
    lower, upper = sorted(places)

    first, second = parameter.from_unit(lower), parameter.from_unit(upper)

    assert isinstance(first, int | float)
    assert isinstance(second, int | float)
    # exp and log are not monotone in their last digits.
    assert first <= second or math.isclose(first, second, rel_tol=1e-12)


@LAW
@given(st.data(), PLACES)
def test_a_place_on_a_continuous_scale_is_found_again(
    continuous: SearchStrategy[Parameter], data: DataObject, u: float
) -> None:
    parameter = data.draw(continuous)
    value = float(parameter.from_unit(u))

    again = float(parameter.from_unit(parameter.to_unit(value)))

    # Places keep 2**-53 of the range, and logarithms, which reach 700, 700 * 2**-53 of the value; seen
    # from its mirror image, that is of the range.
    assert isinstance(parameter, Double)
    of_range = 1e-12 if parameter.scale == "reverse_log" else 1e-15
    span = parameter.high - parameter.low
    assert math.isclose(again, value, rel_tol=1e-12, abs_tol=of_range * span)


@LAW
@given(st.data())
def test_the_ends_of_the_interval_are_the_bounds(
    continuous: SearchStrategy[Parameter], data: DataObject
) -> None:
    parameter = data.draw(continuous)
    assert isinstance(parameter, Double)

    ends = parameter.from_unit(0.0), parameter.from_unit(1.0)

    assert ends == (parameter.low, parameter.high)


@pytest.mark.parametrize("u", [-math.inf, -0.5, 1.5, math.inf])
@pytest.mark.parametrize(
    "parameter",
    [
        Double(1, 2),
        Double(1, 2, scale="log"),
        Double(1, 2, step=0.5),
        Integer(1, 2),
        Integer(1, 2, scale="log"),
        Integer(1, 2, scale="reverse_log"),
        Discrete([1, 2]),
        Categorical([1, 2]),
    ],
)
def test_a_place_outside_the_interval_is_moved_to_the_nearer_end(
    parameter: Parameter, u: float
) -> None:
    assert parameter.from_unit(u) == (1 if u < 0 else 2)


@LAW
@given(st.data())
def test_a_parameter_reads_back_from_its_repr_and_from_its_pickle(
    counted: SearchStrategy[Parameter], continuous: SearchStrategy[Parameter], data: DataObject
) -> None:
    parameter = data.draw(counted | continuous)

    evaluated = eval(repr(parameter), dict(NAMES))
    unpickled = pickle.loads(pickle.dumps(parameter))

    for again in (evaluated, unpickled):
        assert again == parameter
        assert hash(again) == hash(parameter)
        assert again.from_unit(0.3) == parameter.from_unit(0.3)


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        (Double(0, 1), "Double(0.0, 1.0)"),
        (
            Double(1e-5, 0.1, scale="log", default=0.01),
            "Double(1e-05, 0.1, scale='log', default=0.01)",
        ),
        (Integer(1, 9, step=2, when={"a": 1}), "Integer(1, 9, step=2, when={'a': [1]})"),
        (Discrete((64, 128.0)), "Discrete([64, 128.0])"),
        (Categorical([True, "x"], default="x"), "Categorical([True, 'x'], default='x')"),
    ],
)
def test_a_repr_shows_what_was_given_and_no_more(parameter: Parameter, words: str) -> None:
    assert repr(parameter) == words


def test_equality_tells_true_from_1_and_ignores_the_order_of_conditions() -> None:
    assert Categorical([True]) != Categorical([1])
    assert Categorical([True, 1], default=True) != Categorical([True, 1], default=1)
    assert Integer(0, 1, when={"a": [True]}) != Integer(0, 1, when={"a": [1]})
    kinds: list[Parameter] = [Integer(0, 1), Double(0, 1), Discrete([0, 1]), Categorical([0, 1])]
    assert [kinds.index(kind) for kind in kinds] == [0, 1, 2, 3]
    one = Double(0, 1, when={"a": [1, 2], "b": "x"})
    other = Double(0, 1, when={"b": ["x"], "a": {2, 1}})
    assert one == other
    assert hash(one) == hash(other)


def test_a_condition_takes_a_value_a_list_or_a_set() -> None:
    expected = (("a", ("x",)),)

    assert parents(Double(0, 1)) == ()
    assert parents(Double(0, 1, when={})) == ()
    assert parents(Double(0, 1, when=[])) == ()  # type: ignore[arg-type]
    assert parents(Double(0, 1, when={"a": "x"})) == expected
    assert parents(Double(0, 1, when={"a": ["x"]})) == expected
    assert parents(Double(0, 1, when=expected)) == expected
    assert parents(Double(0, 1, when={"a": set("hgfedcba")})) == (("a", tuple("abcdefgh")),)
    assert parents(Double(0, 1, when={"a": np.array([1, 2])})) == (("a", (1, 2)),)
    assert parents(Double(0, 1, when={"a": True})) == (("a", (True,)),)


@pytest.mark.parametrize(
    "when",
    ["a", 5, ["a"], [("a",)], {1: ["x"]}, {"a": []}, {"a": None}, {"a": {"b": 1}}, {"a": [["x"]]},
     [("a", 1), ("a", 2)]],
)  # fmt: skip
def test_what_is_no_condition_is_refused(when: object) -> None:
    with pytest.raises(
        SpaceError, match=r"^Double takes when=\{parent: \[values\]\}, .* got when="
    ):
        Double(0, 1, when=when)  # type: ignore[arg-type]


ANYTHING = [
    0, 1, -1, 3.0, 0.1, 1e-9, 5e-324, 1e308, -1e308, 2**64, 10**400, math.nan, math.inf, True, None,
    "", "a", "log", "reverse_log", "\0", b"x", 1j, object(), [], [1], {}, {1}, {"a": 1}, (1, 2),
    np.float32(0.1), np.int64(3), np.array([1, 2]), np.array(2),
]  # fmt: skip


@settings(LAW, max_examples=300)
@given(st.data())
def test_whatever_is_given_makes_a_sound_parameter_or_is_refused(data: DataObject) -> None:
    things = st.sampled_from(ANYTHING)
    kind, arguments = data.draw(
        st.tuples(st.sampled_from([Double, Integer]), st.lists(things, min_size=2, max_size=2))
        | st.tuples(
            st.sampled_from([Discrete, Categorical]),
            st.lists(things | st.lists(things), min_size=1, max_size=1),
        )
    )
    options = ["default", "when", *([] if kind is Categorical else ["scale"])]
    options += ["step"] if kind in (Double, Integer) else []
    named = data.draw(st.dictionaries(st.sampled_from(options), things))

    try:
        parameter: Parameter = kind(*arguments, **named)
    except SpaceError:
        return

    assert all(parameter.contains(parameter.from_unit(u)) for u in (0.0, 1e-20, 0.3, 1.0))
    assert {parameter.contains(thing) for thing in ANYTHING} <= {True, False}


def test_members_of_an_endless_parameter_are_refused() -> None:
    with pytest.raises(SpaceError, match="infinitely many values"):
        Double(0, 1).members()


def test_a_drawn_point_hits_each_counted_value_equally_often() -> None:
    space = Space(
        {
            "double": Double(0, 1, step=0.25),
            "integer": Integer(1, 5),
            "discrete": Discrete([1, 10, 100, 1000, 3]),
            "categorical": Categorical(list("abcde")),
        }
    )
    rng = np.random.default_rng(1)
    draws = 5000

    points = [space.sample(rng) for _ in range(draws)]

    # Each of five values is expected 1000 times with a standard deviation of 28; six of those are
    # passed by chance once in 10**9.
    for name in space:
        drawn = [point[name] for point in points]
        counts = [drawn.count(value) for value in space[name].members()]
        assert sum(counts) == draws
        assert all(abs(count - 1000) < 170 for count in counts), name
