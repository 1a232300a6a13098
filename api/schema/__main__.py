"""``python -m api.schema`` prints the schema as it is served."""

import sys

from api.schema import schema

sys.stdout.write(schema.as_str() + "\n")
