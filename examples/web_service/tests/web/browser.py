"""The map page in Chromium: what a reader sees and does, on a real screen's and a phone's width.

    python tests/web/browser.py http://127.0.0.1:8080/ [--pictures FOLDER]
    python tests/web/browser.py http://127.0.0.1:8080/ --register

The first is for the sample town, the second for England's register and Milton Keynes' past offers.
"""

import argparse
import io
import json
import math
import os
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import axe_playwright_python
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

HOME = "52.0406, -0.7594"
# A home 1.10 km from Millpond, whose offers of 2025/26 ended at 0.92 km.
MISSED = (52.0530, -0.7562)
# A picture that a README can carry, in bytes.
LARGEST = 100_000
# A phone and a screen.
WIDTHS = {390: 740, 1280: 860}
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()


class Page:
    def __init__(self, address, browser):
        self.address, self.browser = address, browser

    def open(self, fragment="", width=1280, height=860, ready=None):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        # A new document, and not a jump within the one that is open.
        self.browser.get("about:blank")
        self.browser.get(self.address + fragment)
        ready = ready or (lambda: self.status() or self.one("#failure").text)
        self.until(ready, "the page says nothing")

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def status(self):
        return self.one("#status").text

    def names(self):
        return self.run("return [...document.querySelectorAll('#schools h3')].map((name) => name.textContent)")

    def pins(self):
        return self.run("return [...document.querySelectorAll('.pin.school')].map((pin) => pin.title)")

    def count(self, option):
        return int(self.one(f'[data-count="{option}"]').get_attribute("textContent").replace(",", ""))

    def hash(self):
        return dict(urllib.parse.parse_qsl(self.run("return location.hash.slice(1)")))

    def home(self):
        return float(self.hash()["lat"]), float(self.hash()["lng"])

    def forget_console(self):
        # The browser notes a failed request in its log, which is no error of the page.
        self.browser.get_log("browser")

    def command(self, name, **parameters):
        self.browser.execute_cdp_cmd(name, parameters)

    def replace_answers(self, path, body="", status=200):
        """Answers requests that begin with a path in the service's place; without a status, as a lost connection."""
        self.run(
            """const [path, body, status] = arguments;
               window.asked ??= window.fetch;
               window.fetch = (address, options) => {
                 if (!address.startsWith(path)) return window.asked(address, options);
                 if (status === null) return Promise.reject(new TypeError("Failed to fetch"));
                 return Promise.resolve(new Response(body, { status }));
               };""",
            path,
            body if isinstance(body, str) else json.dumps(body),
            status,
        )

    def restore_answers(self):
        self.run("window.fetch = window.asked")

    def is_on_screen(self, selector):
        left, top, right, bottom, _ = self.boxes(selector)[0]
        wide, high = self.run("return [innerWidth, innerHeight]")
        return 0 <= left and 0 <= top and right <= wide and bottom <= high

    def until_fitted(self, complaint):
        left, top, right, bottom, _ = self.boxes("#map")[0]
        inside = lambda box: left <= box[0] and box[2] <= right and top <= box[1] and box[3] <= bottom
        self.until(lambda: all(inside(box) for box in self.boxes(".pin")), complaint)

    def violations(self):
        """What axe finds wrong with the page."""
        self.run(AXE)
        found = self.browser.execute_async_script(
            "const done = arguments[0]; axe.run(document).then(done, (error) => done({ error: String(error) }))"
        )
        assert len(found["passes"]) > 10, found
        return [(one["id"], [node["html"][:120] for node in one["nodes"]][:3]) for one in found["violations"]]

    def boxes(self, selector):
        return self.run(
            """return [...document.querySelectorAll(arguments[0])].map((element) => {
                 const { left, top, right, bottom } = element.getBoundingClientRect();
                 return [left, top, right, bottom, element.textContent];
               }).filter(([left, , right]) => right > left)""",
            selector,
        )

    def until(self, met, complaint):
        # While the page redraws, what was found a moment ago may be gone.
        wait = WebDriverWait(self.browser, 10, ignored_exceptions=[Exception])
        wait.until(lambda _: met(), complaint)

    def until_names(self, expected):
        self.until(lambda: self.names() == expected, f"the list is {self.names()} and not {expected}")

    def asked(self, path, **parameters):
        query = urllib.parse.urlencode(parameters, doseq=True)
        with urllib.request.urlopen(f"{self.address}api/{path}?{query}", timeout=10) as answer:
            return json.load(answer)

    def found(self, path="schools", **parameters):
        parameters.setdefault("limit", 20)
        return [school["name"] for school in self.asked(path, **parameters)["schools"]]


