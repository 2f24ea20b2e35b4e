"""Where studies live: one protocol, one SQL storage, found by URL."""

from tunesmith.storage.base import Changes, Claim, Measured, Order, Reply, Storage
from tunesmith.storage.locate import default_url, files_root, open_storage, shown

__all__ = [
    "Changes",
    "Claim",
    "Measured",
    "Order",
    "Reply",
    "Storage",
    "default_url",
    "files_root",
    "open_storage",
    "shown",
]
