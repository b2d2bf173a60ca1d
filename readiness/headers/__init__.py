"""HTTP response headers judged by their specifications: pure functions over header lists, usable alone.

`evaluate` judges one answer by every rule. A header list is a sequence of (name, value) pairs as they came, in order
and with repetitions. Every family of headers is a module with a parser and a `judge` function that returns `Verdict`s
and never raises, whatever the header holds.
"""

from readiness.headers.base import Headers, Verdict, gravest, values
from readiness.headers.evaluation import Profile, evaluate, family

__all__ = ["Headers", "Profile", "Verdict", "evaluate", "family", "gravest", "values"]
