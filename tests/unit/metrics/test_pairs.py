import math

import pytest

from tunesmith.metrics.pairs import LineReader, pair_names


def read(line: str, *wanted: str) -> dict[str, float]:
    return {
        name: value
        for _, values in LineReader(wanted or ("accuracy",)).find(line)
        for name, value in values.items()
    }


def step(line: str) -> int | None:
    ((found, _),) = LineReader(("accuracy",)).find(line)
    return found


@pytest.mark.parametrize(
    "line",
    [
        "accuracy=0.93",
        "accuracy: 0.93",
        "accuracy : 0.93",
        "  accuracy =\t.93",
        "accuracy=+0.93",
        "accuracy=93e-2",
        "accuracy=0.93%",
        "accuracy=0.93.",
        "(accuracy=0.93)",
        "done, accuracy=0.93; bye",
        "12:30:05 INFO:root:accuracy=0.93",
        "10/100 [==>...] - 3s 12ms/step - accuracy: 0.93",
        "Epoch 3/10: accuracy: 0.93",
        "{'accuracy': 0.93}",
        "{'accuracy': np.float64(0.93)}",
        "accuracy=tensor(0.93, device='cuda:0')",
        'INFO {"accuracy": 0.93}',
        "\x1b[32maccuracy\x1b[0m: \x1b[1m0.93\x1b[0m",
        "accuracy=0.93 accuracy=0.5",
    ],
)
def test_a_pair_is_found_in(line: str) -> None:
    assert read(line) == {"accuracy": 0.93}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "accuracy",
        "accuracy=",
        "accuracy 0.93",
        "accuracy=high",
        "val_accuracy=0.93",
        "accuracy_best=0.93",
        "val/accuracy=0.93",
        "accuracy/val=0.93",
        "top-accuracy=0.93",
        "précision_accuracy=0.93",
        "accuracy: 9312/10000",
        "accuracy: 1,234",
        "accuracy: 12:30",
        "accuracy: 2024-01-02",
        "accuracy: 1.2.3",
        "accuracy: 93ms",
        "accuracy: information",
        "accuracy: [0.93]",
        "accuracy=0x1f",
    ],
)
def test_no_wrong_number_is_taken_from(line: str) -> None:
    assert "accuracy" not in read(line)


def test_all_numbers_of_an_interesting_line_are_taken_but_for_counters() -> None:
    line = "Epoch: 3 batch=7 loss: 0.5 - accuracy: 0.93 - val/loss=1e-5 time: 12ms"

    assert read(line) == {"loss": 0.5, "accuracy": 0.93, "val/loss": 1e-5}


def test_a_line_without_a_wanted_metric_is_not_interesting() -> None:
    assert read("loss=0.5") == {}


@pytest.mark.parametrize("text", ["inf", "Infinity", "-inf", "+INF"])
def test_an_infinite_value_is_a_value(text: str) -> None:
    assert math.isinf(read(f"accuracy={text}")["accuracy"])


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan"])
def test_nan_is_a_value(text: str) -> None:
    assert math.isnan(read(f"accuracy={text}")["accuracy"])


@pytest.mark.parametrize(
    "name", ["точность", "val/acc", "top-1.acc", "_a", "hits@10", "F1(macro)", "5fold"]
)
def test_a_wanted_name_may_be(name: str) -> None:
    assert read(f"x=1 {name}=0.5", name) == {"x": 1.0, name: 0.5}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("accuracy=1", None),
        ("step=7 accuracy=1", 7),
        ("accuracy=1, Step: 7", 7),
        ("Epoch 3/10 accuracy=1", 3),
        ("[Epoch 003] accuracy=1", 3),
        ("Epoch: [3][ 10/5005] accuracy=1", 3),
        ("epoch 3, accuracy=1", 3),
        ("iter #12: accuracy=1", 12),
        ("iteration=12 epoch=2 accuracy=1", 2),
        ("epoch=2 global_step=400 accuracy=1", 400),
        ("global_step=400 step=4 accuracy=1", 4),
        ("batch=9 accuracy=1", None),
        ("epoch=0.33 accuracy=1", None),
        ("epoch=1.0 accuracy=1", None),
        ("epochs=10 accuracy=1", None),
        ("warmup_step=10 accuracy=1", None),
        ("step=99999999999999999999 accuracy=1", None),
        ("step=-3 accuracy=1", None),
        ('{"epoch": 3, "accuracy": 1}', 3),
        ('{"step": 2, "epoch": 3, "accuracy": 1}', 2),
        ('{"epoch": 0.5, "accuracy": 1}', None),
    ],
)
def test_the_step_is_taken_from(line: str, expected: int | None) -> None:
    assert step(line) == expected


def test_a_counter_that_is_wanted_is_a_metric() -> None:
    ((found, values),) = LineReader(("iter",)).find("epoch=2 iter=40")

    assert (found, values) == (2, {"iter": 40.0})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            '{"accuracy": 0.93, "loss": 1, "name": "run", "ok": true}',
            {"accuracy": 0.93, "loss": 1.0},
        ),
        ('  {"epoch": 1, "metrics": {"accuracy": "0.93"}}', {"accuracy": 0.93}),
        ('{"loss": 1}', {}),
        ('{"accuracy": null}', {}),
        ('{"accuracy": [0.93]}', {}),
        ('{"pr\\u00e9cision": 1, "accuracy": 1e400}', {"précision": 1.0, "accuracy": math.inf}),
    ],
)
def test_a_json_line_is_read(line: str, expected: dict[str, float]) -> None:
    assert read(line) == expected


def test_json_may_hold_nan_bare_or_as_a_text() -> None:
    assert math.isnan(read('{"accuracy": NaN}')["accuracy"])
    assert math.isnan(read('{"accuracy": "nan"}')["accuracy"])


def test_a_json_line_that_nests_without_end_is_passed_over() -> None:
    assert read('{"accuracy": ' + "[" * 8000) == {}


def test_names_are_found_without_counters() -> None:
    assert pair_names("Epoch=1 val_loss: 0.5\nother=fast\nlr=0.1") == ["val_loss", "lr"]
