"""Which commands are known to be published, and so how far a successor may trust that none is missing."""

from actionbus.contracts.errors import InvariantBroken


class Dispatching:
    """Counts, by the transaction that scheduled them, the commands that no broker has acknowledged yet.

    ``dispatched_through`` is what the position record says: every command of the transactions up to it is published.
    The highest acknowledged one would not do: a gap below it is a command that nobody ever sends again.
    """

    def __init__(self, dispatched_through: int) -> None:
        self._floor = dispatched_through
        self._newest = 0
        self._waiting: dict[int, int] = {}  # in the order of the transactions

    def __len__(self) -> int:
        return sum(self._waiting.values())

    def sending(self, seq: int) -> None:
        """A command of this transaction is about to be published, or will be again after a takeover."""
        if seq < self._newest:
            raise InvariantBroken(f"commands of transaction {seq} come after those of {self._newest}")
        self._newest = seq
        self._waiting[seq] = self._waiting.get(seq, 0) + 1

    def acknowledged(self, seq: int) -> None:
        """A broker has one of them."""
        self._waiting[seq] -= 1
        if not self._waiting[seq]:
            del self._waiting[seq]

    def through(self, txn_seq: int) -> int:
        """``dispatched_through`` as of now, when ``txn_seq`` is the last committed transaction."""
        lowest = next(iter(self._waiting), None)
        reached = txn_seq if lowest is None else lowest - 1
        self._floor = max(self._floor, reached)
        return self._floor
