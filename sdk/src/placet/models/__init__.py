"""What is sent to the service and what comes back: commands, answers, enumerations.

Imports nothing else of the sdk.
"""
