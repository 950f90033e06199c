"""The message that begins a pipeline, as psrpcore builds it, at a tenth of the price.

It is the same for every call of a script but for the ids and the document. So psrpcore builds it once, with something
else in the document's place.
"""

from __future__ import annotations

import struct
import uuid
from typing import Any, Final
from xml.etree import ElementTree

import psrpcore
import psrpcore.types

from hvintegration.transports.remoting.messages import MESSAGE_HEADER_LENGTH

__all__ = ["CreatePipeline"]

_TO_SERVER: Final = 2
_MESSAGE_TYPE: Final = psrpcore.types.PSRPMessageType.CreatePipeline.value
_CIPHER: Final = psrpcore.PSRemotingCrypto()
"""Nothing is encrypted here."""


class CreatePipeline:
    """Begins pipelines of one command with one parameter, in one runspace pool.

    Args:
        pool: psrpcore's.
        pipeline: psrpcore's, with the command; it is not used up.
        parameter: The parameter's name.
    """

    def __init__(self, pool: Any, pipeline: Any, parameter: str) -> None:  # noqa: ANN401 - psrpcore hides its types
        self._pool_id: uuid.UUID = pool.runspace_pool_id
        place = uuid.uuid4().hex
        pipeline.add_parameter(parameter, place)
        element = psrpcore.types.serialize(
            pipeline.metadata, _CIPHER, our_capability=pool.our_capability, their_capability=pool.their_capability
        )
        self._before: bytes
        self._after: bytes
        self._before, self._after = ElementTree.tostring(element, encoding="utf-8").split(place.encode())

    def message(self, pipeline_id: uuid.UUID, value: str) -> bytes:
        """The message that begins the pipeline of that id with *value* for the parameter, which is not empty."""
        text: bytes = ElementTree.tostring(psrpcore.types.serialize(value, _CIPHER), encoding="utf-8")
        header = struct.pack("<II", _TO_SERVER, _MESSAGE_TYPE) + self._pool_id.bytes_le + pipeline_id.bytes_le
        assert len(header) == MESSAGE_HEADER_LENGTH
        return header + self._before + text[len("<S>") : -len("</S>")] + self._after
