package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"tsrun/pipeline/plot"
)

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /events", s.stream)
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("POST /stop", s.stop)
	mux.HandleFunc("POST /record", s.record)
	mux.HandleFunc("GET /static/plot.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = io.WriteString(w, plot.Style)
	})
	for name, kind := range map[string]string{"page.js": "text/javascript", "page.css": "text/css", "uPlot.iife.min.js": "text/javascript", "uPlot.min.css": "text/css", "uPlot.LICENSE": "text/plain",
		"icon.svg": "image/svg+xml"} {
		mux.HandleFunc("GET /static/"+name, func(w http.ResponseWriter, _ *http.Request) { serveFile(w, name, kind) })
	}
	return s.guarded(mux)
}

// serveFile sends a file of the page's own.
func serveFile(w http.ResponseWriter, name, kind string) {
	body, err := static.ReadFile("static/" + name)
	if err != nil {
		refuse(w, http.StatusNotFound, "there is no such file", "build tsrun anew")
		return
	}
	w.Header().Set("Content-Type", kind+"; charset=utf-8")
	_, _ = w.Write(body) // to a browser that may be gone
}

// page sends the page as it stands, whole without scripts.
func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	v, _, err := s.current()
	var out bytes.Buffer
	if err == nil {
		err = pages.ExecuteTemplate(&out, "page", v.forPage(s.options.Stop != nil, s.options.Record != nil))
	}
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error(), "tell those who make tsrun")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes())
}

// stream tells a browser all there is, and then what changes. A browser that takes no
// message for a while is let go: it comes again by itself, and begins anew.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		w.Header().Set("Retry-After", "10")
		refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("%d pages of this run are open already", MaxClients), "close one of them")
		return
	}
	defer s.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	var told *view
	for kind := "snapshot"; ; kind = "change" {
		v, changed, err := s.current()
		if err != nil {
			s.options.Log.Warn("page not written", "error", err)
			return
		}
		m := v.since(told)
		m.At = time.Since(s.began).Milliseconds()
		if err := send(w, kind, m); err != nil || m.Over {
			return
		}
		told = v
		if !pause(r, lookEvery, nil) || !pause(r, tellEvery-lookEvery, changed) {
			return
		}
	}
}

// send writes one message within its time.
func send(w http.ResponseWriter, kind string, m message) error {
	body := bytes.NewBufferString("event: " + kind + "\ndata: ")
	encoder := json.NewEncoder(body) // it ends with a new line
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(m); err != nil {
		return err
	}
	body.WriteByte('\n')
	control := http.NewResponseController(w)
	if err := control.SetWriteDeadline(time.Now().Add(answerWithin)); err != nil {
		return err
	}
	if _, err := w.Write(body.Bytes()); err != nil {
		return err
	}
	return control.Flush()
}

// pause waits for so long, or for what comes before; false: the browser has gone.
func pause(r *http.Request, long time.Duration, until <-chan struct{}) bool {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
		return false
	case <-until:
	case <-timer.C:
	}
	return true
}

// enter takes a place of a stream; false: there is none.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients >= MaxClients {
		return false
	}
	s.clients++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients--
}

// pageFacts are what the page is made of.
type pageFacts struct {
	*facts
	Sections  map[string]any
	Graphs    map[string][]graph // by the section that they stand in
	CanStop   bool
	CanRecord bool
}

func (v *view) forPage(canStop, canRecord bool) pageFacts {
	p := pageFacts{facts: v.facts, Sections: map[string]any{}, Graphs: map[string][]graph{}, CanStop: canStop && !v.facts.Over, CanRecord: canRecord && !v.facts.Over}
	for name, s := range v.sections {
		p.Sections[name] = s
	}
	for _, g := range v.graphs {
		p.Graphs[g.In] = append(p.Graphs[g.In], g)
	}
	return p
}
