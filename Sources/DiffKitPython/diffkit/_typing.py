"""Names of types that several modules use."""

from __future__ import annotations

import os
from typing import Callable, Union

Path = Union[str, "os.PathLike[str]"]
#: Told the phase, and how many of how many bytes are done.
Progress = Callable[[str, int, int], None]
