"""The globe's page in a real headless browser; skipped where none is installed."""

import io
import zlib
from dataclasses import replace

import numpy as np
import pytest
from devtools import Browser, find_browser
from test_viz import HOSTILE, QUOTED, make_globe, make_query

from thesphere.viz import write_globe

FOUND = find_browser()
pytestmark = pytest.mark.skipif(FOUND is None, reason="no Chromium on PATH")
DARK, LIGHT = (11, 15, 23), (246, 247, 250)  # the page's backgrounds
WITHOUT_WEBGL = """
const whole = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  return kind.startsWith("webgl") ? null : whole.call(this, kind, ...rest);
};
"""


@pytest.fixture(scope="module")
def browser():
    assert FOUND is not None
    with Browser(FOUND) as opened:
        yield opened


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("viz") / "plain.html"
    write_globe(make_globe(), path)
    return path


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    path = tmp_path_factory.mktemp("viz") / "asked.html"
    write_globe(make_globe(roles=np.arange(12) % 3, query=make_query()), path)
    return path


def pixels(png: bytes) -> np.ndarray:
    """uint8 [height, width, channels] of an 8-bit PNG without interlacing (PNG specification, 9: filters)."""
    stream, data = io.BytesIO(png[8:]), b""
    width = height = channels = 0
    while head := stream.read(8):
        size, kind = int.from_bytes(head[:4]), head[4:]
        chunk = stream.read(size + 4)[:size]
        if kind == b"IHDR":
            width, height = int.from_bytes(chunk[:4]), int.from_bytes(chunk[4:8])
            channels = {2: 3, 6: 4}[chunk[9]]
        elif kind == b"IDAT":
            data += chunk
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * channels)
    image = np.zeros((height + 1, width + 1, channels), np.int64)  # a row and a column of zeros before
    for y, (method, *_) in enumerate(rows, 1):
        line = rows[y - 1, 1:].reshape(width, channels).astype(np.int64)
        above = image[y - 1]
        if method == 0:
            image[y, 1:] = line
        elif method == 1:
            image[y, 1:] = np.cumsum(line, 0)
        elif method == 2:
            image[y, 1:] = line + above[1:]
        else:
            for x in range(1, width + 1):
                left, up, corner = image[y, x - 1], above[x], above[x - 1]
                if method == 3:
                    guess = (left + up) // 2
                else:
                    a, b, c = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
                    guess = np.where((a <= b) & (a <= c), left, np.where(b <= c, up, corner))
                image[y, x] = (line[x - 1] + guess) & 255
        image[y] &= 255
    return image[1:, 1:, :3].astype(np.uint8)


def centre(browser) -> tuple[float, float]:
    box = "document.getElementById('stage').getBoundingClientRect()"
    x, y = browser.run(f"[{box}.x + {box}.width / 2, {box}.y + {box}.height / 2]")
    return x, y


def look(browser, half: float, scale: float) -> np.ndarray:
    """int64 [height, width, 3]: what lies within `half` pixels of the ball's centre."""
    browser.frame()
    x, y = centre(browser)
    return pixels(browser.screenshot(x - half, y - half, 2 * half, 2 * half, scale)).astype(int)


def nearest_in_front(browser, count: int) -> int:
    return max(range(count), key=lambda i: browser.run(f"thesphere.project({i})[2]"))


def test_draws_without_errors_or_requests(browser, asked) -> None:
    for theme, background in (("dark", DARK), ("light", LIGHT)):
        browser.open(asked, theme=theme)
        ball = look(browser, 150, 0.5)
        corner = pixels(browser.screenshot(centre(browser)[0], 2, 8, 8)).astype(int)
        assert (np.abs(corner - background) <= 2).all()  # beside the ball
        assert (np.abs(ball - background).max(-1) > 8).mean() > 0.5  # the ball and what is on it
        assert len(np.unique(ball.reshape(-1, 3), axis=0)) > 100
        assert browser.problems() == []
        assert browser.requests() == [asked.absolute().as_uri()]


def test_frame_times_exist(browser, plain) -> None:
    browser.open(plain)
    assert browser.run("thesphere.ready && thesphere.firstFrame > 0")
    browser.run("thesphere.spin(5)")
    frames = browser.run("thesphere.frames")
    assert len(frames) >= 4 and all(time > 0 for time in frames)


def test_hover_shows_and_click_pins(browser, plain) -> None:
    globe = make_globe()
    browser.open(plain)
    point = nearest_in_front(browser, 12)
    x, y, _ = browser.run(f"thesphere.project({point})")
    assert browser.run(f"thesphere.pick({x}, {y})") == point
    browser.mouse("mouseMoved", x, y)
    tip = browser.run(
        "document.getElementById('tip').hidden ? null : document.getElementById('tip').textContent"
    )
    start, end = globe.spans[point]
    assert globe.texts[point] in tip and globe.names[globe.sources[point]] in tip
    assert f"bytes {start:,}–{end:,}" in tip
    browser.click(x, y)
    assert globe.texts[point] in browser.run("document.getElementById('pinned').textContent")
    browser.mouse("mouseMoved", 640, 5)
    assert browser.run("document.getElementById('tip').hidden")
    assert not browser.run("document.getElementById('card').hidden")
    browser.click(
        *browser.run("(b => [b.x + b.width / 2, b.y + b.height / 2])(unpin.getBoundingClientRect())")
    )
    assert browser.run("document.getElementById('card').hidden")


