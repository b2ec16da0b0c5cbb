"""Makes the modules of the examples importable by the names that they have for each other."""

import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path[:0] = [str(EXAMPLES), str(EXAMPLES / "signup_demo")]
