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
    moments: list[Moment] = []
    definition = play.first
    for (event, now, seq), transition in zip(play.inputs, play.transitions, strict=True):
        definition = history.pinned(definition, event, transition.run)
        outcome = history.came(definition, transition, seq)
        moments.append(Moment(now=now, seq=seq, event=event, outcome=outcome))
    return history.write(History(about=about, definition=play.first, moments=tuple(moments)))