def invites_to_enter_a_home(page):
    located = [school for school in page.asked("schools", limit=200)["schools"] if school["lat"] is not None]
    for width, height in WIDTHS.items():
        page.open(width=width, height=height)
        page.until(lambda: len(page.all("path.dot")) == len(located), "the map does not show where the schools are")
        assert page.status().startswith("25 schools. Where do you live? Enter your postcode"), page.status()
        assert page.names() == [] and page.pins() == [] and not page.one("#more").is_displayed()
        assert page.is_on_screen("#coordinates") and page.is_on_screen("#locate") and page.is_on_screen("#status")
        assert page.one("input[value=reach]").get_attribute("disabled"), "reach needs a home"
        assert not page.all(".pin.home")
    page.until(lambda: page.count("phase:primary") == page.asked("facets")["phase"]["primary"], "nothing is counted")
    page.one("input[name=phase][value=primary]").click()
    page.until(lambda: page.status().startswith(f"{page.count('ownership:')} schools. Where"), "a filter is not heeded")
    assert page.count("ownership:") < 25 and page.names() == []


def a_name_needs_no_home(page):
    page.open()
    page.one("#name").send_keys("ash")
    expected = page.found(name="ash")
    assert expected
    page.until_names(expected)
    assert "by name. Say where you live" in page.status() and not page.all("path.dot"), page.status()
    page.until(lambda: page.pins() == expected, "the map has other schools")
    page.one("#name").send_keys(*[Keys.BACKSPACE] * 3)
    page.until_names([])
    assert "Where do you live?" in page.status() and page.pins() == []


def a_click_gives_what_the_interface_gives(page):
    page.open()
    page.until(lambda: page.all("path.dot"), "nothing is drawn")
    left, top, right, bottom, _ = page.boxes("#map")[0]
    x, y = int(left + (right - left) * 0.6), int((top + bottom) / 2)
    clicks = ActionChains(page.browser)
    clicks.w3c_actions.pointer_action.move_to_location(x, y)
    clicks.click().perform()
    page.until(lambda: page.all(".pin.home"), "the click placed no home")
    lat, lng = page.home()
    page.until_names(page.found(lat=lat, lng=lng))
    distances = [school["distance_km"] for school in page.asked("schools", lat=lat, lng=lng)["schools"]]
    shown = [text.text for text in page.all("#schools .distance")]
    assert shown == [f"{km:.2f} km" for km in distances], (shown, distances)
    page.until(lambda: page.pins() == page.names(), "the pins are not the list")
    held = page.found("catchment", lat=lat, lng=lng)
    page.until(lambda: len(page.all("path.area.serves")) == len(held), "other outlines are drawn")


def coordinates_can_be_typed(page):
    page.open()
    box = page.one("#coordinates")
    box.send_keys("somewhere", Keys.ENTER)
    page.until(lambda: "latitude first" in page.one("#place-error").text, "nonsense is taken for a place")
    page.forget_console()
    box.clear()
    box.send_keys(HOME, Keys.ENTER)
    page.until_names(page.found(lat=52.0406, lng=-0.7594))
    assert page.one("#place-error").text == ""


def a_postcode_is_a_home(page):
    page.open()
    box = page.one("#coordinates")
    box.send_keys("zz1 1qx", Keys.ENTER)
    home = page.asked("locate", postcode="zz1 1qx")
    place = {"lat": f"{home['lat']:.5f}", "lng": f"{home['lng']:.5f}"}
    page.until_names(page.found(**place))
    assert "from the schools in ZZ1 1QX, up to 250 m from your home" in page.status(), page.status()
    assert page.hash() == {"postcode": "ZZ1 1QX", **place}
    close = "too close to say from a postcode"
    assert any(close in badge.text for badge in page.all(".badge.close")), [one.text for one in page.all(".badge")]
    # A link to it says the same.
    page.open(f"#{urllib.parse.urlencode(page.hash())}")
    assert "ZZ1 1QX" in page.status() and page.one("#coordinates").get_attribute("value") == "ZZ1 1QX"
    page.one("#coordinates").clear()
    page.one("#coordinates").send_keys("ZZ1 9XX", Keys.ENTER)
    page.until(lambda: "no school is in ZZ1 9XX" in page.one("#place-error").text, "it is not refused")
    page.forget_console()
    # A home on the map has none.
    page.run("arguments[0].focus()", page.one("#map"))
    ActionChains(page.browser).send_keys(Keys.ARROW_UP).perform()
    page.until(lambda: "postcode" not in page.hash(), "the home was moved")
    page.until(lambda: page.status() and "ZZ1" not in page.status(), "the distances are from the map")


