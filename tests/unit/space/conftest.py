"""Strategies for parameters and spaces of every shape."""

import pytest
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tunesmith.space import Categorical, Discrete, Double, Integer, Parameter, Scale, Space

SCALES: SearchStrategy[Scale] = st.sampled_from(["linear", "log", "reverse_log"])


@st.composite
def bounds(draw: DrawFn, least: float, most: float) -> tuple[float, float]:
    low, high = sorted([draw(st.floats(least, most)), draw(st.floats(least, most))])
    return low, high


@st.composite
def stepped_doubles(draw: DrawFn) -> Double:
    step = draw(st.sampled_from([1e-7, 0.001, 0.1, 0.25, 1 / 3, 0.7, 3.0, 1e6]))
    scale = draw(SCALES)
    offset = draw(st.integers(1 if scale != "linear" else -1000, 1000))
    low = offset * draw(st.sampled_from([step, 0.1, 1.0]))
    return Double(low, low + step * draw(st.integers(1, 300)), scale=scale, step=step)


@st.composite
def integers(draw: DrawFn) -> Integer:
    scale = draw(SCALES)
    low = draw(st.integers(1 if scale != "linear" else -(10**12), 10**12))
    width = draw(st.one_of(st.integers(0, 50), st.integers(0, 10**12)))
    step = draw(st.none() | st.integers(1, max(1, width)))
    return Integer(low, low + width, scale=scale, step=step)


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
COUNTED: SearchStrategy[Parameter] = st.one_of(
    stepped_doubles(),
    integers(),
    st.lists(NUMBERS, min_size=1, max_size=20, unique=True).map(Discrete),
    st.lists(
        st.booleans() | NUMBERS | WORDS,
        min_size=1,
        max_size=20,
        unique_by=lambda v: (isinstance(v, bool), v),
    ).map(Categorical),
)
CONTINUOUS: SearchStrategy[Parameter] = st.one_of(
    bounds(-1e300, 1e300).flatmap(
        lambda ends: st.builds(Double, st.just(ends[0] / 2), st.just(ends[1] / 2))
    ),
    st.builds(
        lambda ends, scale: Double(*ends, scale=scale),
        bounds(1e-300, 1e300),
        st.sampled_from(["log", "reverse_log"]),
    ),
)


@st.composite
def conditional_spaces(draw: DrawFn) -> Space:
    """Draw a space of at most some thousand points, with conditions that can be met."""
    count = draw(st.integers(1, 7))
    sizes = [draw(st.integers(1, 3)) for _ in range(count)]
    parameters: dict[str, Parameter] = {}
    # Which values each parameter needs of all its ancestors, so that no condition contradicts them.
    needs: list[dict[int, set[int]]] = []
    for child, size in enumerate(sizes):
        condition: dict[int, set[int]] = {}
        for parent in draw(st.sets(st.integers(0, child - 1), max_size=3)) if child else ():
            values = st.integers(0, sizes[parent] - 1)
            condition[parent] = draw(st.sets(values, min_size=1))
        all_needs = {parent: set(wanted) for parent, wanted in condition.items()}
        for parent in condition:
            for ancestor, needed in needs[parent].items():
                all_needs[ancestor] = all_needs.get(ancestor, needed) & needed
        if not all(all_needs.values()):
            condition, all_needs = {}, {}
        needs.append(all_needs)
        when = {f"p{parent}": sorted(wanted) for parent, wanted in condition.items()}
        kinds: list[Parameter] = [
            Integer(0, size - 1, when=when),
            Categorical(range(size), when=when),
            Discrete(range(size), when=when),
        ]
        parameters[f"p{child}"] = draw(st.sampled_from(kinds))
    names = draw(st.permutations(list(parameters)))
    return Space({name: parameters[name] for name in names})


@pytest.fixture(scope="session")
def counted() -> SearchStrategy[Parameter]:
    """Parameters whose values are counted."""
    return COUNTED


@pytest.fixture(scope="session")
def continuous() -> SearchStrategy[Parameter]:
    """Doubles without a step, from narrow to wide."""
    return CONTINUOUS


@pytest.fixture(scope="session")
def conditional() -> SearchStrategy[Space]:
    """Finite spaces with nested conditions, in any order."""
    return conditional_spaces()