def test_hostile_text_is_only_shown(browser, asked) -> None:
    browser.open(asked)
    point = nearest_in_front(browser, 12)
    x, y, _ = browser.run(f"thesphere.project({point})")
    browser.mouse("mouseMoved", x, y)
    browser.click(x, y)
    shown = browser.run("document.body.innerText")
    assert HOSTILE in shown and QUOTED in shown
    assert browser.run("document.querySelectorAll('img').length + document.scripts.length") == 1
    assert browser.run("typeof window.hacked") == "undefined"
    assert browser.problems() == []


def test_mouse_wheel_and_keys_move_it(browser, plain) -> None:
    browser.open(plain)
    x, y = centre(browser)
    where = "thesphere.project(0)"
    steps = [browser.run(where)]
    browser.mouse("mousePressed", x, y, button="left", clickCount=1)
    browser.mouse("mouseMoved", x + 80, y + 30, button="left", buttons=1)
    browser.mouse("mouseReleased", x + 80, y + 30, button="left", clickCount=1)
    steps.append(browser.run(where))
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-200)
    browser.frame()
    steps.append(browser.run(where))
    for key in ("ArrowLeft", "ArrowUp", "+"):
        browser.call("Input.dispatchKeyEvent", type="keyDown", key=key)
        steps.append(browser.run(where))
    for before, after in zip(steps, steps[1:], strict=False):
        assert not np.allclose(before, after)
    # wheel and plus zoom: the depth stays and the place moves away from the middle
    assert steps[2][2] == steps[1][2] and steps[5][2] == steps[4][2]
    assert np.hypot(steps[2][0] - x, steps[2][1] - y) > np.hypot(steps[1][0] - x, steps[1][1] - y)


def test_search_lists_and_dims(browser, plain) -> None:
    browser.open(plain)
    search = "(text => { search.value = text; search.dispatchEvent(new Event('input')); })"
    browser.run(f"{search}('Ü 1')")  # 1, 10 and 11, whatever the case
    browser.wait("document.getElementById('listNote').textContent.startsWith('3 of 12')")
    assert browser.run("[...list.querySelectorAll('button')].map(b => Number(b.dataset.point))") == [
        1,
        10,
        11,
    ]
    browser.run(f"{search}('PLAIN.txt')")  # a source
    browser.wait("document.getElementById('listNote').textContent.startsWith('6 of 12')")
    browser.run(f"{search}('')")
    browser.wait("document.getElementById('right').hidden")


def test_filters_hide_points(browser, tmp_path) -> None:
    path = tmp_path / "middle.html"
    write_globe(make_globe(shells=np.ones(12, np.int32)), path)  # of the shells 0, 1 and 2
    browser.open(path)
    point = nearest_in_front(browser, 12)
    x, y, _ = browser.run(f"thesphere.project({point})")
    slide = "((id, to) => { window[id].value = to; window[id].dispatchEvent(new Event('input')); })"
    for control, value, open_value in (("inner", 2, 0), ("outer", 0, 2), ("cut", 100, 0)):
        browser.run(f"{slide}('{control}', {value})")
        browser.frame()
        assert browser.run(f"thesphere.pick({x}, {y})") == -1
        browser.run(f"{slide}('{control}', {open_value})")
        browser.frame()
        assert browser.run(f"thesphere.pick({x}, {y})") == point


def test_colours_and_legend(browser, asked) -> None:
    globe = make_globe()
    browser.open(asked)
    ways = ["source", "prominence", "entropy", "shell", "zone"]
    assert browser.run("[...colour.options].map(o => o.value)") == ways
    assert browser.run("[...legend.querySelectorAll('.key .number')].map(e => e.textContent)") == ["6", "6"]
    pictures = []
    for way in ways:
        browser.run(f"colour.value = '{way}'; colour.dispatchEvent(new Event('change'))")
        pictures.append(look(browser, 200, 0.25).tobytes())
        text = browser.run("legend.textContent")
        if way == "entropy":
            assert f"{np.isnan(globe.entropies).sum()} unknown" in text
    assert len(set(pictures)) == 5


def test_query_is_listed_and_flown_to(browser, asked) -> None:
    browser.open(asked)
    assert browser.run("document.getElementById('listTitle').textContent") == make_query().text
    assert browser.run("[...list.querySelectorAll('button')].map(b => Number(b.dataset.point))") == [3, 1]
    assert browser.run("list.querySelector('.score').textContent") == "0.9"
    browser.run("list.querySelector('button').click()")
    x, y = centre(browser)
    browser.wait(f"Math.hypot(thesphere.project(3)[0] - {x}, thesphere.project(3)[1] - {y}) < 2")
    assert browser.run("thesphere.project(3)[2]") > 0


