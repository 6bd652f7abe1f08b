"""Every kill of the session whose loss or gain was looked for, by what was killed."""

from __future__ import annotations

from collections import Counter

KILLS: Counter[str] = Counter()
