"""A real browser for tests of pages: the distribution's Chromium, driven by Playwright."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

# What it would do besides showing pages.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
Visit = Callable[..., AbstractContextManager[Page]]

expect.set_options(timeout=20_000)


@pytest.fixture
def visit() -> Iterator[Visit]:
    """Opens pages, see `visiting`, in a browser of the test's own.

    Not longer: while Playwright runs, the thread has an event loop, and nothing else can run one there.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: make test-tools")
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=chromium, args=FLAGS)) as browser,
    ):
        yield partial(visiting, browser)


@contextmanager
def visiting(
    browser: Browser,
    address: str | Path,
    width: int = 1440,
    scheme: Literal["light", "dark"] = "light",
    height: int = 900,
    excused: str = r"(?!)",
) -> Iterator[Page]:
    """A served page or, with the network off, a file, in a new window: a phone's if it is narrow.

    Afterwards fails if the page has said anything on its console, thrown, or asked another origin.

    Parameters
    ----------
    excused : pattern of what it may say.
    """
    file = isinstance(address, Path)
    url = address.resolve().as_uri() if isinstance(address, Path) else f"{address}/"
    own = ("file:", "data:", "about:", "blob:") if file else (url, "data:", "about:", "blob:")
    phone = width < 500
    said: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        is_mobile=phone,
        has_touch=phone,
        offline=file,
    )
    try:
        with closing(context):
            page = context.new_page()
            quiet = ("log", "info", "debug")
            page.on("console", lambda told: None if told.type in quiet else said.append(told.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on(
                "request",
                lambda asked: None if asked.url.startswith(own) else said.append(f"asked for {asked.url}"),
            )
            page.goto(url)
            yield page
    finally:
        assert [each for each in said if not re.search(excused, each)] == []
