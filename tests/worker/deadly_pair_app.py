"""Two actions in one worker process: the one that may never let it live, and one that takes its time.

Nothing but a worker of its own may load it: what has ended stands beside the offsets only where somebody sees to it.
"""

from actionbus.worker import lane
from worker.deadly_app import visit
from worker.stroll_app import stroll

__all__ = ["stroll", "visit"]
lane.COMMIT_SECONDS = 3_600.0
