"""``python -m api.schema`` prints the schema that the server serves."""

import sys

from api.schema import schema

sys.stdout.write(schema.as_str() + "\n")
