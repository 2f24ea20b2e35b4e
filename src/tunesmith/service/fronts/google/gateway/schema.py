"""The messages of Google's calls, made from the schemas in ``protos/``: no package of Google's clients is needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf import (
    any_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import Error, MessageToDict, ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

from tunesmith.service.fronts.google.gateway.proto_text import Rule, read_proto

__all__ = ["Call", "UnreadableError", "calls"]

_KNOWN = (
    any_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
_VERSIONS = ("v1", "v1beta1")


class UnreadableError(ValueError):
    """Bytes that are no request as the schemas have it."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that clients can make.

    Attributes:
        name: ``/package.Service/Call``.
        rule: How it is made over REST.
        request: The message that it takes.
        response: The message that it answers with.
        pool: Where the messages come from.
    """

    name: str
    rule: Rule
    request: type[Message]
    response: type[Message]
    pool: DescriptorPool

    def read(self, packed: bytes) -> dict[str, Any]:
        """Return a request as JSON's values; enums as numbers, since a client may know more of them.

        Raises:
            UnreadableError: it is none, or has fields that the schemas don't have.
        """
        try:
            message = self.request.FromString(packed)
        except DecodeError as error:
            raise UnreadableError(f"no {self.request.DESCRIPTOR.name}: {error}") from error
        if unknown := _unknown(message):
            raise UnreadableError(f"{unknown}: no such field is known")
        try:
            found: dict[str, Any] = MessageToDict(
                message, use_integers_for_enums=True, descriptor_pool=self.pool
            )
        except (Error, TypeError, ValueError) as error:  # a time that no calendar has, and the like
            raise UnreadableError(str(error)) from error
        return found

    def write(self, document: Mapping[str, Any]) -> bytes:
        """Return the answer that a document of REST's is.

        Raises:
            UnreadableError: it is no such answer.
        """
        try:
            answer = ParseDict(
                dict(document),
                self.response(),
                ignore_unknown_fields=True,
                descriptor_pool=self.pool,
            )
        except ParseError as error:
            raise UnreadableError(str(error)) from error
        return answer.SerializeToString()


@cache
def calls() -> Mapping[str, Call]:
    """Return all calls by their names."""
    pool = DescriptorPool()
    for module in _KNOWN:
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    known = [module.DESCRIPTOR.name for module in _KNOWN]
    rules: dict[str, Rule] = {}
    for name, text in _schemas():
        file, its_rules = read_proto(name, text)
        file.dependency.extend(known)
        pool.AddSerializedFile(file.SerializeToString())
        known.append(name)
        rules |= its_rules
    return {name: _call(pool, name, rule) for name, rule in rules.items()}


def _schemas() -> list[tuple[str, str]]:
    """Return the schemas' names and texts, each after those that it needs."""
    folder = files("tunesmith.service.fronts.google.gateway") / "protos"
    found = [
        (name, (folder / f"{name}.proto").read_text(encoding="utf-8"))
        for name in ("status", "operations", "locations", "projects")
    ]
    text = (folder / "aiplatform.proto").read_text(encoding="utf-8")
    for version in _VERSIONS:
        own = text.replace("/v1/", f"/{version}/").replace("form.v1;", f"form.{version};")
        found.append((f"aiplatform_{version}", own))
    return found


def _call(pool: DescriptorPool, name: str, rule: Rule) -> Call:
    service, _, method = name[1:].rpartition("/")
    found = pool.FindServiceByName(service).FindMethodByName(method)
    request, response = GetMessageClass(found.input_type), GetMessageClass(found.output_type)
    return Call(name, rule, request, response, pool)


def _unknown(message: Message, path: str = "") -> str:
    """Return where a message has a field that the schemas don't have; ``""`` for nowhere."""
    for field in UnknownFieldSet(message):  # type: ignore[attr-defined] # it has, by __getitem__
        return f"{path or message.DESCRIPTOR.name}: field number {field.field_number}"
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        inside = f"{path}.{field.json_name}" if path else field.json_name
        several = [value] if isinstance(value, Message) else value
        for number, inner in enumerate(several):
            at = inside if inner is value else f"{inside}[{number}]"
            if found := _unknown(inner, at):
                return found
    return ""
