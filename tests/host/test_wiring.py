"""Plugins are asked once each, in the plan's order, and what they bring is checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.host.kit import misuse, plan_of, plugin, slots, wire, witness
from tests.host.plugins.witness import NOTES, OwnAgenda, OwnSource, OwnWrite
from tobs.engine.budget import ByteBudget
from tobs.engine.graph import Graph, Line, assemble, bare_line, whole_page, whole_spans
from tobs.engine.media import CoreFetch, HomeLanes, SerialAgenda, SerialParts
from tobs.engine.pool import CorePool
from tobs.engine.runner import run_in_turn
from tobs.engine.source import SequentialSource
from tobs.engine.state import MemoryState
from tobs.engine.store import NoJournal, PlainDisk
from tobs.errors import PluginError, UsageError
from tobs.hookspecs import SLOTS
from tobs.host import conform
from tobs.host.wiring import BESIDE, HOOKS, HookWiring
from tobs.manifest import Manifest

PORTS_ASKED = {"probe", "dial", "invoke", "fetch", "filter", "submit", "ranges", "log", "lifespan", "transform", *SLOTS}


class NoWrite:
    async def commit(self, batch: Any) -> None: ...

    async def settle(self, outcomes: Any) -> None: ...


WRITE = NoWrite()


def graph_of(line: Line) -> Graph:
    return assemble(line, None, WRITE, Path("unused"), str)  # type: ignore[arg-type]


def whole(plan_manifests: tuple[Manifest, ...]) -> Graph:
    """Everything a run asks of its plugins."""
    line = wire(plan_of(*plan_manifests))
    for layer in line.wiring.layers("log"):
        layer(__import__("logging").NullHandler())
    graph = graph_of(line)
    line.wiring.layers("lifespan")
    line.wiring.layers("transform")
    return graph


def kinds(graph: Graph) -> dict[str, object]:
    """What stands in a graph: functions as they are, objects by their type."""
    found = {name: getattr(graph, name) for name in ("ranges", "source", "runner", "write", "agenda", "lanes", "parts")}
    found |= {"fetch": graph.fetch, "disk": graph.disk, "journal": graph.journal}
    found |= {"pool": graph.line.pool, "budget": graph.line.budget}
    found["filter"] = graph.filter
    plain = {"ranges", "filter", "runner", "write"}
    return {name: value if name in plain else type(value) for name, value in found.items()}


BASELINE = {
    "ranges": whole_spans,
    "source": SequentialSource,
    "filter": whole_page,
    "runner": run_in_turn,
    "write": WRITE,
    "agenda": SerialAgenda,
    "lanes": HomeLanes,
    "parts": SerialParts,
    "fetch": CoreFetch,
    "disk": PlainDisk,
    "journal": NoJournal,
    "pool": CorePool,
    "budget": ByteBudget,
}


def test_without_plugins_the_baseline_s_own_objects_stand_in_the_graph() -> None:
    assert kinds(graph_of(wire(plan_of(slots(), arm="baseline")))) == BASELINE
    bare = bare_line(wire(plan_of(arm="baseline")).service, MemoryState(), wire(plan_of()).settings)
    assert kinds(graph_of(bare)) == BASELINE


def test_a_strategy_takes_its_slot_and_no_other() -> None:
    graph = graph_of(wire(plan_of(slots())))
    own = {"source": OwnSource, "agenda": OwnAgenda}
    found = kinds(graph)
    assert isinstance(graph.write, OwnWrite)
    assert found | {"write": WRITE} == BASELINE | own


def test_what_core_offers_reaches_the_hook_that_asks_for_it() -> None:
    graph = graph_of(wire(plan_of(slots())))
    assert isinstance(graph.write, OwnWrite)
    assert graph.write.inner is WRITE
    assert isinstance(graph.agenda, OwnAgenda)
    assert graph.agenda.work is graph.store


def test_every_hook_is_called_once_and_in_the_plan_s_order() -> None:
    NOTES["once"].clear()
    upper = witness("upper", "once")
    lower = Manifest(upper.name[::-1], "Stands upon it.", upper.load, upper.knobs, requires=("upper",))
    whole((lower, upper))
    hooks = [note for note in NOTES["once"] if ": hook" in note]

    assert [note for note in hooks if note.endswith("hook probe")] == ["upper: hook probe"] * 2
    assert len(hooks) == 2 * len(set(hooks)) == 2 * 8


def test_layers_come_in_the_plan_s_order_and_not_in_that_of_names() -> None:
    manifests = [witness("a", "order"), witness("b", "order"), witness("c", "order")]
    late = [Manifest(m.name, m.summary, m.load, m.knobs, requires=("c",) if m.name == "a" else ()) for m in manifests]
    NOTES["order"].clear()
    whole(tuple(late))
    assert [note[0] for note in NOTES["order"] if note.endswith("hook ranges")] == ["b", "c", "a"]


def test_answers_are_kept_where_a_filter_stands_and_nowhere_else() -> None:
    assert graph_of(wire(plan_of(witness("one", "wire")))).line.service.keeps_wire
    assert not graph_of(wire(plan_of(slots()))).line.service.keeps_wire


def test_a_run_asks_for_every_port_that_has_a_hook_and_never_twice() -> None:
    graph = whole((witness("one", "ports"),))
    assert {f"tobs_{port}" for port in PORTS_ASKED} == HOOKS - BESIDE
    for port in PORTS_ASKED - {*SLOTS}:
        with pytest.raises(AssertionError, match="asked for twice"):
            graph.line.wiring.layers(port)


def test_every_slot_and_layer_knows_what_to_check() -> None:
    assert set(conform.SLOT_PORTS) == {*SLOTS}
    unchecked = {"probe", "log", "lifespan"}
    assert {f"tobs_{port}" for port in {*conform.SLOT_PORTS, *conform.LAYER_PORTS, *unchecked}} == HOOKS - BESIDE
    for port, base in ((conform.SLOT_PORTS[slot], BASELINE[slot]) for slot in SLOTS):
        assert conform.fault_of(object(), port)
        assert not isinstance(base, type) or conform.fault_of(base, port) == "is a class and not an instance of it"


def test_the_baseline_s_own_strategies_pass_the_checks() -> None:
    graph = graph_of(wire(plan_of()))
    for slot in SLOTS:
        value = getattr(graph if hasattr(graph, slot) else graph.line, slot)
        assert (slot, conform.fault_of(value, conform.SLOT_PORTS[slot])) == (slot, "")


MISUSES = [
    (misuse("Unmakable"), "cannot be made by tests.host.plugins.misuse:Unmakable: ValueError: no tea left"),
    (misuse("Nowhere"), "cannot be imported from tests.host.plugins.misuse:Nowhere: AttributeError"),
    (plugin("nowhere"), "cannot be imported from nowhere:Nothing: ModuleNotFoundError"),
    (misuse("Silent"), "implements no hook"),
    (misuse("Misspelt"), "implements tobs_sources, which is no hook; did you mean tobs_source?"),
    (misuse("Unmarked"), "has a method tobs_source that is not marked @hook"),
    (misuse("WrongArgument"), "has a hook with a wrong signature: Plugin 'wrongargument' for hook 'tobs_runner'"),
    (misuse("Wrapping"), "implements tobs_submit as a wrapper"),
    (misuse("Async"), "implements tobs_submit as an async function"),
    (misuse("Undeclared"), "fills the slots disk, and its manifest provides none"),
    (misuse("NoProbe", "pool"), "fills the slots none, and its manifest provides pool"),
    (misuse("Nothing", "source"), "returned nothing from tobs_source"),
    (misuse("Raises", "source"), "failed in tobs_source: KeyError: 'kettle'"),
    (misuse("Number", "source"), "returned from tobs_source something that cannot be called: 7"),
    (misuse("NotAsync", "runner"), "returned from tobs_runner something that is not async"),
    (misuse("AsyncSource", "source"), "returned from tobs_source something that is async and must not be"),
    (misuse("TooFewArguments", "runner"), "returned from tobs_runner something that does not take (chat"),
    (misuse("HalfAnAgenda", "agenda"), "returned from tobs_agenda something that has no method drain"),
    (misuse("AsyncMethod", "budget"), "tobs_budget something that has a method hold that is async and must not be"),
    (misuse("ClassForInstance", "agenda"), "returned from tobs_agenda something that is a class"),
    (misuse("NoBand"), "returned from tobs_invoke something that is not a pair (InvokeBand, layer)"),
    (misuse("AnotherBand"), "names the band <FetchBand.SPARE: 1>, which is no InvokeBand"),
    (misuse("AsyncLayer"), "returned from tobs_submit something that is async; a layer is a plain function"),
    (misuse("LayerOfTwo"), "returned from tobs_submit something that does not take the one thing"),
    (misuse("LayerMakesNothing"), "made a layer of tobs_submit that cannot be called: None"),
    (misuse("LayerRaises"), "failed in its layer of tobs_submit: ZeroDivisionError: of the pot"),
    (misuse("NoHandler"), "made a layer of tobs_log that is no logging.Handler"),
    (misuse("NoContextManager"), "returned from tobs_lifespan something that is no async context manager"),
    (misuse("NoProbe"), "returned from tobs_probe something that has no method batch"),
    (misuse("TooEarly"), "asked for the pool before it stands"),
    (misuse("Scopeless"), "asked for state of the scope 'moon'"),
]


@pytest.mark.parametrize(("manifest", "said"), MISUSES, ids=[manifest.load[27:] for manifest, _ in MISUSES])
def test_a_misuse_names_the_plugin_the_hook_and_the_way_out(manifest: Manifest, said: str) -> None:
    with pytest.raises(PluginError) as failed:
        whole((witness("bystander", "misuse"), manifest))
    assert str(failed.value).startswith(f"plugin {manifest.name} ")
    assert said in str(failed.value)
    assert failed.value.hint == f"Run without it: --without {manifest.name}."
    assert (failed.value.plugin, failed.value.exit_code) == (manifest.name, 1)


def test_what_a_plugin_tells_the_user_on_purpose_keeps_its_hint_and_exit_code() -> None:
    with pytest.raises(PluginError, match="shares = tea is no list") as failed:
        whole((misuse("RaisesForTheUser", "source"),))
    assert (failed.value.hint, failed.value.exit_code) == ("Write photo=2.", UsageError.exit_code)


def test_two_that_own_every_retry_are_both_named() -> None:
    with pytest.raises(PluginError, match="plugin two and plugin one both own the band RETRY"):
        whole((misuse("Retrying", name="one"), misuse("Retrying", name="two")))


def test_what_is_wrong_with_a_plugin_is_told_before_anything_is_wired() -> None:
    with pytest.raises(PluginError, match="did you mean"):
        HookWiring(plan_of(misuse("Misspelt")), None)  # type: ignore[arg-type]
