"""Slack's rules for blocks and views, as its reference documents them. They raise BlockError."""

from typing import Any

MAX_BLOCKS = {"message": 50, "modal": 100}
STYLES = {"primary", "danger"}
TEXT_OF = {
    "header": 150,
    "button": 75,
    "title": 24,
    "submit": 24,
    "close": 24,
    "label": 2000,
    "hint": 2000,
    "option": 75,
}
IN_RICH_TEXT = {"rich_text_section", "rich_text_list", "rich_text_quote", "rich_text_preformatted"}
INPUTS = {
    *("plain_text_input", "number_input", "datepicker", "radio_buttons", "static_select"),
    *("multi_static_select", "email_text_input"),
}


class BlockError(Exception):
    """Slack would answer ``invalid_blocks``."""


def rule(holds: object, what: str) -> None:
    if not holds:
        raise BlockError(what)


def check_message(blocks: list[Any]) -> None:
    """Check the blocks of a message."""
    rule(len(blocks) <= MAX_BLOCKS["message"], "a message has at most 50 blocks")
    for block in blocks:
        _message_block(block)
    ids = [e["action_id"] for b in blocks if b["type"] == "actions" for e in b["elements"]]
    rule(len(ids) == len(set(ids)), "an action_id is used twice")


def _message_block(block: Any) -> None:
    match block["type"]:
        case "header":
            _plain(block["text"], "header")
        case "section":
            _plain(block["text"], 3000)
        case "divider":
            rule(set(block) == {"type"}, "a divider has nothing else")
        case "context":
            rule(1 <= len(block["elements"]) <= 10, "a context has 1 to 10 elements")
            for element in block["elements"]:
                _plain(element, 3000)
        case "rich_text":
            rule(block["elements"], "a rich text is not empty")
            for element in block["elements"]:
                _rich(element)
        case "actions":
            rule(1 <= len(block["elements"]) <= 25, "actions have 1 to 25 elements")
            for element in block["elements"]:
                _button(element)
        case other:
            raise BlockError(f"no such block: {other}")


def _rich(element: Any) -> None:
    rule(element["type"] in IN_RICH_TEXT, f"no part of a rich text: {element['type']}")
    rule(element["elements"], "a part of a rich text is not empty")
    if element["type"] == "rich_text_list":
        rule(element["style"] in {"bullet", "ordered"}, "a list has a style")
        rule(0 <= element["indent"] <= 8, "a list is indented 0 to 8 levels")
        for item in element["elements"]:
            rule(item["type"] == "rich_text_section", "an item of a list is a section")
            _rich(item)
        return
    for piece in element["elements"]:
        if piece["type"] == "text":
            rule(1 <= len(piece["text"]) <= 3000, "a text has 1 to 3000 characters")
        elif piece["type"] == "link":
            rule(piece["url"].startswith("https://"), "a link has an address")
            rule(piece["text"], "a link has a text")
        else:
            rule(piece["type"] == "date", f"no piece of a text: {piece['type']}")
            rule(isinstance(piece["timestamp"], int), "a timestamp is a whole number")
            rule(piece["format"] and piece["fallback"], "a date has a format and a fallback")


def _button(element: Any) -> None:
    rule(element["type"] == "button", "only buttons are expected")
    rule(len(element["action_id"]) <= 255, "an action_id has at most 255 characters")
    _plain(element["text"], "button")
    rule(len(element.get("value", "")) <= 2000, "a value has at most 2000 characters")
    rule(len(element.get("url", "")) <= 3000, "a url has at most 3000 characters")
    rule(element.get("style", "primary") in STYLES, "a style is primary or danger")
    if "confirm" in element:
        confirm = element["confirm"]
        _plain(confirm["title"], 100)
        _plain(confirm["text"], 300)
        _plain(confirm["confirm"], 30)
        _plain(confirm["deny"], 30)


def check_view(view: Any) -> None:
    """Check a modal."""
    rule(view["type"] == "modal", "only modals are expected")
    _plain(view["title"], "title")
    _plain(view["close"], "close")
    rule(len(view.get("private_metadata", "")) <= 3000, "private_metadata: at most 3000")
    rule(len(view["blocks"]) <= MAX_BLOCKS["modal"], "a modal has at most 100 blocks")
    inputs = [block for block in view["blocks"] if block["type"] == "input"]
    rule(not inputs or "submit" in view, "a modal with inputs has a submit button")
    if "submit" in view:
        _plain(view["submit"], "submit")
    ids = [block["block_id"] for block in inputs]
    rule(len(ids) == len(set(ids)), "a block_id is used twice")
    for block in view["blocks"]:
        if block["type"] == "input":
            _input(block)
        else:
            _message_block(block)


def _input(block: Any) -> None:
    _plain(block["label"], "label")
    if "hint" in block:
        _plain(block["hint"], "hint")
    element = block["element"]
    rule(element["type"] in INPUTS, f"no input: {element['type']}")
    if element["type"] == "plain_text_input":
        rule(0 <= element.get("min_length", 0) <= 3000, "min_length: 0 to 3000")
        rule(1 <= element.get("max_length", 1) <= 3000, "max_length: 1 to 3000")
    options = element.get("options")
    if options is not None:
        most = 10 if element["type"] == "radio_buttons" else 100
        rule(1 <= len(options) <= most, f"1 to {most} options")
        for option in options:
            _plain(option["text"], "option")
            rule(1 <= len(option["value"]) <= 150, "a value of an option has 1 to 150 characters")
    if "initial_option" in element:
        rule(element["initial_option"] in options, "initial_option is one of the options")


def _plain(text: Any, limit: int | str) -> None:
    rule(text["type"] == "plain_text", "only plain text is expected")
    most = TEXT_OF[limit] if isinstance(limit, str) else limit
    rule(1 <= len(text["text"]) <= most, f"a text of 1 to {most} characters, not {text['text']!r}")
    rule(text.get("emoji") is False, "names of emoji would be replaced")
