package e2e

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

// pageOf is the address that a program prints for its page.
func pageOf(t *testing.T, p *tsrun) string {
	t.Helper()
	var found []string
	eventually(t, 20*time.Second, "the address of the page", func() bool {
		found = regexp.MustCompile(`(?m)^page: (\S+)$`).FindStringSubmatch(p.stderr.String())
		return found != nil
	})
	return found[1]
}

// openStream opens the stream of a program's page, as a browser does.
func openStream(t *testing.T, p *tsrun) io.ReadCloser {
	t.Helper()
	address, _, _ := strings.Cut(pageOf(t, p), "/#")
	answer, err := http.Get(address + "/events")
	if err != nil {
		t.Fatal(err)
	}
	return answer.Body
}

// lookOn reads all that the page of a program tells; seen waits for its end.
func lookOn(t *testing.T, p *tsrun) (seen func() string) {
	t.Helper()
	stream := openStream(t, p)
	told := make(chan string, 1)
	go func() {
		defer stream.Close()
		text, _ := io.ReadAll(stream) // to its end, or that of the program
		told <- string(text)
	}()
	return func() string { return <-told }
}

// A run is seen in a real browser from before its first tag until after its end, by two
// pages, of which one stops it; what they show is what the manifest says.
func TestPageInABrowser(t *testing.T) {
	b := startBrowser(t)
	dir := t.TempDir()
	p := start(t, dir, nil, append([]string{shipped(t, "coincidence.yaml"), "--web=127.0.0.1:0", "--set", "acquire.duration=10 min", "--set", "trigger.lead=3 s", "--set", "simulate.bob.white_fm=1 ppb"}, freePorts...)...)
	address := pageOf(t, p)
	stopper, looker := b.open(address, true), b.open(strings.Split(address, "#")[0], true)
	for _, page := range []*tab{stopper, looker} {
		page.until(20*time.Second, `document.querySelectorAll("#s-rates tbody tr").length === 3 && document.querySelectorAll(".card").length === 2`) // never blank
	}
	shown := func(of string) string {
		return fmt.Sprintf(`document.querySelector("[data-channel='%s'] .tags").textContent`, of)
	}
	if before := stopper.value(shown("alice.signal")); stopper.value(`document.querySelector(".state-running") === null`) == "true" && before != "no value yet" {
		t.Errorf("before the first tag it has %q tags", before)
	}
	for _, page := range []*tab{stopper, looker} {
		page.do(page.session, "Page.bringToFront", nil) // what nobody sees is not drawn
		page.until(30*time.Second, shown("bob.idler")+`.match(/[1-9]/) !== null && document.querySelector("[data-graph=rates] canvas") !== null`)
	}
	looker.until(60*time.Second, `document.querySelector("#s-seen td") !== null && document.querySelectorAll("#g-pairs canvas").length === 3 && /started.* alice/.test(document.getElementById("s-nodes").innerText.replaceAll("\n", " "))`)
	looker.until(60*time.Second, `document.querySelectorAll("[data-graph^=allan] canvas, [data-graph^=tdev] canvas").length === 2`)
	looker.accessible("running")
	looker.until(time.Second, `document.getElementById("stop").disabled && document.getElementById("stop-said").textContent.includes("only look")`)
	if left := stopper.value("location.href"); strings.Contains(left, "token") {
		t.Errorf("the token stays in the address: %s", left)
	}
	stopper.until(time.Second, `!document.getElementById("stop").disabled`)
	stopper.value(`document.getElementById("stop").click()`)
	stopper.until(time.Second, `document.getElementById("ask").open`)
	stopper.value(`document.getElementById("ask-yes").click()`)
	stopper.until(30*time.Second, `document.getElementById("s-verdict").textContent.includes("INTERRUPTED")`)
	if code := p.wait(20 * time.Second); code != 130 {
		t.Errorf("exit code %d", code)
	}
	at, m := latest(t, dir)
	if !m.Has(run.Interrupted) || m.Has(run.Aborted) || m.Has(run.Incomplete) && !heldUp(m) || m.Nodes["alice"].Channels["signal"].Tags == 0 {
		t.Errorf("condition %v: %v", m.Condition, m.Reasons)
	}
	again := b.open(pageOf(t, start(t, dir, nil, "web", at, "--web=127.0.0.1:0")), false)
	eventually(t, 20*time.Second, "the page without scripts", func() bool { return strings.Contains(again.source(), "</footer>") })
	without := again.source()
	for node, n := range m.Nodes {
		for name, c := range n.Channels {
			want := text.Count(c.Tags)
			for _, page := range []*tab{stopper, looker} {
				page.until(time.Second, shown(node+"."+name)+` === "`+want+`"`)
			}
			contains(t, without, `<td class="n tags">`+want+`</td>`, text.Hertz(c.Rate.Millihertz()))
		}
	}
	contains(t, without, "INTERRUPTED", "SIMULATED", "<svg", "heralded by")
	b.quiet()
}

// What is not the page itself cannot end a run, and the page's wish to end it does not
// give it up, however often it comes.
func TestPageStopsAndKeeps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir, nil, append([]string{shipped(t, "coincidence.yaml"), "--web=127.0.0.1:0", "--set", "acquire.duration=10 min"}, append(patient, freePorts...)...)...)
	address, token, _ := strings.Cut(pageOf(t, p), "#token=")
	address = strings.TrimSuffix(address, "/")
	stop := func(token, origin string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/stop", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		r.Header.Set("X-Tsrun-Token", token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0 // it is over
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	eventually(t, 30*time.Second, "tags", func() bool { return regexp.MustCompile(`bob: .* [1-9][0-9]* tags`).MatchString(p.stderr.String()) })
	if a, b := stop("x", address), stop(token, "http://evil.example"); a != http.StatusForbidden || b != http.StatusForbidden {
		t.Errorf("strangers get %d and %d", a, b)
	}
	if got := stop(token, address); got != http.StatusAccepted {
		t.Fatalf("stop: %d\n%s", got, p.stderr.String())
	}
	for range 3 {
		stop(token, address)
	}
	if code := p.wait(30 * time.Second); code != 130 {
		t.Errorf("exit code %d", code)
	}
	if at, m := latest(t, dir); !m.Has(run.Interrupted) || m.Has(run.Aborted) || m.TagsDelivered() == 0 || runTsrun(t, dir, "verify", at).code != 0 {
		t.Errorf("condition %v: %v", m.Condition, m.Reasons)
	}
}
