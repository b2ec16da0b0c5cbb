"""What a broken promise is."""


class Violated(AssertionError):
    """A promise is broken: which one, and how."""

    def __init__(self, promise: str, how: str) -> None:
        super().__init__(f"{promise}: {how}")
        self.promise = promise


def hold(condition, promise: str, how: object = "") -> None:
    """Raise ``Violated`` unless the condition holds."""
    if not condition:
        raise Violated(promise, str(how))