def test_field_lies_where_it_belongs(browser, tmp_path) -> None:
    """A field with one bright column: the picture is warm at that longitude and not on the other side."""
    field = np.zeros((31, 64), np.float32)
    field[15, 16] = 1.0  # theta = pi / 2, phi = pi / 2
    north = np.tile([0.0, 0.0, 1.0], (12, 1))
    for axis, warm in (([0.0, 1.0, 0.0], True), ([1.0, 0.0, 0.0], False)):
        centres = np.array([axis])
        query = make_query(
            field=field,
            centres=centres,
            apertures=np.zeros(1),
            strengths=np.ones(1),
            hits=np.empty(0, int),
            scores=np.empty(0),
        )
        path = tmp_path / "field.html"
        write_globe(make_globe(positions=north, query=query), path)
        browser.open(path)
        browser.run("for (const id of ['grid', 'rings', 'cones']) document.getElementById(id).click()")
        ball = look(browser, 200, 0.25)
        red = ball[..., 0] - ball[..., 2]
        assert (red.max() > 60) == warm


def test_many_points_are_drawn_the_same_by_image(browser, tmp_path) -> None:
    """Above the limit a software renderer gets a ready image: as many pixels are covered, in the same places."""
    count = 10_001
    random = np.random.default_rng(0)
    positions = random.normal(size=(count, 3))
    positions /= np.linalg.norm(positions, axis=1, keepdims=True)
    positions[:, 1] = np.abs(positions[:, 1])  # half a ball
    many = replace(make_globe(count), positions=positions, texts=["x"] * count)
    few = [(name, getattr(many, name)[:-1]) for name in ("positions", "radii", "shells", "sources")]
    few += [(name, getattr(many, name)[:-1]) for name in ("prominence", "entropies", "spans", "texts")]
    pictures = []
    for name, globe in (("many", many), ("few", replace(many, **dict(few)))):
        path = tmp_path / f"{name}.html"
        write_globe(globe, path)
        browser.open(path)
        assert browser.run("thesphere.image") == (name == "many")
        for box in ("grid", "rings"):
            browser.run(f"document.getElementById('{box}').click()")
        pictures.append(look(browser, 300, 0.1).ravel())
        assert browser.problems() == []
    assert np.corrcoef(*pictures)[0, 1] > 0.94  # shrunk tenfold: the same but for the smooth edges of discs


def test_without_webgl_the_points_can_be_searched(browser, asked) -> None:
    script = browser.call("Page.addScriptToEvaluateOnNewDocument", source=WITHOUT_WEBGL)["identifier"]
    try:
        browser.open(asked, until="window.thesphere?.ready")
        assert "no WebGL2" in browser.run("document.getElementById('notice').innerText")
        assert browser.run("list.querySelectorAll('button').length") == 2
        browser.run("search.value = 'plain'; search.dispatchEvent(new Event('input'))")
        browser.wait("document.getElementById('listNote').textContent.startsWith('6 of 12')")
        browser.run("list.querySelector('button').click()")
        assert not browser.run("document.getElementById('card').hidden")
        assert browser.problems() == []
    finally:
        browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def test_no_points_at_all(browser, tmp_path) -> None:
    empty = np.empty(0)
    none = empty.astype(int)
    path = tmp_path / "empty.html"
    nothing = replace(
        make_globe(),
        positions=np.empty((0, 3)),
        radii=empty,
        shells=none,
        shell_radii=empty,
        sources=none,
        names=[],
    )
    write_globe(
        replace(nothing, prominence=empty, entropies=empty, spans=np.empty((0, 2), int), texts=[]), path
    )
    browser.open(path)
    assert browser.run("document.getElementById('count').textContent") == "0 points · 0 sources · 0 shells"
    assert browser.problems() == []


def test_two_fingers_zoom(browser, plain) -> None:
    browser.open(plain)
    x, y = centre(browser)
    reach = f"Math.hypot(thesphere.project(0)[0] - {x}, thesphere.project(0)[1] - {y})"
    before = browser.run(reach)
    for kind, gap in (("touchStart", 40), ("touchMove", 60), ("touchMove", 80), ("touchEnd", None)):
        points = [] if gap is None else [{"x": x - gap, "y": y, "id": 0}, {"x": x + gap, "y": y, "id": 1}]
        browser.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
    browser.frame()
    assert browser.run(reach) > 1.2 * before


def test_a_lost_context_comes_back(browser, asked) -> None:
    browser.open(asked)
    before = look(browser, 150, 0.25)
    browser.run(
        "window.lost = stage.getContext('webgl2').getExtension('WEBGL_lose_context'); lost.loseContext()"
    )
    browser.frame()
    browser.run(
        "new Promise(done => {"
        " stage.addEventListener('webglcontextrestored', () => done()); lost.restoreContext(); })"
    )
    assert np.corrcoef(before.ravel(), look(browser, 150, 0.25).ravel())[0, 1] > 0.99
    assert browser.problems() == []
