"""The small test model in another quantization (Q8_0), made by the `gguf` package, so that two can be compared.

The one rule: the same model: every tensor and every entry of the header is there; only matrices change their type.
"""

from __future__ import annotations

from pathlib import Path

from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType
from gguf.quants import quantize

from tests.servers.llamacpp import TINY_MODEL

BLOCK = 32
"""Values of one block of Q8_0; a row is a whole number of them."""
Q8_0 = GGMLQuantizationType.Q8_0
OWN_KEYS = ("GGUF.", "general.architecture", "general.file_type")
"""Entries that the writer makes itself."""


def make_q8_0(path: Path, model: Path = TINY_MODEL) -> Path:
    """Write the model as Q8_0 to `path`."""
    reader = GGUFReader(model)
    architecture = reader.fields["general.architecture"].contents()
    writer = GGUFWriter(path, architecture)
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)
    for name, field in reader.fields.items():
        if not name.startswith(OWN_KEYS):
            inner = field.types[-1] if field.types[0] is GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], inner)
    for tensor in reader.tensors:
        data = tensor.data
        if data.ndim == 2 and data.shape[-1] % BLOCK == 0:
            writer.add_tensor(
                tensor.name, quantize(data, GGMLQuantizationType.Q8_0), raw_dtype=GGMLQuantizationType.Q8_0
            )
        else:
            writer.add_tensor(tensor.name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
