"""The stores' twins in memory, held to the same contract by tests/contract."""

from __future__ import annotations

from service.stores.memory_objects import MemoryObjects
from service.stores.memory_registry import MemoryRegistry, MemoryTransaction

__all__ = ["MemoryObjects", "MemoryRegistry", "MemoryTransaction"]