def only_a_text_that_is_no_place_is_called_so(page):
    page.open()
    busy = "The service is busy or has failed: try again in a moment."
    problem = json.dumps({"status": 503, "detail": "too many requests are in flight: try again"})
    box = page.one("#coordinates")
    box.send_keys("MK9 3EP")
    for body, status, expected in (
        (problem, 503, busy),
        ("<html>Bad gateway</html>", 502, busy),
        ("{}", 500, busy),
        ("{}", 429, busy),
        ("", None, "The service cannot be reached."),
    ):
        page.replace_answers("/api/locate", body, status)
        page.run("document.querySelector('#place-error').textContent = ''")
        box.send_keys(Keys.ENTER)
        page.until(lambda: page.one("#place-error").text == expected, f"{status}: {page.one('#place-error').text}")
    page.restore_answers()


def schools_are_suggested(page):
    page.open("#lat=52.0406&lng=-0.7594")
    box = page.one("#coordinates")
    box.clear()
    box.send_keys("st osiths")
    page.until(lambda: page.all("#suggestions li"), "nothing is suggested")
    suggested = page.asked("suggest", text="st osiths", lat=52.0406, lng=-0.7594)["schools"]
    assert suggested[0]["name"] == "St Osyth's CE Primary School", suggested
    assert page.one("#suggestions li").text.startswith("St Osyth's CE Primary School"), page.one("#suggestions").text
    assert "km" in page.one("#suggestions li").text
    assert box.get_attribute("aria-expanded") == "true" and page.violations() == []
    box.send_keys(Keys.ARROW_DOWN)
    assert box.get_attribute("aria-activedescendant") == "suggestion-0"
    assert page.one("#suggestion-0").get_attribute("aria-selected") == "true"
    box.send_keys(Keys.ESCAPE)
    assert not page.one("#suggestions").is_displayed() and box.get_attribute("aria-expanded") == "false"
    box.send_keys(Keys.BACKSPACE)
    page.until(lambda: page.all("#suggestions li"), "nothing is suggested")
    box.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    page.until(lambda: f"/schools/{suggested[0]['urn']}#" in page.browser.current_url, "its page does not open")
    page.until(lambda: page.one("#name").text == "St Osyth's CE Primary School", "it is another school")


def evidence_is_marked(page):
    page.open("#lat=52.0406&lng=-0.7594")
    page.until(lambda: page.all(".badge.year"), "no year is marked")
    millpond = page.one('[data-urn="9990001"]').text
    assert "Home within its catchment's radius" in millpond, millpond
    assert "2025/26 ✓ 0.57 km to spare" in millpond and "2024/25 ✓ 0.73 km to spare" in millpond, millpond
    for view in ("catchment", "reach"):
        page.run("arguments[0].click()", page.one(f"input[value={view}]"))
        page.until_names(page.found(view, lat=52.0406, lng=-0.7594))
        assert page.hash()["view"] == view


def filters_change_the_list_and_the_counts(page):
    page.open("#lat=52.0406&lng=-0.7594")
    page.until(lambda: page.count("ownership:") == 25, "not all are counted")
    page.one('input[name=phase][value=primary]').click()
    home = {"lat": 52.0406, "lng": -0.7594}
    page.until_names(page.found(phase="primary", **home))
    facets = page.asked("facets", phase="primary", **home)
    page.until(lambda: page.count("ownership:") == facets["total"], "the counts stayed")
    assert page.count("max-rating:2") == facets["rating"]["1"] + facets["rating"]["2"]
    # What another phase would find is told all the same.
    assert page.count("phase:secondary") == page.asked("facets", **home)["phase"]["secondary"]
    Select(page.one("#within")).select_by_value("1")
    page.until_names(page.found(phase="primary", within=1, **home))
    assert page.all("path.within"), "the circle is not drawn"
    page.one('input[name=has-club][value=breakfast]').click()
    page.until_names(page.found(phase="primary", within=1, **home, **{"has-club": "breakfast"}))
    assert page.hash()["has-club"] == "breakfast"
    page.one("#filters button[type=reset]").click()
    page.until_names(page.found(**home))
    page.one("#name").send_keys("ecole")
    page.until_names(["École du Canal"])


