"""Studies run in virtual time while everything goes wrong that can: thousands of schedules a minute.

    python -m tunesmith.testing.faults --seeds 0:5000
    python -m tunesmith.testing.faults --seed 4711 --verbose

The study, the tuner and the storage are the real ones. What each seed stands for is drawn by
`scenario`; what went wrong in it is the same every time.
"""

from tunesmith.testing.faults.simulate import Outcome, simulate

__all__ = ["Outcome", "simulate"]
