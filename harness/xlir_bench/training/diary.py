"""What a run has seen so far: losses, looks at the held-out set, time. It travels with every checkpoint."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from xlir_bench.files import replacing
from xlir_bench.training.development import Scores, single_figure
from xlir_bench.training.recipe import EarlyStopping


@dataclass
class Diary:
    """See the module.

    Attributes:
        losses: `{"step", kind: mean loss since the entry before}`.
        pending: losses that are in no entry yet, by kind of batch.
        looks: `{"step", "score", "scores"}`, score being what early stopping compares.
        best_step: the look with the best score; 0 before the first.
        waited: looks without a gain since then.
        seconds: of training, over all sittings.
    """

    losses: list[dict[str, float]] = field(default_factory=list)
    pending: dict[str, list[float]] = field(default_factory=dict)
    looks: list[dict[str, Any]] = field(default_factory=list)
    best_step: int = 0
    waited: int = 0
    seconds: float = 0.0
    _since: float = field(default_factory=perf_counter, repr=False)

    def note_loss(self, kind: str, loss: float) -> None:
        """The loss of one step."""
        self.pending.setdefault(kind, []).append(loss)

    def enter_losses(self, step: int) -> str:
        """Make an entry of the losses since the last one; gives it as it is shown beside a bar."""
        means = {kind: sum(values) / len(values) for kind, values in self.pending.items()}
        self.losses.append({"step": step, **{kind: round(mean, 6) for kind, mean in means.items()}})
        self.pending = {}
        return "loss " + ", ".join(f"{kind} {mean:.3f}" for kind, mean in means.items())

    def look(self, step: int, scores: Scores) -> bool:
        """Enter a look at the held-out set; True if it is the best so far."""
        figure = single_figure(scores)
        best = max((entry["score"] for entry in self.looks), default=float("-inf"))
        self.looks.append({"step": step, "score": figure, "scores": scores})
        gained = figure > best
        self.best_step = step if gained else self.best_step
        self.waited = 0 if gained else self.waited + 1
        return gained

    def given_up(self, rule: EarlyStopping | None) -> bool:
        """Whether the held-out set has not gained for as long as the recipe waits."""
        return rule is not None and self.waited >= rule.patience

    def write(self, path: Path) -> None:
        """Keep it, whole or not at all."""
        now = perf_counter()
        self.seconds, self._since = self.seconds + now - self._since, now
        kept = {name: value for name, value in asdict(self).items() if not name.startswith("_")}
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(kept), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Diary:
        """One that was kept.

        Raises:
            ValueError, OSError: it is not there, or not whole.
        """
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def minutes(self) -> float:
        """Of training, up to now."""
        return round((self.seconds + perf_counter() - self._since) / 60, 3)
