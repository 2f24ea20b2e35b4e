import pickle
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import truncnorm

from tunesmith.errors import SpaceError
from tunesmith.space import Categorical, Discrete, Double, Integer, Parameter, Prior, Space, Value

NUMBERS: Sequence[Parameter] = [
    Double(1e-5, 1.0, scale="log", prior=0.01),
    Double(0.9, 0.999, scale="reverse_log", prior=Prior(0.999, "high")),
    Double(0.0, 0.5, step=0.1, prior=Prior(0.1, "high")),
    Double(0.1, 100.0, step=0.1, scale="log", prior=Prior(0.1, "low")),
    Integer(1, 4, prior=2),
    Integer(1, 1000, scale="log", prior=Prior(1, "high")),
    Integer(1, 1000, scale="reverse_log", prior=Prior(990, "high")),
    Integer(0, 10**15, prior=10**14),
    Discrete([512, 64, 128], prior=128),
]
CATEGORIES = Categorical(["sgd", "adam", "lamb"], prior=Prior("adam", "high"))


def test_a_bare_center_has_medium_confidence() -> None:
    assert Double(0, 1, prior=0.5) == Double(0, 1, prior=Prior(0.5, "medium"))


def test_a_center_is_brought_into_its_canonical_form() -> None:
    assert Integer(1, 8, prior=3.0).prior == Prior(3)  # type: ignore[arg-type]
    assert repr(Integer(1, 8, prior=np.int64(3)).prior) == "Prior(center=3, confidence='medium')"  # type: ignore[arg-type]


def test_true_is_another_center_than_one() -> None:
    assert Categorical([True, 1], prior=True) != Categorical([True, 1], prior=1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Double(0, 1, prior=2.0), "prior=2.0.*center outside: 2.0 is not a number from 0 to 1"),
        (lambda: Categorical(["a", "b"], prior="c"), "'c' is none of 'a', 'b'"),
        (lambda: Prior(1, "hihg"), "confidence is low, medium or high; got .*Did you mean 'high'"),  # type: ignore[arg-type]
        (lambda: Prior([1]), "one value"),  # type: ignore[arg-type]
        (lambda: Double(0, 1, prior={"centre": 1}), "A prior has a center and may have a confidence"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_a_prior_that_makes_no_sense_is_refused(make: object, words: str) -> None:
    assert callable(make)

    with pytest.raises(SpaceError, match=words):
        make()


@pytest.mark.parametrize("parameter", [*NUMBERS, CATEGORIES], ids=repr)
def test_a_density_has_a_mean_of_one(parameter: Parameter) -> None:
    u = (np.arange(200_000) + 0.5) / 200_000

    assert np.exp(parameter.log_density(u)).mean() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("parameter", NUMBERS, ids=repr)
def test_a_density_is_highest_at_its_center(parameter: Parameter) -> None:
    assert isinstance(parameter.prior, Prior)
    center = parameter.to_unit(parameter.prior.center)
    u = np.linspace(0.0, 1.0, 1001)

    densities = parameter.log_density(u)

    assert densities.max() <= parameter.log_density(np.array([center]))[0] + 1e-9


def test_a_double_has_a_truncated_normal_on_its_own_scale() -> None:
    parameter = Double(1e-4, 1.0, scale="log", prior=Prior(0.01, "high"))
    u = np.linspace(0.0, 1.0, 9)

    expected = truncnorm.logpdf(u, -0.5 / 0.125, 0.5 / 0.125, loc=0.5, scale=0.125)

    np.testing.assert_allclose(parameter.log_density(u), expected, rtol=1e-12)


@pytest.mark.parametrize(("confidence", "sd"), [("low", 0.5), ("medium", 0.25), ("high", 0.125)])
def test_each_counted_value_has_the_share_of_the_normal_in_its_cell(
    confidence: str, sd: float
) -> None:
    parameter = Discrete([1, 2, 4, 8], prior=Prior(2, confidence))  # type: ignore[arg-type]
    normal = truncnorm(-0.375 / sd, 0.625 / sd, loc=0.375, scale=sd)

    shares = np.exp(parameter.log_density(np.array([0.0, 0.3, 0.6, 1.0]))) / 4

    np.testing.assert_allclose(shares, np.diff(normal.cdf(np.linspace(0, 1, 5))), rtol=1e-9)


def test_all_places_of_a_counted_value_have_the_same_density() -> None:
    parameter = Integer(1, 30, scale="log", prior=3)
    u = np.linspace(0.0, 1.0, 2001)
    densities: dict[Value, set[float]] = {}

    for place, density in zip(u.tolist(), parameter.log_density(u).tolist(), strict=True):
        densities.setdefault(parameter.from_unit(place), set()).add(round(density, 9))

    assert all(len(found) == 1 for found in densities.values())


def test_of_many_values_neighbours_differ_no_more_than_the_curve() -> None:
    many, endless = Integer(0, 10**15, prior=0), Double(0, 10**15, prior=0)
    u = np.linspace(0.01, 0.99, 50).reshape(5, 10)

    np.testing.assert_allclose(many.log_density(u), endless.log_density(u), rtol=1e-6)


def test_a_category_has_its_weight_and_a_share_of_the_rest() -> None:
    density = np.exp(CATEGORIES.log_density(np.array([0.1, 0.5, 0.9])))

    np.testing.assert_allclose(density / 3, [0.05, 0.9, 0.05])


@pytest.mark.parametrize("parameter", [*NUMBERS[2:7], NUMBERS[8], CATEGORIES], ids=repr)
def test_samples_are_as_frequent_as_the_density_says(parameter: Parameter) -> None:
    rng = np.random.default_rng(0)
    places = (np.arange(100_000) + 0.5) / 100_000
    expected: dict[Value, float] = {}
    for u, mass in zip(places.tolist(), np.exp(parameter.log_density(places)), strict=True):
        value = parameter.from_unit(u)
        expected[value] = expected.get(value, 0.0) + float(mass) / places.size

    drawn = Counter(parameter.from_unit(parameter.sample_unit(rng)) for _ in range(20_000))

    for value, mass in expected.items():
        assert drawn[value] / 20_000 == pytest.approx(mass, abs=0.015)


def test_samples_of_a_double_stay_inside_and_gather_around_the_center() -> None:
    parameter = Double(0, 1, prior=Prior(0.0, "high"))
    rng = np.random.default_rng(0)

    drawn = np.array([parameter.sample_unit(rng) for _ in range(4000)])

    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert drawn.mean() == pytest.approx(0.125 * np.sqrt(2 / np.pi), abs=0.005)


@pytest.mark.parametrize(
    "parameter",
    [Double(0, 1), Double(1, 1, prior=1), Integer(3, 3, prior=3), Categorical(["a"], prior="a")],
    ids=repr,
)
def test_without_a_prior_or_a_choice_all_places_are_alike(parameter: Parameter) -> None:
    rng = np.random.default_rng(0)

    assert not parameter.log_density(np.array([[0.0, 0.3], [0.9, 1.0]])).any()
    assert np.mean([parameter.sample_unit(rng) for _ in range(2000)]) == pytest.approx(
        0.5, abs=0.03
    )


@pytest.mark.parametrize("parameter", [*NUMBERS, CATEGORIES], ids=repr)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3)])
def test_densities_have_the_shape_of_their_places(
    parameter: Parameter, shape: tuple[int, ...]
) -> None:
    assert np.shape(parameter.log_density(np.full(shape, 0.4))) == shape


