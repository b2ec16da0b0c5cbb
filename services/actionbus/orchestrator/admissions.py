"""Gives turns to what waits for them: folds each that has room, beside the requests, results and timers of a shard."""

from collections.abc import Callable

from actionbus.orchestrator.charter import Charter
from actionbus.orchestrator.destinations import Unseen
from actionbus.orchestrator.firing import Firing
from actionbus.orchestrator.fold import REARM_MS, Fold
from actionbus.orchestrator.quarantine import Quarantine
from actionbus.orchestrator.takeover import Holding


class Admissions:
    """The turns of one shard, as they are given within its folds."""

    def __init__(
        self, charter: Charter, holding: Holding, quarantine: Quarantine, enough: Callable[[Fold], bool]
    ) -> None:
        self._destinations = charter.destinations
        self._queues = holding.queues
        self._store = holding.store
        self._quarantine = quarantine
        self._enough = enough

    async def fill(self, fold: Fold, now: int) -> None:
        """Fold every turn that may be given; waits only for an answer about a topic nobody has asked for yet."""
        while not self._enough(fold) and (place := self._queues.next(now)) is not None:
            firing = Firing(run_id=place.run_id)
            sentence = self._quarantine.sentence(firing)
            if sentence is not None:
                if not (sentence.hopeless and fold.give_up(place.run_id, sentence.cause)):
                    self._quarantine.pardon(firing)  # what its turn leads to may be writable later
                    self._queues.postpone(place, now + REARM_MS)
                continue
            try:
                went_on = fold.admit(place.run_id, place.path)
            except Unseen as unseen:
                await self._destinations.look(unseen.topic)
                continue
            if went_on:
                self._queues.took(place, now)
            else:
                self._queues.postpone(place, now + REARM_MS)

    def forget(self, fold: Fold) -> None:
        """A fold is begun anew: its runs stand where they were last committed."""
        for run_id in fold.touched:
            run = self._store.get(run_id)
            if run is None:
                self._queues.drop(run_id)
            else:
                self._queues.note(run)
