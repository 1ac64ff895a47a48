package e2e

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/web"
)

// otherSite serves a page of another site that sends a form as soon as it is opened, as
// its address asks for, and returns that page's address.
func otherSite(t *testing.T) (address func(to, token, coding string) string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, fields := r.URL.Query(), ""
		if token := q.Get("token"); token != "" {
			fields = fmt.Sprintf(`<input type="hidden" name="X-Tsrun-Token" value="%[1]s"><input type="hidden" name="token" value="%[1]s">`, html.EscapeString(token))
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!DOCTYPE html><title>win a prize</title><link rel="icon" href="data:,"><form method="post" action="%s" enctype="%s">%s</form><script>document.forms[0].submit()</script>`,
			html.EscapeString(q.Get("to")), html.EscapeString(q.Get("coding")), fields)
	}))
	t.Cleanup(s.Close)
	there := strings.Replace(s.URL, "127.0.0.1", "localhost", 1) // a site is a name: this is another than 127.0.0.1
	return func(to, token, coding string) string {
		return there + "/?" + url.Values{"to": {to}, "token": {token}, "coding": {coding}}.Encode()
	}
}

// forge opens pages of another site that send forms to an address, with and without its
// token; each is refused.
func (b *browser) forge(address func(to, token, coding string) string, to, token string) {
	b.t.Helper()
	page := b.open("about:blank", true)
	page.do(page.session, "Security.setIgnoreCertificateErrors", map[string]any{"ignore": true})
	for _, form := range [][2]string{{"application/x-www-form-urlencoded", ""}, {"multipart/form-data", token}, {"text/plain", token}} {
		page.do(page.session, "Page.navigate", map[string]any{"url": address(to, form[1], form[0])})
		page.until(20*time.Second, `location.pathname === "`+to[strings.LastIndex(to, "/"):]+`" && document.readyState === "complete"`)
		if said := page.value("document.body.innerText"); !strings.Contains(said, "the request is not from this page") {
			b.t.Errorf("a form (%s, token %q) sent to %s is answered %q", form[0], form[1], to, said)
		}
	}
}

// A form of another site that a user's browser sends, cookies and even the token with it,
// neither stops a run nor has one recorded; the run goes on to its end.
func TestFormOfAnotherSite(t *testing.T) {
	t.Parallel()
	b, evil := startBrowser(t), otherSite(t)
	dir := t.TempDir()
	p := start(t, dir, nil, append([]string{shipped(t, "coincidence.yaml"), "--web=127.0.0.1:0", "--json", "--set", "acquire.duration=10 min"}, append(patient, freePorts...)...)...)
	address, token, _ := strings.Cut(pageOf(t, p), "/#token=")
	eventually(t, 60*time.Second, "the recording", func() bool { return strings.Contains(p.stdout.String(), inState("running")) })
	user := b.open(address+"/#token="+token, true) // who is led astray has the page open
	user.until(20*time.Second, `document.querySelector(".state-running") !== null`)
	b.forge(evil, address+"/stop", token)
	b.forge(evil, address+"/record", token)
	tags := regexp.MustCompile(`"event":"progress"`)
	before := len(tags.FindAllString(p.stdout.String(), -1))
	eventually(t, 30*time.Second, "more tags", func() bool { return len(tags.FindAllString(p.stdout.String(), -1)) > before+4 })
	if strings.Contains(p.stdout.String(), inState("draining")) {
		t.Error("a form has stopped the run")
	}
	user.value(`(document.getElementById("stop").click(), document.getElementById("ask-yes").click())`) // the page itself still can
	if code := p.wait(60 * time.Second); code != 130 {
		t.Errorf("exit code %d", code)
	}
	b.said = slices.DeleteFunc(b.said, func(s string) bool { // of the answers to forms, which name no icon
		return strings.Contains(s, "403") || strings.Contains(s, "/favicon.ico")
	})
	b.quiet()
}

// Where other PCs reach the page its cookie goes to no other site's form; and a form that
// has one by some mistake of a browser is refused all the same.
func TestFormOfAnotherSiteWithTheCookie(t *testing.T) {
	t.Parallel()
	b, evil := startBrowser(t), otherSite(t)
	hub, acts := event.NewHub(), atomic.Int32{}
	server, err := web.Listen(t.Context(), "0.0.0.0:0", web.Options{Recipe: runtest.TwoNodes(), Feed: hub.Subscribe(),
		Stop: func() error { acts.Add(1); return nil }, Record: func() { acts.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, true) }()
	defer func() { stop(); <-ended }()
	hub.Observe(event.StateChanged{State: "running"})
	printed, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	address := "https://127.0.0.1:" + printed.Port()
	user := b.open("about:blank", true)
	user.do(user.session, "Security.setIgnoreCertificateErrors", map[string]any{"ignore": true})
	user.do(user.session, "Page.navigate", map[string]any{"url": address + "/?" + printed.RawQuery})
	user.until(20*time.Second, `document.querySelector(".state-running") !== null`)
	all, _ := user.do(user.session, "Network.getCookies", map[string]any{"urls": []string{address}})["cookies"].([]any)
	if len(all) != 1 {
		t.Fatalf("cookies: %v", all)
	}
	cookie := all[0].(map[string]any)
	without := b.open("about:blank", true)
	without.do(without.session, "Security.setIgnoreCertificateErrors", map[string]any{"ignore": true})
	without.do(without.session, "Page.navigate", map[string]any{"url": evil(address+"/stop", printed.Query().Get("token"), "text/plain")})
	without.until(20*time.Second, `document.body !== null && document.body.innerText.includes("who sees this page has its token")`)
	user.do(user.session, "Network.setCookie", map[string]any{"url": address, "name": cookie["name"], "value": cookie["value"], "secure": true, "sameSite": "None"})
	b.forge(evil, address+"/stop", printed.Query().Get("token"))
	if n := acts.Load(); n != 0 {
		t.Errorf("forms did something %d times", n)
	}
}