@pytest.mark.parametrize("parameter", [*NUMBERS, CATEGORIES], ids=repr)
def test_a_parameter_with_a_prior_survives_json_pickle_and_repr(parameter: Parameter) -> None:
    space = Space({"x": parameter})
    names = {kind.__name__: kind for kind in (Double, Integer, Discrete, Categorical, Prior)}

    again = Space.from_json(space.to_json())

    assert again == space == pickle.loads(pickle.dumps(space))
    assert eval(repr(parameter), names) == parameter
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(parameter)).log_density(np.array([0.2])),
        again["x"].log_density(np.array([0.2])),
    )


def test_a_prior_is_written_as_its_center_where_that_says_all() -> None:
    space = Space({"x": Double(0, 1, prior=0.5), "y": Double(0, 1, prior=Prior(0.5, "low"))})

    x, y = space.to_json()

    assert x["prior"] == 0.5
    assert y["prior"] == {"center": 0.5, "confidence": "low"}


def test_a_description_names_the_prior() -> None:
    space = Space({"x": Double(0, 1, default=0.1, prior=0.5), "y": Integer(1, 4, prior=Prior(2, "high"))})  # fmt: skip

    assert space.describe("x") == "double 0..1, default 0.1, prior 0.5"
    assert space.describe("y") == "integer 1..4, prior 2 (high confidence)"


def test_a_changed_prior_is_a_difference_of_spaces() -> None:
    old, new = Space({"x": Double(0, 1)}), Space({"x": Double(0, 1, prior=0.5)})

    assert old.differences(new) == ["x: was double 0..1, is now double 0..1, prior 0.5"]


def test_the_centers_are_a_point_with_defaults_and_middles_for_the_rest() -> None:
    space = Space(
        {
            "optimizer": Categorical(["sgd", "adam"], prior="adam"),
            "momentum": Double(0, 1, when={"optimizer": "sgd"}, prior=0.9),
            "units": Integer(1, 9, default=2),
            "depth": Integer(1, 9),
        }
    )

    assert space.centers() == {"optimizer": "adam", "units": 2, "depth": 5}
    assert set(space.priors) == {"optimizer", "momentum"}


def test_without_priors_there_are_no_centers() -> None:
    assert Space({"x": Double(0, 1, default=0.5)}).centers() is None
