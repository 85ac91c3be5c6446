"""Every bundled plugin keeps the contract."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tobs.testing.contract import PluginContract


class TestAdaptiveConnections(PluginContract):
    plugin = "adaptive_connections"


class TestAdvisor(PluginContract):
    plugin = "advisor"


class TestAsyncPipeline(PluginContract):
    plugin = "async_pipeline"


class TestBloomFilter(PluginContract):
    plugin = "bloom_filter"


class TestBoundedMemory(PluginContract):
    plugin = "bounded_memory"


class TestDcRouting(PluginContract):
    plugin = "dc_routing"


class TestDeferredMedia(PluginContract):
    plugin = "deferred_media"


class TestDiskIO(PluginContract):
    plugin = "disk_io"


class TestHashDedup(PluginContract):
    plugin = "hash_dedup"


class TestLogRateLimit(PluginContract):
    plugin = "log_rate_limit"


class TestParallelMedia(PluginContract):
    plugin = "parallel_media"


class TestResilience(PluginContract):
    plugin = "resilience"


class TestResultCache(PluginContract):
    plugin = "result_cache"

    @classmethod
    def alone(cls) -> str:
        """With something to keep: off or on, it does nothing where nothing is derived."""
        return f"{super().alone()} transforms=all"

    @classmethod
    def among(cls) -> str:
        return f"{super().among()} transforms=all"


class TestTakeout(PluginContract):
    plugin = "takeout"


def test_no_bundled_plugin_is_left_out() -> None:
    settings = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    bundled = set(settings["project"]["entry-points"]["tobs"])
    assert {
        contract.plugin for contract in PluginContract.__subclasses__() if contract.__module__ == __name__
    } == bundled
