"""Reads the part of the language of ``.proto`` files in which the schemas beside this module are written.

Messages, enums, oneofs, maps and services, whose calls carry ``google.api.http`` rules of the verb, the path with
one variable, and the body. Types are named as in Google's files; protobuf itself finds what they mean.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
)

__all__ = ["Rule", "read_proto"]

_TOKEN = re.compile(r'//[^\n]*|\s+|"([^"]*)"|([\w.]+)|(.)')
_SCALARS: Mapping[str, FieldDescriptorProto.Type.ValueType] = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """How a call is made over REST.

    Attributes:
        verb: The HTTP method, in capitals.
        path: The path, in which ``{}`` stands for the value of ``name``.
        name: The field of the request that is part of the path.
        body: The field that is the body; ``"*"`` for all that are left, ``""`` for none.
    """

    verb: str
    path: str
    name: str
    body: str


def read_proto(file: str, text: str) -> tuple[FileDescriptorProto, dict[str, Rule]]:
    """Return what a schema declares, and the rules of its calls by ``/package.Service/Call``.

    Args:
        file: The schema's name.
        text: The schema.
    """
    return _Reader(file, text).read()


class _Reader:
    def __init__(self, file: str, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._file = FileDescriptorProto(name=file, syntax="proto3")
        self._rules: dict[str, Rule] = {}

    def read(self) -> tuple[FileDescriptorProto, dict[str, Rule]]:
        while self._at < len(self._tokens):
            match self._next():
                case "syntax":
                    self._expect("=", "proto3", ";")
                case "package":
                    self._file.package = self._next()
                    self._expect(";")
                case "service":
                    self._service()
                case "message":
                    self._message(self._file.message_type.add(), self._file.package)
                case "enum":
                    self._enum(self._file.enum_type.add())
        return self._file, self._rules

    def _message(self, message: DescriptorProto, scope: str) -> None:
        message.name = self._next()
        scope = f"{scope}.{message.name}"
        self._expect("{")
        while (word := self._next()) != "}":
            match word:
                case "message":
                    self._message(message.nested_type.add(), scope)
                case "enum":
                    self._enum(message.enum_type.add())
                case "oneof":
                    self._oneof(message)
                case "optional":
                    self._field(message, self._next()).proto3_optional = True
                case "repeated":
                    self._field(message, self._next()).label = FieldDescriptorProto.LABEL_REPEATED
                case "map":
                    self._map(message, scope)
                case _:
                    self._field(message, word)
        _keep_presence(message)

    def _field(self, message: DescriptorProto, type_: str) -> FieldDescriptorProto:
        field = message.field.add(name=self._next(), label=FieldDescriptorProto.LABEL_OPTIONAL)
        _set_type(field, type_)
        self._expect("=")
        field.number = int(self._next())
        self._expect(";")
        return field

    def _oneof(self, message: DescriptorProto) -> None:
        message.oneof_decl.add(name=self._next())
        self._expect("{")
        while (word := self._next()) != "}":
            self._field(message, word).oneof_index = len(message.oneof_decl) - 1

    def _map(self, message: DescriptorProto, scope: str) -> None:
        self._expect("<")
        key = self._next()
        self._expect(",")
        value = self._next()
        self._expect(">")
        name = "".join(part.capitalize() for part in self._peek().split("_")) + "Entry"
        entry = message.nested_type.add(name=name)
        entry.options.map_entry = True
        for number, (part, type_) in enumerate((("key", key), ("value", value)), start=1):
            field = entry.field.add(
                name=part, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL
            )
            _set_type(field, type_)
        self._field(message, f".{scope}.{name}").label = FieldDescriptorProto.LABEL_REPEATED

    def _enum(self, enum: EnumDescriptorProto) -> None:
        enum.name = self._next()
        self._expect("{")
        while (name := self._next()) != "}":
            self._expect("=")
            enum.value.add(name=name, number=int(self._next()))
            self._expect(";")

    def _service(self) -> None:
        service = self._file.service.add(name=self._next())
        self._expect("{")
        while self._next() != "}":
            method = service.method.add()
            rule = self._call(method)
            self._rules[f"/{self._file.package}.{service.name}/{method.name}"] = rule

    def _call(self, method: MethodDescriptorProto) -> Rule:
        method.name = self._next()
        self._expect("(")
        method.input_type = self._next()
        self._expect(")", "returns", "(")
        method.output_type = self._next()
        self._expect(")", "{", "option", "(", "google.api.http", ")", "=", "{")
        verb = self._next()
        self._expect(":")
        path, name = re.subn(r"\{(\w+)=\*\*\}", "{}", whole := self._next())[0], ""
        if found := re.search(r"\{(\w+)=", whole):
            name = found[1]
        body = ""
        if self._peek() == "body":
            self._expect("body", ":")
            body = self._next()
        self._expect("}", ";", "}")
        return Rule(verb.upper(), path, name, body)

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, *words: str) -> None:
        for word in words:
            found = self._next()
            assert found == word, f"{self._file.name}: {word} is needed, not {found}"


def _keep_presence(message: DescriptorProto) -> None:
    """Put each optional field alone into a oneof, which is how it tells whether it is there."""
    for field in message.field:
        if field.proto3_optional:
            field.oneof_index = len(message.oneof_decl)  # these come after the real ones
            message.oneof_decl.add(name=f"_{field.name}")


def _set_type(field: FieldDescriptorProto, name: str) -> None:
    if name in _SCALARS:
        field.type = _SCALARS[name]
    else:
        field.type_name = name


def _tokens(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        if (found := next((part for part in match.groups() if part is not None), None)) is not None:
            yield found
