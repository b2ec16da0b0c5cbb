"""The recorded histories, and how a play becomes one."""

from pathlib import Path

from actionbus.engine import history
from actionbus.engine.history import History, Moment
from engine.play import Play

FOLDER = Path(__file__).parent


def recorded() -> list[Path]:
    """Every recorded history."""
    return sorted(FOLDER.glob("*.json"))


def record(play: Play, about: str) -> str:
    """A play as the text of a history."""
    moments = [
        Moment(now=now, seq=seq, event=event, outcome=history.came(play.definition, transition, seq))
        for (event, now, seq), transition in zip(play.inputs, play.transitions, strict=True)
    ]
    return history.write(History(about=about, definition=play.definition, moments=tuple(moments)))
