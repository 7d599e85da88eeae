"""Engines: how a corpus that is not to be held in memory is encoded and counted, shard by shard."""

from xlir_bench.engines.ray import RayEngine
from xlir_bench.engines.stream import DEFAULT_SHARD, STREAMED_ABOVE, Engine, Streamed, Streaming, stream

__all__ = ["DEFAULT_SHARD", "STREAMED_ABOVE", "Engine", "RayEngine", "Streamed", "Streaming", "stream"]
