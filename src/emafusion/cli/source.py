"""Where a server's settings are: found once, read as often as they are asked for.

Knows the file and the built-in settings. A file that has been there is never replaced by these.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from emafusion.config.load import FILE, default_path, parse
from emafusion.config.settings import Settings
from emafusion.errors import ConfigError


class Source:
    """The settings of ``--config``, else those that are read without it.

    Parameters
    ----------
    config : Path, optional
        What ``--config`` names.

    Attributes
    ----------
    path : Path
        The file, absolute: another folder to work in changes nothing.
    built_in : bool
        Whether there has not been a file yet, so that the built-in settings are read.

    Raises
    ------
    ConfigError
        As :func:`emafusion.config.load.default_path`.
    """

    def __init__(self, config: Path | None) -> None:
        found = config or default_path()
        self.built_in = found is None
        self.path = (found or Path(FILE)).absolute()

    def text(self) -> str:
        """The text as it is now; raises :class:`ConfigError` where it cannot be read."""
        try:
            text = self.path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as wrong:
            if self.built_in and isinstance(wrong, FileNotFoundError):
                place = resources.files("emafusion.config").joinpath("default.toml")
                return place.read_text("utf-8")
            raise ConfigError(
                f"cannot read the settings file {str(self.path)!r}: {_reason(wrong)}"
            ) from wrong
        self.built_in = False
        return text

    def settings(self, text: str | None = None) -> Settings:
        """What `text` says, by default the text as it is now; raises :class:`ConfigError`."""
        found = self.text() if text is None else text
        return parse(found, "the embedded default" if self.built_in else str(self.path))


def _reason(wrong: OSError | UnicodeDecodeError) -> str:
    if isinstance(wrong, UnicodeDecodeError):
        return "it is not in UTF-8"
    return wrong.strerror or str(wrong)
