"""Components under test: built from a name, a spec or an object, and checked as values."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from mpobench.errors import SpecError, one_line
from mpobench.protocols import Component
from mpobench.registry.build import Configured
from mpobench.registry.cards import Kind
from mpobench.registry.registry import PROTOCOLS, Registry, get_registry
from mpobench.registry.specs import canonical, parse, split_sum
from mpobench.testing.expect import expect, expect_json, no_exception

C = TypeVar("C", bound=Component)


@dataclass(frozen=True)
class Subject(Generic[C]):
    """A component under test.

    Attributes:
        label: Beginning of every failure: ``objective 'dpo:beta=2'``.
        component: Component.
        registry: Registry of all components.
        spec: Spec that it was built from; empty for an object.
        built: Component with its card, if it was built from a spec.
    """

    label: str
    component: C
    registry: Registry
    spec: str = ""
    built: Configured[C] | None = None


def subject(kind: Kind, component: str | C, registry: Registry | None) -> Subject[C]:
    """The component that a spec or an object stands for.

    Raises:
        AssertionError: If the spec builds nothing, or the object is of another kind.
    """
    registry = registry or get_registry()
    if not isinstance(component, str):
        protocol = PROTOCOLS[kind]
        name = type(component).__name__
        expect(
            isinstance(component, protocol),
            f"{name} is no {kind}: derive it from mpobench.{protocol.__name__}",
        )
        return Subject(f"{kind} {name}({component})", component, registry)
    with no_exception(f"{kind} {component!r}", "see 'mpobench plugins' for what is installed"):
        spec = _with_examples(kind, component, registry)
        built = _build(registry, kind, spec)
    return Subject(f"{kind} {spec!r}", built.component, registry, spec, built)


def _build(registry: Registry, kind: Any, spec: str) -> Configured[Any]:
    """A component of any kind, which the overloads of ``build`` tell apart."""
    built: Configured[Any] = registry.build(kind, spec)
    return built


def _with_examples(kind: Kind, text: str, registry: Registry) -> str:
    """A spec with the examples of its required fields, if it is a bare name."""
    if len(split_sum(text)) > 1 or parse(text).args or text.endswith(".json"):
        return text
    fields = registry.resolve(kind, text).model_fields
    required = {name: info.examples for name, info in fields.items() if info.is_required()}
    for name, examples in required.items():
        if not examples:
            raise SpecError(
                f"field {name!r} has no default and no example: write Field(examples=[...]), or check a spec"
            )
    return canonical(text, {name: examples[0] for name, examples in required.items() if examples})


def fields_of(component: Component) -> dict[str, Any]:
    """The values of a component's fields, without what it has cached beside them."""
    return {name: getattr(component, name) for name in type(component).model_fields}


def check_value(subject: Subject[C]) -> None:
    """A component is a value: it pickles, compares, hashes, and accepts no unknown and no new fields."""
    label, component = subject.label, subject.component
    model, fields = type(component), fields_of(component)
    with no_exception(f"pickling {label}", "keep in its fields only what pickles; it is sent to workers"):
        copy = pickle.loads(pickle.dumps(component))
        expect(
            copy == component, f"{label} differs from its pickled copy: keep all of its state in its fields"
        )
        expect(
            hash(copy) == hash(component),
            f"{label} and its equal copy have different hashes: hash fields only",
        )
    with no_exception(f"building {label} from its own fields", "let validators accept what they return"):
        expect(
            model(**fields) == component,
            f"{label} differs when built from its own fields: normalise them once",
        )
    summed = subject.built is not None and subject.built.parts  # its fields are nobody's options
    for field, info in () if summed else model.model_fields.items():
        expect(info.description, f"field {field!r} of {label} is not described: write Field(description=...)")
    _expect_rejected(f"{label} accepts an unknown field", lambda: model(**{**fields, "surprise": 1}))
    for field, value in list(fields.items())[:1]:
        _expect_rejected(f"{label} accepts a new value of a field", lambda: setattr(component, field, value))  # noqa: B023
    expect_json(f"the configuration of {label}", component.model_dump(mode="json"))
    if subject.built is not None and subject.built.file is None:
        _check_spec(subject, subject.built)


def _expect_rejected(label: str, action: Any) -> None:
    try:
        action()
    except ValidationError:
        return
    raise AssertionError(f"{label}: leave model_config as mpobench.protocols.Component has it")


def _check_spec(subject: Subject[C], built: Configured[C]) -> None:
    """The canonical spec, which names the component in tables and results, builds the same component."""
    kind, text = built.registered.card.kind, built.text
    try:
        again = _build(subject.registry, kind, text)
    except SpecError as error:
        raise AssertionError(
            f"{subject.label} is written {text!r}, which fails: {one_line(error)}"
        ) from error
    same = again.component == subject.component and again.text == text
    expect(
        same, f"{subject.label} is written {text!r}, which builds another one: let fields read what they dump"
    )
