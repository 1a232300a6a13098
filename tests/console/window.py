"""A window of the browser, as one person uses it."""

import re
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import ConsoleMessage, Error, Page, expect

AXE = (Path(__file__).parent / "vendor" / "axe-4.14.1.min.js").read_text(encoding="utf-8")
# The rules of WCAG 2.2 AA, and axe's own about regions, headings and landmarks.
RULES: dict[Literal["light", "dark"], Any] = {
    "light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    # Of all these, the only rule that looks at colours.
    "dark": {"type": "rule", "values": ["color-contrast"]},
}
RUN_AXE = """
async (runOnly) => {
  const found = await axe.run(document, { runOnly });
  return found.violations.map(
    (one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`
  );
}
"""
# Waits until all is drawn: fonts, animations that end, and what a change of size brings. Then shows
# the page from its beginning, since further down the bar lies on what passes below it.
DRAWN = """
async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  await document.fonts.ready;
  const ending = document.getAnimations().filter(
    (one) => Number.isFinite(one.effect.getComputedTiming().endTime)
  );
  await Promise.allSettled(ending.map((one) => one.finished));
  for (let count = 0; count < 2; count += 1) await frame();
  window.scrollTo({ top: 0, behavior: "instant" });
  for (let count = 0; count < 2; count += 1) await frame();
}
"""
SWAPPING = ".htmx-request, .htmx-swapping, .htmx-settling"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# What is wider than the window, apart from what scrolls by itself.
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Texts for screen readers have no size, and links within a sentence none of their own (WCAG 2.5.8).
SMALL = """
() => [...document.querySelectorAll("button, summary, select, nav a, a.button, input")]
  .filter((one) => one.type !== "hidden" && one.checkVisibility())
  .map((one) => [one, (one.closest("label") ?? one).getBoundingClientRect()])
  .filter(([, box]) => box.height < 43.5 || box.width < 43.5)
  .map(([one, box]) => `${one.outerHTML.slice(0, 120)} ${box.width} x ${box.height}`)
"""


class Window:
    """A page with what went wrong in it: errors of scripts, and what its policy has blocked."""

    def __init__(self, page: Page, screenshots: Path | None) -> None:
        self.page = page
        self.errors: list[str] = []
        self._screenshots = screenshots
        page.on("console", self._heard)
        page.on("pageerror", self._failed)

    async def go(self, address: str) -> None:
        await self.page.goto(address)

    async def sign_in(self, person: str, goal: str = "/") -> None:
        """Sign in as one of the made-up people."""
        await self.page.goto(f"/sign-in?next={goal}")
        await self.page.get_by_role("button", name=re.compile(f"^{person} ")).click()
        await self.page.wait_for_url(re.compile(r"^(?!.*/sign)"))

    async def check(self, name: str) -> None:
        """Take pictures of a page, and check that everybody can use it, also dark or on a phone.

        After a click, wait for something of the next page first.
        """
        sizes: dict[str, Any] = {
            "desktop": {"width": 1280, "height": 860},
            "phone": {"width": 390, "height": 844},
        }
        before: Any = self.page.viewport_size
        for size, viewport in sizes.items():
            await self.page.set_viewport_size(viewport)
            await self.drawn()
            assert await self.page.evaluate(TOO_WIDE) <= 0, f"{name} is wider than a {size}"
            small = await self.page.evaluate(SMALL)
            assert not small, f"too small: {'; '.join(small)} (on {name}, {size})"
            for scheme in SCHEMES:
                found = await self.violations(scheme)
                assert not found, f"{'; '.join(found)} (on {name}, {size}, {scheme})"
                if self._screenshots is not None:
                    picture = self._screenshots / f"{name}-{size}-{scheme}.png"
                    # Hiding the caret would need an inline style, which the page's policy blocks.
                    await self.page.screenshot(path=picture, caret="initial")
        await self.page.emulate_media(color_scheme="light")
        await self.page.set_viewport_size(before)

    async def drawn(self) -> None:
        """Wait until the page is loaded and drawn, and show it from its beginning."""
        await self.page.wait_for_load_state()
        await expect(self.page.locator(SWAPPING)).to_have_count(0)
        await self.page.evaluate(DRAWN)

    async def violations(self, scheme: Literal["light", "dark"]) -> list[str]:
        """Return what keeps some people from using the page in this colour scheme."""
        await self.page.emulate_media(color_scheme=scheme)
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(AXE)
        found: list[str] = await self.page.evaluate(RUN_AXE, RULES[scheme])
        return found

    def _heard(self, message: ConsoleMessage) -> None:
        # The status of a page is not an error of it.
        if message.type == "error" and "the server responded with a status of" not in message.text:
            self.errors.append(message.text)

    def _failed(self, error: Error) -> None:
        self.errors.append(str(error))
