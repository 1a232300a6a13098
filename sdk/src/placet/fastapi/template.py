"""The path of a request as its route has it."""

from typing import Any

from starlette.routing import compile_path
from starlette.types import Scope


def template_of(scope: Scope) -> str:
    """Return the whole path, with the parameters of FastAPI's routes in place of their values.

    A value that can't be told from a literal segment stays.
    """
    path: str = scope["path"]
    route = scope.get("route")
    if route is None:
        return path
    # The path of the route may lack the prefixes of routers and mounts.
    params = dict(scope["path_params"])
    regex, tail, convertors = compile_path(route.path)
    starts = [n for n, character in enumerate(path) if character == "/"]
    for start in [*starts, len(path)]:
        match = regex.match(path[start:])
        if match and all(
            convertors[name].convert(value) == params[name]
            for name, value in match.groupdict().items()
        ):
            before = {name: value for name, value in params.items() if name not in convertors}
            return _with_names(path[:start], before) + tail
    return path


def _with_names(path: str, params: dict[str, Any]) -> str:
    segments = path.split("/")
    for name, value in params.items():
        if segments.count(str(value)) == 1:
            segments[segments.index(str(value))] = f"{{{name}}}"
    return "/".join(segments)