def the_address_can_be_shared(page):
    fragment = "#lat=52.0389&lng=-0.7651&within=2&age=9&gender=girls&phase=primary&phase=secondary"
    page.open(fragment)
    asked = {"within": 2, "age": 9, "gender": "girls", "phase": ["primary", "secondary"]}
    page.until_names(page.found(lat=52.0389, lng=-0.7651, **asked))
    assert page.one("#age").get_attribute("value") == "9"
    assert page.one("#coordinates").get_attribute("value") == "52.0389, -0.7651"
    assert [box.get_attribute("value") for box in page.all("input[name=phase]:checked")] == ["primary", "secondary"]
    assert page.one("input[name=gender]:checked").get_attribute("value") == "girls"


def keys_are_enough(page):
    page.open("#lat=52.0406&lng=-0.7594")
    keys = lambda *pressed: ActionChains(page.browser).send_keys(*pressed).perform()
    focused = lambda: page.browser.switch_to.active_element
    keys(Keys.TAB)
    assert focused().text == "Skip to the schools"
    keys(Keys.ENTER)
    assert page.hash()["lat"] == "52.0406", "the link took the home out of the address"
    keys(Keys.TAB)
    first = focused()
    assert first.text == page.names()[0], first.text
    outline = page.run("return getComputedStyle(arguments[0]).outlineStyle", first)
    assert outline == "solid", "the focus cannot be seen"
    keys(Keys.ENTER)
    page.until(lambda: "9990010" in page.one("#details-9990010").text, "the school did not open")
    assert first.get_attribute("aria-expanded") == "true"
    assert page.all(".pin.picked"), "the map does not mark it"
    # The arrow keys move the home.
    page.run("arguments[0].focus()", page.one("#map"))
    keys(Keys.ARROW_UP)
    page.until(lambda: page.home()[0] > 52.0406, "the home did not move north")
    keys(Keys.SHIFT, Keys.ARROW_RIGHT)
    page.until(lambda: page.home()[1] > -0.7594, "the home did not move east")
    page.until_names(page.found(lat=page.home()[0], lng=page.home()[1]))
    zoomed = page.run("return document.querySelector('.leaflet-control-scale-line').textContent")
    keys("+", "+")
    scale = "return document.querySelector('.leaflet-control-scale-line').textContent"
    page.until(lambda: page.run(scale) != zoomed, "plus does not zoom")


def a_screen_reader_finds_its_way(page):
    page.open("#lat=52.0406&lng=-0.7594")
    nameless = page.run(
        """return [...document.querySelectorAll('input, select, button, a, [role=application]')].filter((control) =>
             !(control.labels?.length || control.textContent.trim() || control.getAttribute('aria-label'))
           ).map((control) => control.outerHTML)"""
    )
    assert nameless == [], nameless
    assert page.one("#status").get_attribute("role") == "status"
    assert page.one("html").get_attribute("lang") == "en-GB"
    levels = page.run("return [...document.querySelectorAll('h1, h2, h3')].map((heading) => +heading.tagName[1])")
    assert levels[:2] == [1, 2] and all(b - a <= 1 for a, b in zip(levels, levels[1:])), levels
    hidden = page.run("return !!document.querySelector('.pin.school').closest('[aria-hidden=true]')")
    assert hidden, "the pins are read beside the list"


def the_home_box_works_by_keys_and_is_heard(page):
    page.open()
    keys = lambda *pressed: ActionChains(page.browser).send_keys(*pressed).perform()
    focused = lambda: page.browser.switch_to.active_element
    keys(Keys.TAB, Keys.TAB)
    assert focused().get_attribute("id") == "coordinates"
    assert "Your home" in focused().accessible_name, focused().accessible_name
    keys("nowhere", Keys.ENTER)
    page.until(lambda: page.one("#place-error").text, "nonsense is taken for a place")
    page.forget_console()
    assert focused().get_attribute("id") == "coordinates" and focused().get_attribute("aria-invalid") == "true"
    described = focused().get_attribute("aria-describedby").split()
    assert "place-error" in described and page.one("#place-error").get_attribute("role") == "alert"
    keys(*[Keys.BACKSPACE] * 7, HOME, Keys.ENTER)
    page.until(lambda: "nearest first" in page.status(), "the home is not taken")
    assert page.one("#coordinates").get_attribute("aria-invalid") == "false"
    keys(Keys.TAB, Keys.TAB)
    assert focused().accessible_name == "My location"


