"""The store of vectors against a dictionary: any order of adding, finding, discarding, reopening and damage."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from cache_writers import english, expected, files, open_store
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

TEXTS = [f"text {row}" for row in range(12)]
some_texts = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=6, unique=True)
which = st.integers(0, 1)


class StoreAndDictionary(RuleBasedStateMachine):
    """Two stores of one model, each with the keys that it must, may and must not find.

    `on_disk` holds how many undamaged rows each text has; a store finds what was on disk when it was opened, unless it
    was damaged or discarded since.
    """

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        self.on_disk = set()
        self.damaged = False
        self.stores = [open_store(self.folder) for _ in range(2)]
        self.shown = [set(), set()]

    @rule(number=which, texts=some_texts)
    def add(self, number, texts):
        self.stores[number].add(english(texts), expected(texts))
        self.on_disk |= set(texts)

    @rule(number=which, texts=some_texts)
    def find(self, number, texts):
        at, vectors = self.stores[number].find(english(texts))
        found = {texts[row] for row in at}
        assert at.tolist() == sorted(at.tolist())
        assert np.array_equal(vectors, expected([texts[row] for row in at])) if len(at) else True
        assert found <= self.shown[number]
        if not self.damaged:
            assert found == self.shown[number] & set(texts)
        contained = self.stores[number].contains(english(texts))
        assert found <= {text for text, stored in zip(texts, contained, strict=True) if stored} <= self.shown[number]

    @rule(number=which)
    def reopen(self, number):
        self.stores[number] = open_store(self.folder)
        self.shown[number] = set(self.on_disk)
        if not self.damaged:
            assert len(self.stores[number]) == len(self.on_disk)

    @rule(number=which)
    def discard(self, number):
        self.stores[number].discard()
        self.on_disk = set()
        self.damaged = False
        self.shown = [set(), set()]
        # The other one knows its keys still, but not their vectors.
        assert len(self.stores[1 - number].find(english(TEXTS))[0]) == 0
        self.stores[1 - number] = open_store(self.folder)

    @rule(suffix=st.sampled_from(["keys", "rows"]), number=st.integers(0, 99), at=st.floats(0, 1, exclude_max=True))
    def change_a_byte(self, suffix, number, at):
        paths = [path for path in files(self.folder, suffix) if path.stat().st_size]
        if paths:
            with paths[number % len(paths)].open("r+b") as file:
                position = int(at * file.seek(0, 2))
                file.seek(position)
                byte = file.read(1)[0]
                file.seek(position)
                file.write(bytes([byte ^ 0x40]))
            self.damaged = True

    @rule(texts=some_texts)
    def what_is_missing_is_added_and_then_found(self, texts):
        """What a run does: after it, everything that it asked for is there, whatever happened before."""
        run = open_store(self.folder)
        found = run.find(english(texts))[0].tolist()
        missing = [text for row, text in enumerate(texts) if row not in found]
        if missing:
            run.add(english(missing), expected(missing))
        del run
        self.on_disk |= set(texts)
        at, vectors = open_store(self.folder).find(english(texts))
        assert at.tolist() == list(range(len(texts)))
        assert np.array_equal(vectors, expected(texts))

    @invariant()
    def few_files(self):
        if hasattr(self, "folder"):
            assert len(files(self.folder, "keys")) <= 3  # two stores and a run at once

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


TestStoreAndDictionary = StoreAndDictionary.TestCase
TestStoreAndDictionary.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
