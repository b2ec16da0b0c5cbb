"""The smallest workflow there is. ``python examples/hello.py`` runs it in this process, without Kafka.

On Kafka: ``actionbus dev examples/hello.py``, then ``actionbus runs start hello '"Ann"'``.
"""

from actionbus import Flow, action, workflow
from actionbus.testing import run_workflow


@action(id="greet")
def greet(name: str) -> str:
    """Finds the words."""
    return f"Hello, {name}!"


@workflow(id="hello", version="1")
def hello(flow: Flow, name: str) -> str:
    """Greets somebody."""
    return flow.run(greet(name))


if __name__ == "__main__":
    print(run_workflow(hello, "world").result)
