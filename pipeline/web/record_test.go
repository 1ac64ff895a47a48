package web

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"tsrun/pipeline/event"
)

// What is watched is recorded by who has the token, and by nobody else.
func TestRecordNeedsTheToken(t *testing.T) {
	var asked atomic.Int64
	p := serve(t, func(o *Options) { o.Record = func() { asked.Add(1) } })
	good := func(r *http.Request) {
		r.Header.Set("Origin", p.base)
		r.Header.Set(tokenHeader, p.token)
	}
	if answer, _ := p.ask(t, "POST", "/record", good); answer.StatusCode != http.StatusConflict {
		t.Errorf("before the nodes are there: %s", answer.Status)
	}
	p.hub.Observe(event.StateChanged{State: "watching"})
	p.listen(t).until("verdict", "watching")
	if _, page := p.ask(t, "GET", "/", func(*http.Request) {}); !strings.Contains(page, `id="record"`) {
		t.Error("the page has no button for it")
	}
	for name, change := range map[string]func(*http.Request){
		"no token":       func(r *http.Request) { good(r); r.Header.Del(tokenHeader) },
		"forged token":   func(r *http.Request) { good(r); r.Header.Set(tokenHeader, "x") },
		"another origin": func(r *http.Request) { good(r); r.Header.Set("Origin", "http://evil.example") },
	} {
		if answer, _ := p.ask(t, "POST", "/record", change); answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", name, answer.Status)
		}
	}
	if asked.Load() != 0 {
		t.Fatalf("%d times it was recorded", asked.Load())
	}
	if answer, body := p.ask(t, "POST", "/record", good); answer.StatusCode != http.StatusAccepted || asked.Load() != 1 {
		t.Errorf("%s %s", answer.Status, body)
	}
	if answer, _ := p.ask(t, "POST", "/stop", good); answer.StatusCode != http.StatusConflict {
		t.Errorf("stop while nothing is recorded: %s", answer.Status)
	}
	other := serve(t, nil)
	if _, page := other.ask(t, "GET", "/", func(*http.Request) {}); strings.Contains(page, `id="record"`) {
		t.Error("the page of a run offers to record it")
	}
}