def the_browser_says_where_one_is(page):
    page.open()
    page.command("Browser.grantPermissions", permissions=["geolocation"], origin=page.address.rstrip("/"))
    page.command("Emulation.setGeolocationOverride", latitude=52.0406, longitude=-0.7594, accuracy=10)
    page.one("#locate").click()
    page.until_names(page.found(lat=52.0406, lng=-0.7594))
    page.command("Browser.resetPermissions")
    page.command("Browser.setPermission", permission={"name": "geolocation"}, setting="denied")
    page.one("#locate").click()
    page.until(lambda: "type your home" in page.one("#place-error").text, "a refusal is not told")
    page.command("Browser.resetPermissions")


def no_answer_outlives_the_service(page):
    page.open("#lat=52.0406&lng=-0.7594")
    page.until(lambda: page.all("path.area.serves"), "no catchment is drawn")
    page.command("Network.enable")
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.command("Network.emulateNetworkConditions", offline=True, **offline)
    page.run("arguments[0].focus()", page.one("#map"))
    ActionChains(page.browser).send_keys(Keys.ARROW_UP).perform()
    page.until(lambda: "cannot be reached" in page.one("#failure").text, "a failure is not told")
    assert page.names() == [] and page.pins() == [] and not page.all("path.area") and page.status() == ""
    page.command("Network.emulateNetworkConditions", offline=False, **offline)
    page.one("#again").click()
    page.until_names(page.found(lat=page.home()[0], lng=page.home()[1]))
    assert page.one("#failure").text == "" and not page.one("#again").is_displayed()
    page.forget_console()


def each_view_fits_the_map(page):
    page.open("#lat=52.0406&lng=-0.7594")
    page.until(lambda: page.pins(), "nothing is drawn")
    for view in ("reach", "catchment", "nearest"):
        for _ in range(3):
            page.one(".leaflet-control-zoom-in").click()
        page.run("arguments[0].click()", page.one(f"input[value={view}]"))
        page.until_names(page.found(view if view != "nearest" else "schools", lat=52.0406, lng=-0.7594))
        page.until_fitted(f"{view} is not all in view")


def a_fit_draws_the_outlines_once(page):
    drawn = lambda: page.run(
        "return performance.getEntriesByType('resource').filter(({ name }) => name.includes('/api/outlines')).length"
    )
    zoom = lambda: page.run("return document.querySelector('.leaflet-control-scale-line').textContent")
    idle = lambda: page.one("#results").get_attribute("aria-busy") == "false"
    page.open("#lat=52.0406&lng=-0.7594")
    page.until(lambda: idle() and page.all("path.area"), "no outline is drawn")
    assert drawn() == 1, f"{drawn()} requests"
    wide = zoom()
    page.run("arguments[0].click()", page.one("input[value=reach]"))
    page.until(lambda: "reached your home" in page.status() and idle(), "the view did not change")
    assert zoom() != wide, "the fit did not zoom"
    assert drawn() == 2, f"{drawn()} requests"
    for _ in range(2):
        page.one(".leaflet-control-zoom-in").click()
    page.until(lambda: drawn() > 2, "a zoom does not draw outlines in its details")


def misses_are_told(page):
    page.open(f"#lat={MISSED[0]}&lng={MISSED[1]}&view=reach")
    page.until(lambda: page.one("#misses").is_displayed(), "no near miss is listed")
    missed = [item.text for item in page.all("#misses li")]
    assert "Millpond Primary School 2025/26: you would have missed it by 0.18 km" in missed, missed
    assert all("you would have missed it by" in text for text in missed), missed
    kilometres = [float(text.split(" by ")[1].split(" ")[0]) for text in missed]
    assert kilometres == sorted(kilometres), missed
    listed = page.found("reach", lat=MISSED[0], lng=MISSED[1], limit=1000)
    assert not set(listed) & {link.text for link in page.all("#misses a")}
    page.open(f"#lat={MISSED[0]}&lng={MISSED[1]}")
    page.until(lambda: page.all(".badge.misses"), "no miss is marked")
    assert "✗ you would have missed it by" in page.all(".badge.misses")[0].text


