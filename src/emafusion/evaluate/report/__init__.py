"""What a benchmark found, as files: ``report.json``, ``decisions.parquet`` and ``report.html``.

``benchmark`` is what goes in, ``document`` the figures, ``decisions`` what they are recomputed
from, ``plots`` and ``page`` how a person sees them, ``save`` puts it all on disk.
"""
