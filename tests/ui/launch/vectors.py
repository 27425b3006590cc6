"""Models that give vectors, for tests: no catalogue's, and no figure of theirs was read anywhere."""

from __future__ import annotations

from sparkdesk.core.models.spec import LayerGroup, LayerKind, ModelSpec, WeightFormat


def vector_model(name: str, parameters: int, purpose: str = "embed", **changes: object) -> ModelSpec:
    """A made-up model of this size."""
    spec = ModelSpec(
        name=name,
        title=name.partition("/")[2],
        parameters=parameters,
        context_tokens=32_768,
        key=name.partition("/")[2].lower(),
        purposes=(purpose,),
        layers=(LayerGroup(LayerKind.FULL, 28, kv_heads=8, head_dim=128),),
        formats=(WeightFormat("BF16", 2 * parameters, repo=name, engines=("vllm",)),),
    )
    return ModelSpec(**{**{f: getattr(spec, f) for f in spec.__dataclass_fields__}, **changes})  # type: ignore[arg-type]  # by name


SMALL = vector_model("example/Vector-0.6B", 600_000_000)
LARGE = vector_model("example/Vector-8B", 8_000_000_000)
RANKER = vector_model("example/Ranker-0.3B", 300_000_000, "rerank")
