"""The kinds of nodes. A new kind is one more file here, and one more entry below."""

from typing import Final

from actionbus.engine.shapes.emit import EmitShape
from actionbus.engine.shapes.sequence import SequenceShape
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.shapes.step import StepShape

SHAPES: Final[dict[str, Shape]] = {
    "step": StepShape(),
    "emit": EmitShape(),
    "sequence": SequenceShape(),
}
