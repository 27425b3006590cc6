"""Random plans for tests: models of every kind of layer, loads, divisions, nodes with and without neighbours."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from sparkdesk.core.jobs.plan import GIB
from sparkdesk.core.models.spec import LayerGroup, LayerKind, ModelSpec, WeightFormat
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Neighbour, NodeRoom, Place
from sparkdesk.core.planning.setup import OF_AVAILABLE, Build, EngineProfile, Setup
from sparkdesk.core.planning.workload import Workload

STOCK = Build("stock", "Stock image")
ALONE = Parallelism()
VLLM = EngineProfile(
    key="vllm",
    title="vLLM",
    formats=("BF16", "FP8", "NVFP4"),
    kv_dtypes=("auto", "fp8"),
    parallelisms=("tensor", "pipeline", "data"),
    speculatives=("none", "mtp"),
    builds=(STOCK,),
    runtime_bytes=4 * GIB,
    memory_fraction=0.7,
)
SGLANG = replace(VLLM, key="sglang", title="SGLang", share_of=OF_AVAILABLE)
LLAMACPP = EngineProfile(
    "llamacpp", "llama.cpp", ("BF16", "Q8_0"), ("auto", "q8_0"), ("pipeline",), ("none",), (STOCK,), GIB // 2
)
LLAMA = ModelSpec(
    name="nvidia/Llama-3.3-70B-Instruct-NVFP4",
    title="Llama 3.3 70B",
    parameters=70_600_000_000,
    attention_heads=64,
    context_tokens=131_072,
    layers=(LayerGroup(LayerKind.FULL, 80, kv_heads=8, head_dim=128),),
    formats=(
        WeightFormat("BF16", 141_200_000_000),
        WeightFormat("FP8", 72_600_000_000),
        WeightFormat("NVFP4", 42_700_000_000),
    ),
)


def load(context_tokens: int, users: int) -> Workload:
    """So many users, each with a request of this length."""
    answer = max(1, context_tokens // 8)
    return Workload("custom", "A load", context_tokens - answer, answer, users)


def place(count: int, available_gib: float | None = None, neighbours: tuple[Neighbour, ...] = ()) -> Place:
    """So many Sparks; where nobody read them, of the nominal size."""
    total = None if available_gib is None else round(121.6 * GIB)
    available = None if available_gib is None else round(available_gib * GIB)
    return Place(tuple(NodeRoom(f"n{i}", f"spark-{i}", total, available) for i in range(count)), neighbours=neighbours)


def setup(
    weights: str = "NVFP4", division: Parallelism = ALONE, *, spec: ModelSpec = LLAMA, kv_dtype: str = ""
) -> Setup:
    """Llama 3.3 70B on vLLM, if nothing else is said."""
    chosen = next(each for each in spec.formats if each.key == weights)
    return Setup(spec, chosen, VLLM, STOCK, division, kv_dtype)


_COUNT, _HEADS = st.integers(1, 96), st.sampled_from((1, 2, 3, 4, 8, 16))
GROUPS = st.one_of(
    st.builds(LayerGroup, st.just(LayerKind.FULL), _COUNT, _HEADS, st.sampled_from((64, 128, 256))),
    st.builds(LayerGroup, st.just(LayerKind.SLIDING), _COUNT, _HEADS, st.just(128), st.sampled_from((128, 8192))),
    st.builds(LayerGroup, st.just(LayerKind.LATENT), _COUNT, latent_dim=st.just(576)),
    st.builds(LayerGroup, st.just(LayerKind.LINEAR), _COUNT, state_bytes=st.sampled_from((1 << 20, 4 << 20))),
    st.builds(LayerGroup, st.just(LayerKind.NONE), _COUNT),
)
"""One group of layers of any kind. Made once: made anew for each draw, Hypothesis could not always repeat its draws."""
_LAYERS = st.lists(GROUPS, min_size=1, max_size=3)


@st.composite
def specs(draw: st.DrawFn) -> ModelSpec:
    """A model of 0.1 to 400 GB in 16 bits, with smaller formats of it."""
    whole = draw(st.integers(100_000_000, 400_000_000_000))
    return ModelSpec(
        name="owner/model",
        title="A model",
        attention_heads=draw(st.sampled_from((None, 16, 24, 64))),
        context_tokens=draw(st.sampled_from((None, 8192, 131_072, 1_048_576))),
        layers=tuple(draw(_LAYERS)),
        formats=(
            WeightFormat("BF16", whole),
            WeightFormat("FP8", whole // 2),
            WeightFormat("Q8_0", whole // 2, engines=("llamacpp",)),
            WeightFormat("NVFP4", whole // 3, engines=("vllm", "sglang")),
        ),
    )


@st.composite
def questions(draw: st.DrawFn) -> tuple[Setup, Workload, Place]:
    """A plan on 1 to 4 nodes: read or not, with a neighbour or without."""
    count = draw(st.integers(1, 4))
    division = draw(
        st.sampled_from(
            [Parallelism(t, p, count // (t * p)) for t in range(1, 5) for p in range(1, 5) if count % (t * p) == 0]
        )
    )
    made = Setup(
        spec=draw(specs()),
        weights=WeightFormat("", 1),
        engine=draw(st.sampled_from((VLLM, SGLANG, LLAMACPP))),
        build=STOCK,
        parallelism=division,
        kv_dtype=draw(st.sampled_from(("", "fp8", "q8_0"))),
        speculative=draw(st.sampled_from(("none", "eagle3"))),
    )
    made = Setup(
        made.spec,
        draw(st.sampled_from(made.spec.formats)),
        made.engine,
        STOCK,
        division,
        made.kv_dtype,
        made.speculative,
    )
    asked = load(draw(st.integers(2, 300_000)), draw(st.integers(1, 256)))
    return made, asked, draw(places(count))


@st.composite
def places(draw: st.DrawFn, count: int) -> Place:
    """Nodes that were read or not, with up to two neighbours that hold what they hold."""
    held = [draw(st.integers(0, 60)) for _ in range(draw(st.integers(0, 2)))]
    neighbours = tuple(
        Neighbour(f"job{i}", f"neighbour {i}", ("n0",), 10.0, 10.0, bytes_held=gib * GIB) for i, gib in enumerate(held)
    )
    rooms = []
    for i in range(count):
        total = draw(st.sampled_from((None, 60 * GIB, 121 * GIB, 122 * GIB)))
        taken = sum(held) * GIB if i == 0 else 0
        system = draw(st.integers(1, 8)) * GIB
        available = max(0, total - taken - system) if total is not None and draw(st.booleans()) else None
        rooms.append(NodeRoom(f"n{i}", f"spark-{i}", total, available))
    return Place(tuple(rooms), neighbours=neighbours)
