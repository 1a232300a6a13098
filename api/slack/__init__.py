"""Slack: cards that ask for approval and follow the log, and decisions that people make on them.

``card`` says what a card shows and ``modal`` what is asked; both are pure. ``client`` calls Slack,
``interactions`` does what people click, and ``updates`` keeps cards up to date.
"""
