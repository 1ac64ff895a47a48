package e2e

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The pictures of README.md are of a real run, which is SIMULATED: make pictures.
func TestPicturesOfTheReadme(t *testing.T) {
	to := os.Getenv("TSRUN_PICTURES")
	if to == "" {
		t.Skip("make pictures writes them")
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	b := startBrowser(t)
	dir, err := os.MkdirTemp("", "lab-") // the page shows its path, which names nobody
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	text, err := os.ReadFile(shipped(t, "coincidence.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "coincidence.yaml"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	p := start(t, dir, nil, append([]string{"coincidence.yaml", "--web=127.0.0.1:0", "--set", "acquire.duration=25 s"}, freePorts...)...)
	page := b.open(pageOf(t, p), true)
	page.colours("light")
	page.do(page.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": 1000, "height": 2400, "deviceScaleFactor": 1, "mobile": false})
	page.do(page.session, "Page.bringToFront", nil)
	page.until(2*time.Minute, `document.querySelectorAll("[data-graph] canvas").length >= 6 && /^segment (1[5-9]|2\d)$/.test(document.querySelectorAll("#s-seen thead th")[1].textContent)`)
	answer := page.do(page.session, "Page.captureScreenshot", map[string]any{"format": "png", "clip": map[string]any{"x": 0, "y": 0, "width": 1000, "height": 2150, "scale": 0.7}})
	raw, err := base64.StdEncoding.DecodeString(answer["data"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "page.png"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	p.wait(2 * time.Minute) // whatever its condition: a busy PC may have held it up
	at, _ := latest(t, dir)
	for _, name := range []string{"g2", "align"} {
		if r := runTsrun(t, dir, "plot", at, name, "--svg", filepath.Join(to, name+".svg")); r.code != 0 {
			t.Errorf("%s: %s", name, r.stderr)
		}
	}
	b.quiet()
}
