import numpy as np
import pytest
from scipy import stats

from tunesmith.search.columns import columns_of, groups_of
from tunesmith.search.normal import normal_cdf
from tunesmith.space import Categorical, Discrete, Double, Integer, Parameter, Space

COUNTED = {
    "integer": Integer(-2, 7),
    "log": Integer(1, 100, scale="log"),
    "reverse": Integer(1, 12, scale="reverse_log"),
    "strides": Integer(0, 30, step=4),
    "steps": Double(0.1, 0.9, step=0.1, scale="log"),
    "list": Discrete([8, 1, 64]),
    "words": Categorical(["b", "a", "c"]),
    "single": Discrete([3]),
}


@pytest.mark.parametrize("parameter", COUNTED.values(), ids=COUNTED)
def test_cells_end_where_the_value_changes(parameter: Parameter) -> None:
    (column,) = columns_of(Space({"p": parameter}))

    assert column.size == parameter.size
    assert (column.edges[0], column.edges[-1]) == (0.0, 1.0)
    for cell in range(column.size):
        low, high = column.edges[cell : cell + 2]
        inside = {parameter.from_unit(u) for u in np.linspace(low + 1e-9, high - 1e-9, 7)}
        assert len(inside) == 1
        place = parameter.to_unit(inside.pop())
        assert column.index(np.array([place])) == [cell]
        assert parameter.from_unit(float(column.middle(np.array(cell)))) == parameter.from_unit(
            place
        )


def test_what_is_too_fine_to_be_told_apart_has_no_cells() -> None:
    space = Space({"n": Integer(1, 10**9), "x": Double(0.0, 1.0)})

    assert [column.kind for column in columns_of(space)] == ["real", "real"]
    assert [column.size for column in columns_of(space)] == [0, 0]


def test_a_place_that_is_not_there_is_no_error() -> None:
    (column,) = columns_of(Space({"n": Integer(1, 4)}))

    assert column.index(np.array([np.nan, -0.5, 1.5])).tolist() == [0, 0, 3]


def test_the_normal_distribution_function_is_exact_to_eleven_decimals() -> None:
    x = np.concatenate([np.linspace(-12.0, 12.0, 20_001), [np.inf, -np.inf, 0.0]])

    assert np.abs(normal_cdf(x) - stats.norm.cdf(x)).max() < 1e-11
    assert normal_cdf(x.reshape(-1, 4)).shape == (len(x) // 4, 4)


def test_parameters_are_grouped_by_their_conditions_with_parents_first() -> None:
    space = Space(
        {
            "drop": Double(0.0, 1.0, when={"layers": [2, 3]}),
            "layers": Integer(1, 3, when={"kind": ["net", "conv"]}),
            "kind": Categorical(["linear", "net", "conv"]),
            "width": Integer(1, 9, when={"kind": ["conv", "net"]}),
            "seed": Integer(0, 3),
        }
    )

    names = [[list(space)[j] for j in group] for group in groups_of(space)]

    assert names == [["kind", "seed"], ["layers", "width"], ["drop"]]
