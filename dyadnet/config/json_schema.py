"""A JSON Schema of a run's configuration. Editors use it to complete and check configuration files."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from dyadnet.config import RunConfig
from dyadnet.config.transports import TRANSPORTS
from dyadnet.data import SETS
from dyadnet.network.activations import ACTIVATIONS
from dyadnet.network.losses import LOSSES
from dyadnet.network.serialization import SPECS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SHORT: dict[str, list[str]] = {
    "DataSpec": ["string"],
    "InitSpec": ["string"],
    "CheckpointSpec": ["boolean"],
    "EarlyStoppingSpec": ["integer"],
}
"""Records that have a shorter form, and its JSON type. Imperfections also have one: a number."""


class _Tolerant(GenerateJsonSchema):
    """Describes a network only as an object; `schema` adds the possible forms."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Any:
        return {"type": "object"}


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a configuration file, as plain values.

    The schema is slightly more tolerant than dyadnet itself: it does not check ranges that depend on other settings,
    and it accepts short forms at every place where one may be legal.
    """
    whole = RunConfig.model_json_schema(schema_generator=_Tolerant, mode="validation")
    definitions: dict[str, Any] = whole.setdefault("$defs", {})
    for model in SPECS:
        definitions |= _named(model)
    layered, *others = (model.__name__ for model in SPECS)
    way: dict[str, Any] = {
        "type": "object",
        "properties": {"layered": {"$ref": f"#/$defs/{layered}"}},
        "required": ["layered"],
    }
    way["additionalProperties"] = False
    whole["properties"]["network"] = {"anyOf": [way, *({"$ref": f"#/$defs/{other}"} for other in others)]}
    for name, choices in (("activation", list(ACTIVATIONS)), ("loss", list(LOSSES))):
        for definition in definitions.values():
            if "string" in str(definition.get("properties", {}).get(name, {}).get("type")):
                # Users may register more, so these names are only examples.
                definition["properties"][name]["examples"] = choices
    definitions["DataSpec"]["properties"]["name"]["examples"] = list(SETS)
    definitions["ClusterSpec"]["properties"]["transport"]["examples"] = list(TRANSPORTS)
    short = SHORT | {name: ["number"] for name in definitions if _imperfection(name)}
    # A file without a network uses the network of a preset.
    whole.pop("required", None)
    found: dict[str, Any] = _shortened(whole, short)
    return {"$schema": DIALECT, "title": "A dyadnet run"} | {k: v for k, v in found.items() if k != "title"}


def _named(model: type[BaseModel]) -> dict[str, Any]:
    """Return the definition of a model and the definitions that it refers to."""
    own = model.model_json_schema()
    inner = own.pop("$defs", {})
    return {model.__name__: own, **inner}


def _imperfection(name: str) -> bool:
    from dyadnet.imperfections import channel, device

    return any(getattr(module, name, None) is not None for module in (channel, device))


def _shortened(node: Any, short: dict[str, list[str]]) -> Any:
    """Return a schema that also accepts short forms, such as a name or number for a record with a ``kind``."""
    if isinstance(node, list):
        return [_shortened(one, short) for one in node]
    if not isinstance(node, dict):
        return node
    if "discriminator" in node:
        kinds = [_shortened(one, short) for one in node.get("oneOf", [])]
        rest = {key: value for key, value in node.items() if key not in ("discriminator", "oneOf")}
        return rest | {"anyOf": [*kinds, {"type": ["string", "number"]}]}
    reference = str(node.get("$ref", "")).removeprefix("#/$defs/")
    if reference in short:
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return rest | {"anyOf": [{"$ref": node["$ref"]}, {"type": short[reference]}]}
    return {key: _shortened(value, short) for key, value in node.items()}