def a_school_has_its_own_page(page):
    page.open("#lat=52.0406&lng=-0.7594&within=2")
    page.one('[data-urn="9990001"] button').click()
    page.until(lambda: page.all("#details-9990001 a"), "the school did not open")
    page.run("arguments[0].click()", page.all("#details-9990001 a")[-1])
    page.until(lambda: page.all("table tbody tr"), "there are no years")
    assert page.one("h1").text == "Millpond Primary School" and "Millpond" in page.browser.title
    rows = [row.text for row in page.all("tbody tr")]
    asked = page.asked("schools/9990001")["schools"][0]["admissions"]
    assert len(rows) == len(asked), rows
    assert "2025/26" in rows[0] and "✓ 0.57 km to spare" in rows[0], rows
    page.one("#back").click()
    page.until_names(page.found(lat=52.0406, lng=-0.7594, within=2))
    page.open("schools/9990099", ready=lambda: page.one("#failure").text)
    assert "no school in this database" in page.one("#failure").text and page.one("h1").text == "No school"
    page.forget_console()


def a_school_is_shown_without_its_home(page):
    page.open("schools/9990001#postcode=ZZ1+9XX&lat=52.0406&lng=-0.7594", ready=lambda: page.all("tbody tr"))
    assert page.one("h1").text == "Millpond Primary School" and page.one("#failure").text == ""
    error = page.one("#school .error").text
    assert error.startswith("Your home in ZZ1 9XX could not be placed: no postcodes of ZZ are stored"), error
    assert "From your home" not in page.one("thead").text, "a distance from nowhere"
    page.forget_console()
    page.replace_answers("/api/locate", status=None)
    page.run("location.hash = '#postcode=ZZ1+1QX&lat=52.0406&lng=-0.7594'")
    page.until(lambda: "cannot be reached" in page.one("#school .error").text, "the lost connection is not told")
    assert page.one("h1").text == "Millpond Primary School" and page.all("tbody tr")
    page.restore_answers()
    page.run("location.hash = '#postcode=ZZ1+1QX&lat=52.0406&lng=-0.7595'")
    page.until(lambda: "From your home" in page.one("thead").text, "the home is not placed")
    assert not page.all("#school .error")


def a_school_that_cannot_be_loaded_may_exist(page):
    page.open("schools/9990001", ready=lambda: page.all("tbody tr"))
    for body, status, expected in (("", None, "cannot be reached"), ("<html>", 503, "is busy or has failed")):
        page.replace_answers("/api/schools/9990001", body, status)
        page.run(f"location.hash = '#age={status or 1}'")
        page.until(lambda: expected in page.one("#failure").text, f"{status} is not told")
        assert page.one("h1").text == "The school could not be loaded"
    page.restore_answers()


def details_that_failed_are_fetched_again(page):
    page.open("#lat=52.0406&lng=-0.7594")
    page.until(lambda: page.names(), "nothing is listed")
    name = page.one('[data-urn="9990001"] button')
    page.replace_answers("/api/schools/9990001", status=None)
    name.click()
    page.until(lambda: page.one("#details-9990001").text == "The service cannot be reached.", "the failure is not told")
    page.restore_answers()
    name.click()
    name.click()
    page.until(lambda: page.all("#details-9990001 dl"), "the details are not fetched again")
    assert not page.all("#details-9990001 .error")


def years_in_which_all_were_offered_a_place_are_told(page):
    for is_selective, everyone in ((False, "all were offered"), (True, "all who qualified were offered")):
        page.open("#lat=52.0406&lng=-0.7594")
        page.until(lambda: page.names(), "nothing is listed")
        answer = page.asked("schools/9990001")
        [school] = answer["schools"]
        school["is_selective"] = is_selective
        vacant = {"had_vacancies": True, "last_distance_offered_km": None}
        school["admissions"][0] |= vacant
        school["admissions"][1] |= vacant | {"places_offered": None}
        page.replace_answers("/api/schools/9990001", answer)
        page.one('[data-urn="9990001"] button').click()
        page.until(lambda: page.all("#details-9990001 dl"), "the school did not open")
        text = page.one("#details-9990001").text
        assert f"2025/26 Year R: 60 places for 142 applications, {everyone} a place; " in text, text
        assert f"2024/25 Year R: {everyone} a place" in text, text


def schools_of_unknown_ownership_are_counted(page):
    page.open("#lat=52.0406&lng=-0.7594")
    page.until(lambda: page.count("ownership:") == 25, "nothing is counted")
    assert not page.one('[data-count="ownership:unknown"]').is_displayed(), "each is known"
    facets = page.asked("facets") | {"total": 26509, "ownership": {"state": 4226, "private": 444, "unknown": 21839}}
    page.replace_answers("/api/facets", facets)
    page.one("input[name=phase][value=primary]").click()
    page.until(lambda: page.count("ownership:state") == 4226, "it is not counted")
    assert page.one('[data-count="ownership:unknown"]').text == "21,839"


