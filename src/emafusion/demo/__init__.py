"""The demo: questions that a grader can mark, answered on real models before your eyes.

:mod:`~emafusion.demo.play` is the story; the other files are what it needs.
"""
