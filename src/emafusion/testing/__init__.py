"""The doubles emafusion is tested with, for those who test what they build on it.

:class:`ScriptedProvider` answers from a script; :mod:`emafusion.testing.upstream` is a real HTTP
server that speaks the providers' protocols, rightly and wrongly; the ``check_…`` functions say
whether a part of your own keeps its protocol's promises.
"""

from emafusion.testing.contracts import (
    ContractError,
    check_encoder,
    check_judge,
    check_provider,
)
from emafusion.testing.scripted import ScriptedProvider

__all__ = [
    "ContractError",
    "ScriptedProvider",
    "check_encoder",
    "check_judge",
    "check_provider",
]