def nobody_is_kept_out(page):
    for width, height in WIDTHS.items():
        for fragment in ("", "#lat=52.0406&lng=-0.7594", f"#lat={MISSED[0]}&lng={MISSED[1]}&view=reach"):
            page.open(fragment, width=width, height=height)
            page.run("document.querySelector('#filters-panel').open = true")
            if fragment:
                page.until(lambda: page.names(), "nothing is listed")
                page.one("#schools button").click()
                page.until(lambda: page.all("#schools dl"), "the school did not open")
            assert page.violations() == [], (width, fragment, page.violations())
        page.open("schools/9990001#lat=52.0406&lng=-0.7594", width, height, lambda: page.all("tbody tr"))
        assert page.violations() == [], (width, page.violations())


def what_is_not_known_is_counted(page):
    page.open()
    unknown = page.asked("facets")["rating"]["unknown"]
    page.until(lambda: page.count("max-rating:unknown") == unknown, "it is not counted")
    assert not page.all(".unknown")[0].is_displayed(), "no school lacks a phase"


def more_schools_follow(page):
    page.open("#lat=52.0406&lng=-0.7594")
    page.until(lambda: len(page.names()) == 20, "not a page of 20")
    page.one("#more").click()
    page.until_names(page.found(lat=52.0406, lng=-0.7594, limit=100))
    assert not page.one("#more").is_displayed()
    # The last one stands nowhere that is known, and has no pin.
    page.until(lambda: len(page.pins()) == len(page.names()) - 1, "a pin is missing")


def the_list_begins_on_a_phones_first_screen(page):
    page.open("#lat=52.0406&lng=-0.7594", width=390, height=740)
    page.until(lambda: page.names(), "nothing is listed")
    top, bottom = page.boxes("#schools li")[0][1::2][:2]
    assert bottom < 740, f"the first school is from {top} to {bottom}"


def labels_do_not_overlap(page):
    labels = ".degrees, .leaflet-control-scale, .leaflet-control-zoom, .legend, .views label"
    for width, height in WIDTHS.items():
        for fragment in ("", "#lat=52.0406&lng=-0.7594&within=2"):
            page.open(fragment, width=width, height=height)
            page.until(lambda: page.all("path.dot") or page.pins(), "nothing is drawn")
            boxes = page.boxes(labels)
            for at, (left, top, right, bottom, text) in enumerate(boxes):
                for other in boxes[at + 1:]:
                    apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
                    assert apart, f"{text!r} lies on {other[4]!r} at {width} pixels"


def each_pin_can_be_read(page):
    for width, height in WIDTHS.items():
        for lat, lng in ((52.0406, -0.7594), MISSED, (52.0389, -0.7651)):
            page.open(f"#lat={lat}&lng={lng}", width=width, height=height)
            page.until(lambda: len(page.pins()) == 20, "not all are drawn")
            page.until_fitted(f"a pin is cut at {width} pixels")
            page.one("#more").click()
            page.until(lambda: len(page.pins()) > 20, "no more are drawn")
            pins = page.boxes(".pin")
            middles = [((left + right) / 2, (top + bottom) / 2) for left, top, right, bottom, _ in pins]
            # Between two middles lies half of each pin, but for the corners of the home.
            for at, (left, _, right, _, text) in enumerate(pins):
                for other in range(at):
                    room = (right - left + pins[other][2] - pins[other][0]) / 2 - 4
                    apart = math.dist(middles[at], middles[other])
                    assert apart >= room, f"{text!r} lies on {pins[other][4]!r} at {width} pixels"
            # And nothing of the map lies on the first page's numbers.
            covers = page.boxes("#map .leaflet-control, .legend")
            for (x, y), (*_, text) in zip(middles, pins):
                for left, top, right, bottom, _ in covers:
                    is_clear = x + 5 <= left or right <= x - 5 or y + 5 <= top or bottom <= y - 5
                    assert is_clear or int(text or 0) > 20, f"{text!r} is covered at {width} pixels"


