package e2e

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

//go:embed testdata/access.js
var access string

// colours makes a page as a browser in the light or in the dark shows it.
func (p *tab) colours(scheme string) {
	p.do(p.session, "Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}})
}

// wide makes the window so many pixels wide.
func (p *tab) wide(pixels int) {
	p.do(p.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": pixels < 600})
}

// accessible asks what keeps a page from anybody, in light and dark, and whether it fits
// a phone: nothing stands beside a window of 400 pixels.
func (p *tab) accessible(name string) {
	p.t.Helper()
	for _, scheme := range []string{"dark", "light"} {
		p.colours(scheme)
		p.until(time.Second, `matchMedia("(prefers-color-scheme: `+scheme+`)").matches`)
		if wrong := p.value(access); wrong != "" {
			p.t.Errorf("%s, %s:\n%s", name, scheme, wrong)
		}
		p.axe(name + ", " + scheme)
		p.shoot(name + "-" + scheme)
	}
	p.wide(400)
	p.until(5*time.Second, `innerWidth === 400`)
	if beside := p.value(`document.documentElement.scrollWidth + " " + [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > 401 && !e.closest(".wide,pre,.u-wrap")).map((e) => e.outerHTML.slice(0, 80)).slice(0, 5).join("; ")`); beside != "400 " {
		p.t.Errorf("%s is wider than a phone: %s", name, beside)
	}
	p.shoot(name + "-phone")
	p.wide(1280)
}

// axe has axe-core look at a page, too, where TSRUN_TEST_AXE names its axe.min.js: no
// Debian package has it. Whatever it calls serious or critical is an error.
func (p *tab) axe(name string) {
	p.t.Helper()
	path := os.Getenv("TSRUN_TEST_AXE")
	if path == "" {
		return
	}
	script, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	p.do(p.session, "Runtime.evaluate", map[string]any{"expression": string(script)})
	p.value(`(window.axeSays = undefined, axe.run().then((r) => { window.axeSays = r.passes.length + " rules pass\n" + r.violations.map((v) => v.impact + " " + v.id + ": " + v.help + ": " + v.nodes.map((n) => n.html.slice(0, 160)).slice(0, 5).join(" | ")).join("\n"); }, (e) => { window.axeSays = "critical: " + e; }), 1)`)
	p.until(time.Minute, `window.axeSays !== undefined`)
	said := p.value("window.axeSays")
	p.t.Logf("axe, %s: %s", name, said)
	if regexp.MustCompile(`(?m)^(serious|critical)`).MatchString(said) || strings.HasPrefix(said, "0 ") {
		p.t.Errorf("axe, %s: %s", name, said)
	}
}

// shoot keeps a picture of the whole page where TSRUN_SCREENSHOTS says.
func (p *tab) shoot(name string) {
	dir := os.Getenv("TSRUN_SCREENSHOTS")
	if dir == "" {
		return
	}
	time.Sleep(500 * time.Millisecond) // what is resized draws itself
	answer := p.do(p.session, "Page.captureScreenshot", map[string]any{"captureBeyondViewport": true, "format": "png"})
	raw, err := base64.StdEncoding.DecodeString(answer["data"].(string))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), raw, 0o644)
	}
	if err != nil {
		p.t.Error(err)
	}
}

// pages counts the sheets that a page is printed on.
func (p *tab) pages(name string) int {
	p.t.Helper()
	answer := p.do(p.session, "Page.printToPDF", map[string]any{"paperWidth": 8.27, "paperHeight": 11.69})
	raw, err := base64.StdEncoding.DecodeString(answer["data"].(string))
	if err != nil || !bytes.HasPrefix(raw, []byte("%PDF-")) {
		p.t.Fatalf("%s is no PDF: %v", name, err)
	}
	if dir := os.Getenv("TSRUN_SCREENSHOTS"); dir != "" {
		_ = os.WriteFile(filepath.Join(dir, name+".pdf"), raw, 0o644)
	}
	most := 0
	for _, found := range regexp.MustCompile(`/Count (\d+)`).FindAllSubmatch(raw, -1) {
		n, _ := strconv.Atoi(string(found[1]))
		most = max(most, n)
	}
	return most
}

// The page of a run that is over, and its report, are for everybody: by keyboard, screen
// reader, in the dark, on a phone, on paper, and from another PC by TLS with the token.
func TestPageAndReportForEverybody(t *testing.T) {
	b := startBrowser(t)
	dir := t.TempDir()
	if r := runTsrun(t, dir, append([]string{shipped(t, "coincidence.yaml"), "--set", "acquire.duration=3 s"}, freePorts...)...); r.code != 0 {
		t.Fatalf("%d\n%s", r.code, r.stderr)
	}
	at, _ := latest(t, dir)
	address := pageOf(t, start(t, dir, nil, "web", at, "--web=0.0.0.0:0"))
	stranger := b.open("about:blank", true)
	stranger.do(stranger.session, "Security.setIgnoreCertificateErrors", map[string]any{"ignore": true})
	local := regexp.MustCompile(`//[^:/]+:`).ReplaceAllString(address, "//127.0.0.1:")
	stranger.do(stranger.session, "Page.navigate", map[string]any{"url": strings.Split(local, "?")[0]})
	stranger.until(20*time.Second, `document.body !== null && document.body.innerText.includes("who sees this page has its token")`)
	page := b.open("about:blank", true)
	page.do(page.session, "Security.setIgnoreCertificateErrors", map[string]any{"ignore": true})
	page.do(page.session, "Page.navigate", map[string]any{"url": local})
	page.do(page.session, "Page.bringToFront", nil)
	page.until(20*time.Second, `location.protocol === "https:" && document.querySelectorAll(".card").length === 2 && document.querySelectorAll(".pictures svg").length > 2`)
	page.until(20*time.Second, `!location.href.includes("token") && document.querySelectorAll("[data-graph] canvas").length === 2`)
	page.accessible("page")
	if n := page.pages("page"); n < 1 || n > 8 {
		t.Errorf("the page is printed on %d sheets", n)
	}
	report := b.open("file://"+filepath.Join(at, "report.html"), true)
	report.until(20*time.Second, `document.querySelectorAll("svg").length > 2`)
	report.accessible("report")
	if n := report.pages("report"); n < 2 || n > 14 {
		t.Errorf("the report is printed on %d sheets", n)
	}
	b.said = slices.DeleteFunc(b.said, func(s string) bool { return strings.Contains(s, "401") }) // the stranger, who was refused
	b.quiet()
}
