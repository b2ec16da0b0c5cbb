"""The kinds of nodes. A new kind is one more file here, and one more entry below."""

from typing import Final

from actionbus.engine.shapes.child import ChildShape
from actionbus.engine.shapes.choose import ChooseShape
from actionbus.engine.shapes.emit import EmitShape
from actionbus.engine.shapes.map import MapShape
from actionbus.engine.shapes.parallel import ParallelShape
from actionbus.engine.shapes.person import PersonShape
from actionbus.engine.shapes.raise_ import RaiseShape
from actionbus.engine.shapes.repeat import RepeatShape
from actionbus.engine.shapes.schedule import ScheduleShape
from actionbus.engine.shapes.sequence import SequenceShape
from actionbus.engine.shapes.set import SetShape
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.shapes.show import ShowShape
from actionbus.engine.shapes.sleep import SleepShape
from actionbus.engine.shapes.step import StepShape
from actionbus.engine.shapes.try_ import TryShape
from actionbus.engine.shapes.wait import WaitShape

SHAPES: Final[dict[str, Shape]] = {
    "step": StepShape(),
    "emit": EmitShape(),
    "set": SetShape(),
    "show": ShowShape(),
    "raise": RaiseShape(),
    "sequence": SequenceShape(),
    "choose": ChooseShape(),
    "parallel": ParallelShape(),
    "map": MapShape(),
    "repeat": RepeatShape(),
    "wait": WaitShape(),
    "person": PersonShape(),
    "sleep": SleepShape(),
    "child": ChildShape(),
    "schedule": ScheduleShape(),
    "try": TryShape(),
}
