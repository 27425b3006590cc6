"""llama.cpp: drafts, embeddings, pictures, keys and caches become its own flags, and its own log tells the truth."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest

from backends import llamacpp
from sparkdesk.core.jobs.backend import LoadProgress, LogFailure, Reading, Told
from sparkdesk.core.jobs.fix import apply_fix
from sparkdesk.core.jobs.flag_table import check_flags
from sparkdesk.core.jobs.plan import MemoryLedger, Problem, Severity
from sparkdesk.core.jobs.reading import (
    GRAPH_BYTES,
    KV_CAPACITY_BYTES,
    KV_CAPACITY_TOKENS,
    PREFIX_HITS,
    PREFIX_QUERIES,
    START_S,
    WEIGHTS_BYTES,
    WEIGHTS_LOAD_S,
)
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.launch.gguf_file import hub_files, seen_bytes
from sparkdesk.core.planning.launch.hub_access import asked_repos
from sparkdesk.core.playbooks.fetch.transfer import PROGRAMS
from tests.backends.context import FLAG_TABLES, GGUF, NODE, ROOT, context_with, spec_named
from tests.backends.golden import check_golden
from tests.backends.test_golden_plans import MTP, SMOL

STARTS = ROOT / "tests/data/captures/llamacpp_starts"
TABLE = tomllib.loads((ROOT / "resources/flags/llamacpp-b11434.toml").read_text())
DRAFT_GGUF = "/home/nvidia/models/Llama-3.2-1B-Instruct-Q8_0.gguf"
MMPROJ = "/home/nvidia/models/mmproj-SmolVLM.gguf"
FILES = {**NODE.weight_files, DRAFT_GGUF: 1_321_083_008, MMPROJ: 190_000_000}
MIB = 2**20


def changed(request: LaunchRequest, **fields: object) -> LaunchRequest:
    return LaunchRequest.model_validate({**request.model_dump(), **fields})


EMBED = changed(SMOL, purpose="embed", context_tokens=2048, concurrency=4, reach="lan")
DRAFT = changed(
    SMOL,
    speculative="draft",
    speculative_model=DRAFT_GGUF,
    speculative_tokens=8,
    prefix_caching=True,
    max_batched_tokens=4096,
    reasoning_parser="deepseek",
    load_format="dio",
)
VISION = changed(SMOL, purpose="vision")
CASES = {
    "llamacpp_embed_lan": EMBED,
    "llamacpp_draft": DRAFT,
    "llamacpp_vision": VISION,
    "llamacpp_rerank": changed(SMOL, purpose="rerank", max_batched_tokens=512),
    "llamacpp_ngram": changed(SMOL, speculative="ngram", prefix_caching=False),
}


def problems_of(request: LaunchRequest, **node: object) -> list[Problem]:
    return llamacpp.backend.problems(
        request, context_with(spec_named(request.model), **{"weight_files": FILES, **node})
    )


def errors_at(request: LaunchRequest, **node: object) -> list[str]:
    return [problem.field for problem in problems_of(request, **node) if problem.severity is Severity.ERROR]


def words_of(request: LaunchRequest) -> list[str]:
    plan = llamacpp.backend.plan(request, context_with(spec_named(request.model), weight_files=FILES))
    return plan.commands[0].text.replace("\\\n", " ").split()[1:]


def read(name: str) -> list[object]:
    reader = llamacpp.backend.log_reader()
    return [found for line in (STARTS / name).read_text().splitlines() for found in reader.feed(line)]


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_plan_of_llama_cpp_is_the_reviewed_text(name: str) -> None:
    context = context_with(spec_named(CASES[name].model), weight_files=FILES)
    check_golden(name, llamacpp.backend.plan(CASES[name], context))


@pytest.mark.parametrize("request_", [SMOL, MTP, *CASES.values()], ids=["plain", "mtp", *CASES])
def test_every_flag_of_a_llama_cpp_plan_is_in_the_engines_own_table(request_: LaunchRequest) -> None:
    assert check_flags(words_of(request_), FLAG_TABLES["llamacpp"]) == []


def test_the_table_names_its_build_and_holds_the_flags_that_plans_use() -> None:
    names = {name for flag in TABLE["flag"] for name in (flag["name"], *flag.get("aliases", []))}
    assert (TABLE["engine"], TABLE["version"]) == ("llamacpp", "b11434")
    assert TABLE["count"] == len(TABLE["flag"]) > 200
    assert {"--model", "--spec-type", "--mmproj", "--reranking", "--cache-ram", "--api-key"} <= names
    assert "--draft-max" not in names, "it is there only to say that it was removed"


def test_a_server_for_the_network_has_its_key_in_the_environment_and_nowhere_in_the_plan() -> None:
    plan = llamacpp.backend.plan(EMBED, context_with(spec_named(EMBED.model), weight_files=FILES))
    assert "--host 0.0.0.0" in plan.commands[0].text
    assert "--api-key" not in plan.commands[0].text
    assert "127.0.0.1" in words_of(SMOL), "one for the node alone listens on its loopback"


def test_a_draft_without_a_file_is_refused_at_its_field() -> None:
    assert errors_at(changed(DRAFT, speculative_model="")) == ["speculative_model"]
    assert errors_at(changed(DRAFT, speculative_model="meta-llama/Llama-3.2-1B")) == ["speculative_model"]
    assert errors_at(changed(DRAFT, speculative_model="/models/../etc/passwd")) == ["speculative_model"]


def test_the_drafts_file_counts_as_weights() -> None:
    context = context_with(spec_named(DRAFT.model), weight_files=FILES)
    (ledger,) = llamacpp.backend.plan(DRAFT, context).ledgers
    assert ledger.weights_bytes == FILES[GGUF] + FILES[DRAFT_GGUF]


def test_a_file_of_the_hub_that_is_not_there_is_fetched_by_the_plan() -> None:
    path = "~/models/bartowski--Llama-3.2-3B-Instruct-GGUF/Llama-3.2-3B-Instruct-Q4_K_M.gguf"
    request = changed(SMOL, weights_path=path)
    context = context_with(None)
    programs = dict.fromkeys((*PROGRAMS, "guard"), b"# program\n")
    steps = list(llamacpp.backend.plan(request, replace(context, programs=programs)).playbook.steps())
    assert steps[0].id == "weights:bartowski/Llama-3.2-3B-Instruct-GGUF"
    assert steps[0].phase == "weights"
    (problem,) = [one for one in llamacpp.backend.problems(request, context) if one.field == "weights_path"]
    assert problem.severity is Severity.NOTE
    whole = path.replace("~", "/home/nvidia")
    there = replace(context_with(None, weight_files={whole: 5}), programs=programs)
    for same in (request, changed(request, weights_path=whole)):
        assert next(step.id for step in llamacpp.backend.plan(same, there).playbook.steps()) == "put"


def test_every_part_of_a_split_file_is_fetched_and_counted() -> None:
    folder = "~/models/unsloth--Qwen3-Coder-Next-GGUF/Q8_0"
    path = f"{folder}/Qwen3-Coder-Next-Q8_0-00001-of-00003.gguf"
    names = [f"Q8_0/Qwen3-Coder-Next-Q8_0-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    node = NODE
    assert hub_files(path, node) == ("unsloth/Qwen3-Coder-Next-GGUF", tuple(names))
    whole = {f"/home/nvidia/models/unsloth--Qwen3-Coder-Next-GGUF/{name}": 5 for name in names}
    assert seen_bytes(path, replace(node, weight_files=whole)) == 15
    part = replace(node, weight_files=dict(list(whole.items())[:2]))
    assert seen_bytes(path, part) is None
    assert hub_files(path, part)[1] == tuple(names), "two parts of three are no model"
    assert hub_files(path, replace(node, weight_files=whole)) == ("", ())
    context = context_with(None, weight_files=whole)
    (ledger,) = llamacpp.backend.plan(changed(SMOL, weights_path=path), context).ledgers
    assert ledger.weights_bytes == 15


def test_a_file_that_is_surely_not_there_is_refused_with_a_way_to_get_it() -> None:
    spec = spec_named("Qwen/Qwen3-8B")
    request = changed(SMOL, model="Qwen/Qwen3-8B", quantization="Q8_0", weights_path="~/models/Qwen3-8B-Q8_0.gguf")
    context = context_with(spec)
    (problem,) = [one for one in llamacpp.backend.problems(request, context) if one.field == "weights_path"]
    assert problem.severity is Severity.ERROR
    assert problem.message == f"~/models/Qwen3-8B-Q8_0.gguf is not on {NODE.record.name}"
    (fix,) = problem.fixes
    mended = apply_fix(request, fix)
    assert mended.weights_path == "~/models/Qwen--Qwen3-8B-GGUF/Qwen3-8B-Q8_0.gguf"
    (note,) = [one for one in llamacpp.backend.problems(mended, context) if one.field == "weights_path"]
    assert note.severity is Severity.NOTE, "the plan fetches it"
    other = changed(request, weights_path="~/models/other.gguf")
    (problem,) = [one for one in llamacpp.backend.problems(other, context) if one.field == "weights_path"]
    assert problem.severity is Severity.ERROR
    assert problem.remedy.startswith("Fetch it on the page Models on disk")
    for path in ("~/models/linked/other.gguf", "/mnt/other.gguf"):
        (problem,) = [
            one
            for one in llamacpp.backend.problems(changed(request, weights_path=path), context)
            if one.field == "weights_path"
        ]
        assert problem.severity is Severity.WARNING, "where nobody looked, nobody knows"


def test_a_fetch_is_judged_before_it_begins_by_disk_and_hub() -> None:
    spec = spec_named("Qwen/Qwen3-8B")
    path = "~/models/Qwen--Qwen3-8B-GGUF/Qwen3-8B-Q8_0.gguf"
    request = changed(SMOL, model="Qwen/Qwen3-8B", quantization="Q8_0", weights_path=path)
    full = llamacpp.backend.problems(request, context_with(spec, disk_free_bytes=1_000_000_000))
    assert any("disk" in one.message and one.severity is Severity.ERROR for one in full)
    node = context_with(spec).node(request.nodes[0])
    assert asked_repos(request, node) == ("Qwen/Qwen3-8B-GGUF",)
    refused = llamacpp.backend.problems(request, context_with(spec, hub_answers={"Qwen/Qwen3-8B-GGUF": "missing"}))
    assert [one.field for one in refused if one.severity is Severity.ERROR] == ["weights_path"]
    there = {path.replace("~", "/home/nvidia"): 8_709_518_624}
    assert asked_repos(request, replace(node, weight_files=there)) == ()


def test_pictures_without_a_projector_are_refused_and_its_path_may_be_written() -> None:
    assert errors_at(VISION, weight_files=NODE.weight_files) == ["purpose"]
    assert errors_at(changed(VISION, extra_flags=("--mmproj", "/x.gguf")), weight_files=NODE.weight_files) == []


@pytest.mark.parametrize(
    ("field", "word"),
    [
        ("tool_parser", "hermes"),
        ("moe_backend", "marlin"),
        ("attention_backend", "flashinfer"),
        ("load_format", "fastsafetensors"),
        ("reasoning_parser", "qwen3"),
        ("kv_dtype", "fp8"),
        ("speculative", "suffix"),
    ],
)
def test_a_word_of_another_engine_is_refused_at_its_field_by_llama_cpp(field: str, word: str) -> None:
    assert errors_at(changed(SMOL, **{field: word})) == [field]


def test_an_image_is_said_to_be_unused() -> None:
    (problem,) = [one for one in problems_of(changed(SMOL, image="x/y:1")) if one.field == "image"]
    assert problem.severity is Severity.WARNING


def test_a_real_start_tells_its_buffers_its_build_and_its_times() -> None:
    found = read("verbose.log")
    last = {item.key: item.value for item in found if isinstance(item, Reading)}
    assert last[WEIGHTS_BYTES] == pytest.approx(0.58 * MIB)
    assert last[KV_CAPACITY_BYTES] == 4.5 * MIB
    assert last[KV_CAPACITY_TOKENS] == 4096  # two sequences of 2,048 cells
    assert last[GRAPH_BYTES] == pytest.approx(4.08 * MIB)
    assert last[START_S] == pytest.approx(0.027207)
    assert 0 < last[WEIGHTS_LOAD_S] < last[START_S]
    told = {item.key: item.text for item in found if isinstance(item, Told)}
    assert told == {
        "version": "0 (unknown)",
        "quantization": "F16",
        "kv_dtype": "f16",
        "attention_backend": "Flash Attention enabled",
    }
    phases = [item.phase for item in found if isinstance(item, LoadProgress)]
    assert phases == ["load", "load", "warmup", "load", "load", "token"]
    assert not [item for item in found if isinstance(item, LogFailure)]


def test_buffers_of_several_devices_are_added_up() -> None:
    reader = llamacpp.backend.log_reader()
    reader.feed("0.01.000.000 I load_tensors:        CUDA0 model buffer size = 20000.00 MiB")
    (reading,) = reader.feed("0.01.000.001 I load_tensors:   CPU_Mapped model buffer size =   500.50 MiB")
    assert reading == Reading(WEIGHTS_BYTES, 20_500.5 * MIB)
    reader.feed("sched_reserve:      CUDA0 compute buffer size =   400.00 MiB")
    (again,) = reader.feed("sched_reserve:      CUDA0 compute buffer size =   300.00 MiB")
    assert again == Reading(GRAPH_BYTES, 300 * MIB), "a layout that is made anew takes the place of the old one"


@pytest.mark.parametrize(
    ("name", "words", "help_"),
    [
        ("truncated_file.log", "corrupted or incomplete", "not whole"),
        ("not_a_gguf.log", "invalid magic", "GGUF"),
        ("no_file.log", "No such file", "path"),
        ("unknown_architecture.log", "unknown model architecture: 'xlama'", "Update llama.cpp"),
        ("port_taken.log", "couldn't bind", "another port"),
    ],
)
def test_a_real_failed_start_names_its_cause_once(name: str, words: str, help_: str) -> None:
    (failure,) = [item for item in read(name) if isinstance(item, LogFailure)]
    assert words in failure.message
    assert help_ in failure.remedy


@pytest.mark.parametrize(
    ("line", "help_"),
    [
        ("llama_model_load: error loading model: unable to allocate CUDA0 buffer", "context"),
        ("llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache", "context"),
        ("ggml_backend_cuda_buffer_type_alloc_buffer: allocating 90000.00 MiB on device 0: cudaMalloc failed: out of "
         "memory", "context"),
        ("error while handling argument \"--spec-type\": unknown type", "flag"),
    ],
)  # fmt: skip
def test_memory_and_flags_have_their_remedies(line: str, help_: str) -> None:
    (failure,) = llamacpp.backend.log_reader().feed(line)
    assert isinstance(failure, LogFailure)
    assert help_ in failure.remedy


def test_a_processor_build_is_told_as_such() -> None:
    line = "warning: no usable GPU found, --gpu-layers option will be ignored"
    assert llamacpp.backend.log_reader().feed(line) == [Told("offloaded", "no usable GPU was found")]


def test_prefix_hits_are_what_came_from_the_cache_of_all_that_was_asked() -> None:
    page = "llamacpp:prompt_tokens_total 300\nllamacpp:prompt_tokens_cached_total 100\n"
    found = llamacpp.backend.readings(page)
    assert (found[PREFIX_HITS], found[PREFIX_QUERIES]) == (100, 400)


def test_the_drafts_cache_and_the_kept_prompts_are_in_the_ledger() -> None:
    plain = ledger_of(changed(DRAFT, speculative="", speculative_model="", speculative_tokens=None))
    drafted = ledger_of(DRAFT)
    assert plain.runtime_bytes == (512 << 20) + (2 << 30)
    assert drafted.runtime_bytes is not None
    assert plain.kv_bytes is not None
    # This draft is larger than its model: it takes no more than as much again.
    assert drafted.runtime_bytes - (plain.runtime_bytes or 0) == plain.kv_bytes
    assert ledger_of(changed(DRAFT, prefix_caching=False)).runtime_bytes == drafted.runtime_bytes - (2 << 30)
    small = ledger_of(changed(DRAFT, speculative_model=GGUF, weights_path=DRAFT_GGUF))
    assert (plain.runtime_bytes or 0) < (small.runtime_bytes or 0) < drafted.runtime_bytes, "a small draft keeps less"


def ledger_of(request: LaunchRequest) -> MemoryLedger:
    (ledger,) = llamacpp.backend.plan(request, context_with(spec_named(DRAFT.model), weight_files=FILES)).ledgers
    return ledger


def test_a_drafts_file_of_the_hub_that_is_not_there_is_fetched_too() -> None:
    draft = "~/models/o--n/draft.gguf"
    request = changed(DRAFT, speculative_model=draft)
    context = replace(context_with(spec_named(DRAFT.model)), programs=dict.fromkeys((*PROGRAMS, "guard"), b"# program"))
    titles = [step.title for step in llamacpp.backend.plan(request, context).playbook.steps()]
    assert "Fetch draft.gguf of o/n" in titles
    (note,) = [one for one in llamacpp.backend.problems(request, context) if one.field == "speculative_model"]
    assert "fetched first" in note.message


def test_a_real_engine_on_a_simulated_machine_says_so_beside_its_answers() -> None:
    context = replace(context_with(spec_named(SMOL.model)), engine_notes={"llamacpp": "real llama.cpp, simulated node"})
    assert llamacpp.backend.plan(SMOL, context).endpoint.note == "real llama.cpp, simulated node"
    assert llamacpp.backend.plan(SMOL, context_with(spec_named(SMOL.model))).endpoint.note == ""
