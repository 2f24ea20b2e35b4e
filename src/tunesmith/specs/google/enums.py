"""The enumerations of Google's messages: names by number."""

from collections.abc import Mapping

from tunesmith.space import Scale

__all__ = [
    "ACCELERATORS",
    "ALGORITHMS",
    "CMLE_ALGORITHMS",
    "CMLE_SCALES",
    "CMLE_TYPES",
    "GOALS",
    "NOISES",
    "OPTIMIZER_ALGORITHMS",
    "SCALES",
    "SCALE_NAMES",
    "SELECTIONS",
    "STRATEGIES",
    "TIERS",
]

GOALS = {0: "GOAL_TYPE_UNSPECIFIED", 1: "MAXIMIZE", 2: "MINIMIZE"}
ALGORITHMS = {0: "ALGORITHM_UNSPECIFIED", 2: "GRID_SEARCH", 3: "RANDOM_SEARCH"}
OPTIMIZER_ALGORITHMS = {
    0: "ALGORITHM_UNSPECIFIED",
    1: "GAUSSIAN_PROCESS_BANDIT",
    2: "GRID_SEARCH",
    3: "RANDOM_SEARCH",
}
CMLE_ALGORITHMS = {0: "ALGORITHM_UNSPECIFIED", 1: "GRID_SEARCH", 2: "RANDOM_SEARCH"}
NOISES = {0: "OBSERVATION_NOISE_UNSPECIFIED", 1: "LOW", 2: "HIGH"}
SELECTIONS = {
    0: "MEASUREMENT_SELECTION_TYPE_UNSPECIFIED",
    1: "LAST_MEASUREMENT",
    2: "BEST_MEASUREMENT",
}
CMLE_TYPES = {
    0: "PARAMETER_TYPE_UNSPECIFIED",
    1: "DOUBLE",
    2: "INTEGER",
    3: "CATEGORICAL",
    4: "DISCRETE",
}
TIERS = {
    0: "BASIC",
    1: "STANDARD_1",
    3: "PREMIUM_1",
    4: "BASIC_GPU",
    5: "CUSTOM",
    6: "BASIC_TPU",
}
STRATEGIES = {
    0: "STRATEGY_UNSPECIFIED",
    1: "ON_DEMAND",
    2: "LOW_COST",
    3: "STANDARD",
    4: "SPOT",
    6: "FLEX_START",
}

_SCALED = {1: "UNIT_LINEAR_SCALE", 2: "UNIT_LOG_SCALE", 3: "UNIT_REVERSE_LOG_SCALE"}
SCALES = {0: "SCALE_TYPE_UNSPECIFIED", **_SCALED}
CMLE_SCALES = {0: "NONE", **_SCALED}
SCALE_NAMES: Mapping[str, Scale] = {
    "": "linear",
    "UNIT_LINEAR_SCALE": "linear",
    "UNIT_LOG_SCALE": "log",
    "UNIT_REVERSE_LOG_SCALE": "reverse_log",
}
"""Our word for each; without a scale, values are spread evenly."""

ACCELERATORS = {
    0: "ACCELERATOR_TYPE_UNSPECIFIED",
    1: "NVIDIA_TESLA_K80",
    2: "NVIDIA_TESLA_P100",
    3: "NVIDIA_TESLA_V100",
    4: "NVIDIA_TESLA_P4",
    5: "NVIDIA_TESLA_T4",
    6: "TPU_V2",
    7: "TPU_V3",
    8: "NVIDIA_TESLA_A100",
    9: "NVIDIA_A100_80GB",
    10: "TPU_V4_POD",
    11: "NVIDIA_L4",
    12: "TPU_V5_LITEPOD",
    13: "NVIDIA_H100_80GB",
    14: "NVIDIA_H100_MEGA_80GB",
    15: "NVIDIA_H200_141GB",
    16: "NVIDIA_B200",
    17: "NVIDIA_GB200",
    18: "NVIDIA_RTX_PRO_6000",
}
"""Those whose numbers matter; another name is a wish like any other."""
