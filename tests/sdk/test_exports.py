"""The names that users import."""

import actionbus


def test_every_exported_name_is_there_and_no_other_public_one():
    """``__all__`` and the module agree; what is visible beside it are rooms."""
    rooms = {"contracts", "engine", "sdk", "client", "process", "testing", "kafka", "orchestrator", "worker"}
    rooms |= {"provisioner", "cli"}
    public = {name for name in vars(actionbus) if not name.startswith("_")}
    assert public - rooms == set(actionbus.__all__)
    assert list(actionbus.__all__) == sorted(actionbus.__all__)


def test_every_exported_name_is_documented():
    """Whatever a user can import says what it is."""
    undocumented = [
        name for name in actionbus.__all__ if not (getattr(getattr(actionbus, name), "__doc__", None) or "").strip()
    ]
    assert undocumented == []
