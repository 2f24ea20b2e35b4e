"""Where studies live: one protocol, one SQL storage, found by URL."""

from tunesmith.storage.base import (
    DEFAULT_PROJECT,
    Changes,
    Claim,
    KeyReusedError,
    Measured,
    Order,
    Reply,
    ServedStorage,
    Storage,
    TakesStudies,
)
from tunesmith.storage.locate import (
    default_url,
    files_root,
    is_remote,
    make_files_root,
    open_storage,
    shown,
)

__all__ = [
    "DEFAULT_PROJECT",
    "Changes",
    "Claim",
    "KeyReusedError",
    "Measured",
    "Order",
    "Reply",
    "ServedStorage",
    "Storage",
    "TakesStudies",
    "default_url",
    "files_root",
    "is_remote",
    "make_files_root",
    "open_storage",
    "shown",
]
