"""What nodes and edges of the graph stand for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from kpiopt.scenario.quantity import Quantity


class NodeKind(IntEnum):
    """What a node stands for."""

    KPI = 0
    FACTOR = 1
    INITIATIVE = 2
    BUILT = 3
    CURVE = 4


class EdgeKind(IntEnum):
    """Why a node changes another."""

    ROLL_UP = 0
    CAUSE = 1
    FACTOR = 2
    INITIATIVE = 3
    TIME = 4


@dataclass(frozen=True)
class NamedQuantity:
    """An uncertain quantity and its name, the key of its random stream."""

    name: str
    quantity: Quantity
