"""How models are asked: one file per wire format, never per vendor.

``openai`` speaks to any OpenAI-compatible endpoint, ``bridge`` to vendors with formats of their
own, ``local`` to model files in this process, ``replay`` to recorded outcomes. Every one is a
:class:`emafusion.protocols.Provider`; none knows routes, plans or prices.
"""
