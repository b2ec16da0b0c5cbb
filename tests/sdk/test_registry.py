"""Finding what a user declared."""

import sys
from pathlib import Path

import pytest

from actionbus import DefinitionRefused
from actionbus.sdk import registry

APP = '''
from actionbus import Flow, action, workflow
from {helper} import suffix

@action(id="greet")
def greet(name: str) -> str:
    """Greets."""
    return name + suffix

@workflow(id="hello", version="1")
def hello(flow: Flow, name: str) -> str:
    """Says hello."""
    return flow.run(greet(name))
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder to write modules to; what was imported from it is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder: Path, name: str, text: str) -> str:
    """Write a module and give its path."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return str(file)


def test_a_file_gives_its_actions_and_workflows(folder):
    """Modules beside the file can be imported by it."""
    write(folder, "helper_a.py", "suffix = '!'")
    found = registry.load(write(folder, "app_a.py", APP.format(helper="helper_a")))
    assert set(found.actions) == {"greet"}
    assert set(found.workflows) == {("hello", "1")}
    assert found.actions["greet"].execute("Ann") == "Ann!"


def test_a_dotted_name_gives_the_same(folder, monkeypatch):
    """A module is named as Python imports it, from the working directory too."""
    monkeypatch.chdir(folder)
    write(folder, "package_b/__init__.py", "")
    write(folder, "package_b/helper.py", "suffix = '?'")
    write(folder, "package_b/app.py", APP.format(helper="package_b.helper"))
    assert registry.load("package_b.app").actions["greet"].execute("Ann") == "Ann?"


def test_actions_that_only_a_workflow_uses_are_found_too(folder):
    """A worker that hosts a workflow's module hosts what the workflow calls."""
    write(folder, "helper_c.py", "suffix = ''")
    write(folder, "app_c.py", APP.format(helper="helper_c"))
    found = registry.load(write(folder, "only_c.py", "from app_c import hello"))
    assert set(found.actions) == {"greet"}


def test_several_modules_are_one_registry(folder):
    """The same object found twice is no duplicate."""
    write(folder, "helper_d.py", "suffix = ''")
    app = write(folder, "app_d.py", APP.format(helper="helper_d"))
    other = write(folder, "more_d.py", "from app_d import greet\nagain = greet")
    assert set(registry.load(app, other).actions) == {"greet"}


def test_two_declarations_of_one_id_are_refused_with_both_places(folder):
    """Nobody has to search for the other one."""
    lines = "from actionbus import action\n\n@action(id='same')\ndef {}() -> None: ...\n"
    one = write(folder, "one_e.py", lines.format("one"))
    two = write(folder, "two_e.py", "\n" + lines.format("two"))
    with pytest.raises(DefinitionRefused, match="action same is declared twice") as refused:
        registry.load(one, two)
    assert "one_e.py:3" in str(refused.value)
    assert "two_e.py:4" in str(refused.value)


def test_two_workflows_of_one_version_are_refused(folder):
    """Another version is another workflow; the same one is a duplicate."""
    text = "from actionbus import Flow, workflow\n"
    for name, version in (("a", "1"), ("b", "2")):
        text += f"\n@workflow(id='w', version='{version}')\ndef {name}(flow: Flow) -> None: ...\n"
    assert set(registry.load(write(folder, "two_f.py", text)).workflows) == {("w", "1"), ("w", "2")}
    with pytest.raises(DefinitionRefused, match="workflow w version 1 is declared twice"):
        registry.load(write(folder, "same_f.py", text.replace("'2'", "'1'")))


def test_a_changed_file_is_read_again_with_what_it_imports(folder):
    """Development needs no restart: ``fresh`` sees the new text of the module and of its helpers."""
    helper = write(folder, "helper_g.py", "suffix = '1'")
    app = write(folder, "app_g.py", APP.format(helper="helper_g"))
    assert registry.load(app).actions["greet"].execute("") == "1"
    Path(helper).write_text("suffix = 'changed'")
    assert registry.load(app).actions["greet"].execute("") == "1"
    assert registry.load(app, fresh=True).actions["greet"].execute("") == "changed"
    assert "actionbus.sdk.registry" in sys.modules
    assert sys.modules["actionbus.sdk.registry"] is registry


def test_a_file_that_cannot_be_imported_shows_the_users_own_traceback(folder):
    """The failing line is there, import machinery is not; a repaired file can be loaded."""
    file = write(folder, "broken_h.py", "import json\n\nvalue = json.loads('{')\n")
    with pytest.raises(DefinitionRefused) as refused:
        registry.load(file)
    text = str(refused.value)
    assert "broken_h.py" in text
    assert "line 3" in text
    assert "JSONDecodeError" in text
    assert "importlib" not in text
    write(folder, "broken_h.py", "from actionbus import action\n\n@action(id='a')\ndef a() -> None: ...\n")
    assert set(registry.load(file).actions) == {"a"}


def test_a_syntax_error_is_shown_as_python_shows_it(folder):
    """The line with its caret."""
    with pytest.raises(DefinitionRefused, match="SyntaxError") as refused:
        registry.load(write(folder, "typo_i.py", "def broken(:\n"))
    assert "def broken(:" in str(refused.value)


def test_a_missing_import_of_the_users_is_not_taken_for_a_missing_module(folder):
    """The message names what is really missing."""
    with pytest.raises(DefinitionRefused, match="No module named 'no_such_thing'"):
        registry.load(write(folder, "app_j.py", "import no_such_thing\n"))


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("no/such/file.py", "there is no file no/such/file.py"),
        ("no_such_module", "there is no module no_such_module"),
        ("json", "declares no action and no workflow"),
    ],
)
def test_a_target_that_is_not_there_is_refused(target, says):
    """A wrong path, a wrong name and a module without declarations are three different messages."""
    with pytest.raises(DefinitionRefused, match=says):
        registry.load(target)


def test_a_file_named_like_a_known_module_does_not_replace_it(folder):
    """``json.py`` of the user's is loaded under another name."""
    import json

    file = write(folder, "json.py", "from actionbus import action\n\n@action(id='a')\ndef a() -> None: ...\n")
    assert set(registry.load(file).actions) == {"a"}
    assert sys.modules["json"] is json


def test_a_workflow_that_cannot_be_run_is_refused_when_it_is_loaded(folder):
    """Mistakes show at the start of a process, not at the first run."""
    text = APP.replace("greet(name)", "greet(name + '!')").format(helper="helper_k")
    write(folder, "helper_k.py", "suffix = ''")
    with pytest.raises(DefinitionRefused, match=r"app_k.py:\d+: input \(str\) cannot be calculated with"):
        registry.load(write(folder, "app_k.py", text))
