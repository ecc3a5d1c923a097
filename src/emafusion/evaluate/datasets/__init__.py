"""Published files of recorded outcomes, read as the interchange folder that everything here reads.

``detect`` tells the formats apart, ``routerbench`` and ``llmrouterbench`` read the foreign ones,
``tables`` holds what they yield and writes it. Nothing here fits or judges.
"""
