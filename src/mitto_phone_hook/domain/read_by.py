"""Fields of pydantic models that one function reads."""

from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class ReadBy(NamedTuple):
    """The annotation of a field whose value is what ``read`` gives for the raw one. ``read`` raises ``ValueError``, as pydantic wants it.

    pydantic's ``PlainValidator`` means the same, but builds two schemas of the field's type, with which a model could be written
    again. Our models are never written, and each start would build these schemas for nothing.
    """

    read: Callable[..., object]
    takes_info: bool = False
    """Whether ``read`` takes pydantic's ``ValidationInfo`` as well."""

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401 - pydantic calls it so
        """Give pydantic's schema of the field."""
        if self.takes_info:
            return core_schema.with_info_plain_validator_function(self.read)
        return core_schema.no_info_plain_validator_function(self.read)
