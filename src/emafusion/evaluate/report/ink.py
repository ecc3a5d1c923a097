"""The plots' colours, for light and dark pages, and how an SVG takes them.

A plot is drawn in stand-in colours, one for each ink. Afterwards every stand-in becomes a CSS
variable, so that the page, or the picture's own style sheet, decides what it looks like. The
series' colours are those of Okabe & Ito, which people with any colour vision can tell apart,
lightened for dark pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

LIGHT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "paper": "#ffffff",
        "ink": "#1b1f24",
        "muted": "#5d6670",
        "grid": "#e3e6ea",
        "dot": "#a8b0b9",
        "ours": "#0072b2",
        "s0": "#d55e00",
        "s1": "#00845f",
        "s2": "#b0508a",
        "s3": "#9a6a00",
        "s4": "#2f8fcc",
        "s5": "#5d6670",
    }
)
DARK: Final[Mapping[str, str]] = MappingProxyType(
    {
        "paper": "#14181d",
        "ink": "#e8ebee",
        "muted": "#a3acb6",
        "grid": "#2b323a",
        "dot": "#69737d",
        "ours": "#56b4e9",
        "s0": "#f28a4b",
        "s1": "#33c79a",
        "s2": "#e3a0c6",
        "s3": "#e6b23c",
        "s4": "#9cc9f5",
        "s5": "#a3acb6",
    }
)
STAND_INS: Final[Mapping[str, str]] = MappingProxyType(
    {name: f"#0f0e{place:02x}" for place, name in enumerate(LIGHT, start=1)}
)
SERIES: Final = ("s0", "s1", "s2", "s3", "s4", "s5")


def rules(inks: Mapping[str, str]) -> str:
    """`inks` as CSS declarations."""
    return "".join(f"--{name}:{colour};" for name, colour in inks.items())


def coloured(svg: str, name: str) -> str:
    """`svg` with variables for colours, and ids that no other picture on the page has."""
    body = svg[svg.index("<svg") :]
    for ink, stand_in in STAND_INS.items():
        body = body.replace(stand_in, f"var(--{ink})")
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    return re.sub(r"url\(#", f"url(#{name}-", body)


def standalone(svg: str) -> str:
    """`svg` as a file of its own, which follows the reader's colour scheme."""
    sheet = (
        f"<style>svg{{{rules(LIGHT)}background:var(--paper)}}"
        f"@media(prefers-color-scheme:dark){{svg{{{rules(DARK)}}}}}</style>"
    )
    start = svg.index(">") + 1
    return '<?xml version="1.0" encoding="utf-8"?>\n' + svg[:start] + sheet + svg[start:]