def a_phone_is_wide_enough(page):
    for width in (360, 320):
        page.open("#lat=52.0406&lng=-0.7594&within=2", width=width, height=740)
        page.until(lambda: page.names(), "nothing is listed")
        page.one("#filters-panel summary").click()
        page.one("#schools button").click()
        page.until(lambda: page.all("#schools dl"), "the school did not open")
        wide, screen = page.run("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= screen, f"{wide} on {screen} pixels"


def refusals_are_told(page):
    page.open("#lat=52.0406&lng=-0.7594&name=%27")
    page.until(lambda: "has no letter" in page.one("#failure").text, "a refusal is not told")
    page.forget_console()


def the_country_is_not_listed(page):
    facets = page.asked("facets")
    page.open()
    page.until(lambda: page.status().startswith(f"{facets['total']:,} schools. Where do you live?"), page.status())
    assert page.names() == [] and page.pins() == []
    assert not page.all("path.dot"), "some schools look like all"
    page.until(lambda: page.count("ownership:unknown") == facets["ownership"]["unknown"] > 0, "it is not counted")
    assert page.one('[data-count="ownership:unknown"]').is_displayed()


def draw(page, folder):
    """Draws the pictures of the README."""
    for name, width, height in (("map.png", 1280, 800), ("phone.png", 390, 740)):
        page.open("#lat=52.0406&lng=-0.7594&within=2", width=width, height=height)
        page.until(lambda: page.all("path.area.serves"), "no catchment is drawn")
        if width > 500:
            page.one('[data-urn="9990001"] button').click()
            page.until(lambda: page.all("#details-9990001 dl"), "the school did not open")
        page.run("document.activeElement.blur(); document.querySelector('.results').scrollTop = 0; scrollTo(0, 0)")
        picture = Image.open(io.BytesIO(page.browser.get_screenshot_as_png())).convert("RGB")
        path = os.path.join(folder, name)
        # The octree keeps the few pixels of a colour of their own, such as the home's.
        picture.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(path, optimize=True)
        assert os.path.getsize(path) < LARGEST, f"{path} has {os.path.getsize(path)} bytes"


TESTS = [
    invites_to_enter_a_home,
    a_name_needs_no_home,
    a_click_gives_what_the_interface_gives,
    coordinates_can_be_typed,
    a_postcode_is_a_home,
    only_a_text_that_is_no_place_is_called_so,
    schools_are_suggested,
    evidence_is_marked,
    filters_change_the_list_and_the_counts,
    the_address_can_be_shared,
    keys_are_enough,
    a_screen_reader_finds_its_way,
    the_home_box_works_by_keys_and_is_heard,
    the_browser_says_where_one_is,
    no_answer_outlives_the_service,
    each_view_fits_the_map,
    a_fit_draws_the_outlines_once,
    misses_are_told,
    a_school_has_its_own_page,
    a_school_is_shown_without_its_home,
    a_school_that_cannot_be_loaded_may_exist,
    details_that_failed_are_fetched_again,
    years_in_which_all_were_offered_a_place_are_told,
    nobody_is_kept_out,
    what_is_not_known_is_counted,
    schools_of_unknown_ownership_are_counted,
    more_schools_follow,
    the_list_begins_on_a_phones_first_screen,
    labels_do_not_overlap,
    each_pin_can_be_read,
    a_phone_is_wide_enough,
    refusals_are_told,
]
# Where each school is one of tens of thousands.
REGISTER_TESTS = [
    the_country_is_not_listed,
    each_view_fits_the_map,
    each_pin_can_be_read,
]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("address")
    arguments.add_argument("--browser", default="/usr/bin/chromium")
    arguments.add_argument("--driver", default="/usr/bin/chromedriver")
    arguments.add_argument("--pictures", help="draw the page into this folder")
    arguments.add_argument("--register", action="store_true", help="the service has England's register")
    arguments = arguments.parse_args()

    options = webdriver.ChromeOptions()
    options.binary_location = arguments.browser
    # Without a sandbox, since it may run as root; it opens nothing but the page.
    for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(arguments.driver))
    page = Page(arguments.address, browser)
    tests = REGISTER_TESTS if arguments.register else TESTS
    failed = 0
    try:
        for test in tests:
            try:
                test(page)
                noted = [entry["message"] for entry in browser.get_log("browser")]
                assert noted == [], f"the console says {noted}"
                print(f"test {test.__name__} ... ok")
            except Exception as error:  # Every test is told of, whatever stopped it.
                failed += 1
                page.forget_console()
                print(f"test {test.__name__} ... FAILED\n  {type(error).__name__}: {error}")
        if arguments.pictures and not failed:
            draw(page, arguments.pictures)
    finally:
        browser.quit()
    print(f"{len(tests) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
