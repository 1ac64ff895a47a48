package web

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/sdk"
)

// patience is for what must come, on a PC however busy.
const patience = time.Minute

// served is a page that a test looks at.
type served struct {
	*Server
	hub   *event.Hub
	base  string
	stops atomic.Int32
	end   func() error
}

// serve opens a page of a run of two nodes, at an address or on this PC alone.
func serve(t *testing.T, change func(*Options), at ...string) *served {
	t.Helper()
	p := &served{hub: event.NewHub()}
	o := Options{Recipe: runtest.TwoNodes(), Feed: p.hub.Subscribe(), Stop: func() error { p.stops.Add(1); return nil }}
	if change != nil {
		change(&o)
	}
	var err error
	if p.Server, err = Listen(t.Context(), append(at, "127.0.0.1:0")[0], o); err != nil {
		t.Fatal(err)
	}
	p.base = strings.TrimSuffix(strings.Split(p.URL(), "#")[0], "/")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx, true) }()
	p.end = func() error { cancel(); err := <-ended; ended <- err; return err }
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := p.end(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// ask makes a request, which change may change, and returns status and body.
func (p *served) ask(t *testing.T, method, path string, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.base+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

// listening is a stream that a test reads.
type listening struct {
	t     *testing.T
	lines *bufio.Reader
	body  io.Closer
}

func (p *served) listen(t *testing.T) *listening {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/events", http.NoBody)
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("stream: %v %v", answer, err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return &listening{t, bufio.NewReader(answer.Body), answer.Body}
}

// told is a message as a browser reads it.
type told struct {
	Kind     string
	Over     bool              `json:"over"`
	Sections map[string]string `json:"sections"`
	Graphs   []struct {
		ID     string `json:"id"`
		Curves []struct {
			Name string    `json:"name"`
			From int       `json:"from"`
			Y    []float64 `json:"y"`
		} `json:"curves"`
	} `json:"graphs"`
}

// next reads one message; ok is false at the end of the stream.
func (l *listening) next() (m told, ok bool) {
	l.t.Helper()
	for {
		line, err := l.lines.ReadString('\n')
		switch {
		case errors.Is(err, io.EOF):
			return m, false
		case err != nil:
			l.t.Fatal(err)
		}
		line = strings.TrimSuffix(line, "\n")
		if kind, ok := strings.CutPrefix(line, "event: "); ok {
			m.Kind = kind
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if err := json.Unmarshal([]byte(data), &m); err != nil {
				l.t.Fatalf("%v: %s", err, data)
			}
			return m, true
		}
	}
}

// until reads messages until one has what is looked for in a section.
func (l *listening) until(section, want string) told {
	l.t.Helper()
	for {
		m, ok := l.next()
		if !ok {
			l.t.Fatalf("the stream ended, and %s never had %q", section, want)
		}
		if strings.Contains(m.Sections[section], want) {
			return m
		}
	}
}

func progress(node string, tags, seconds uint64) event.Progress {
	channel := map[string]string{"alice": "signal", "bob": "idler"}[node]
	return event.Progress{Node: node, Tags: tags, Elapsed: time.Duration(seconds) * time.Second, Duration: 10 * time.Second,
		Channels: map[string]event.ChannelProgress{channel: {Tags: tags, UntilPs: seconds * 1e12}}}
}

func TestPageBeforeTheFirstTag(t *testing.T) {
	p := serve(t, nil)
	answer, page := p.ask(t, "GET", "/", nil)
	for _, want := range []string{"alice", "bob", "no value yet", "not here yet", "no rate is known yet", "Nothing has happened yet", "<noscript>", `aria-live="polite"`, "<svg"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, wrong := range []string{" 0 Hz", "0.000 Hz", "style=", "onclick", "<script>", p.token} {
		if strings.Contains(page, wrong) {
			t.Errorf("the page has %q", wrong)
		}
	}
	for name, want := range map[string]string{"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("policy %s", policy)
	}
	m, ok := p.listen(t).next()
	if !ok || m.Kind != "snapshot" || len(m.Sections) != len(sectionNames) || m.Over {
		t.Errorf("first message: %+v", m)
	}
}

// Two pages see the same run, each all of it, whenever it was opened.
func TestTwoClientsSeeTheRun(t *testing.T) {
	p := serve(t, nil)
	first := p.listen(t)
	if m, _ := first.next(); m.Kind != "snapshot" {
		t.Fatalf("%+v", m)
	}
	p.hub.Observe(event.StateChanged{State: "running"})
	p.hub.Observe(event.NodeJoined{Node: "alice", Host: "local"})
	p.hub.Observe(progress("alice", 0, 1))
	first.until("rates", "0.000 Hz") // recorded, and nothing came: that is a number
	p.hub.Observe(progress("alice", 5000, 2))
	first.until("rates", "5.000 kHz")
	second := p.listen(t)
	m, _ := second.next()
	if m.Kind != "snapshot" || !strings.Contains(m.Sections["rates"], "5.000 kHz") || !strings.Contains(m.Sections["verdict"], "running") || !strings.Contains(m.Sections["left"], "8s left") {
		t.Errorf("who comes late is told %v", m.Sections)
	}
	p.hub.Observe(event.Problem{Node: "bob", Code: "no-answer", Message: "<b>it burns</b>", Hint: "call somebody"})
	for _, l := range []*listening{first, second} {
		m := l.until("problems", "no-answer")
		if s := m.Sections["problems"]; !strings.Contains(s, "bob: &lt;b&gt;it burns") || !strings.Contains(s, "call somebody") || strings.Contains(s, "<b>") {
			t.Errorf("problem: %s", s)
		}
	}
	finished := runtest.FullManifest(t)
	p.hub.Observe(event.Finished{Directory: t.TempDir(), Manifest: finished})
	p.hub.Close()
	for _, l := range []*listening{first, second} {
		l.until("verdict", string(finished.Condition[0]))
		if _, more := l.next(); more {
			t.Error("the stream goes on after the end")
		}
	}
	_, page := p.ask(t, "GET", "/", nil)
	if !strings.Contains(page, string(finished.Condition[0])) || strings.Contains(page, `id="stop"`) {
		t.Error("the page after the end")
	}
}

// Points that were told are not told again, and a curve is never longer than it may be.
func TestCurvesGrowAndStayShort(t *testing.T) {
	p := serve(t, nil)
	l := p.listen(t)
	l.next()
	p.hub.Observe(progress("alice", 100, 1))
	l.until("rates", "100.0 Hz")
	p.hub.Observe(progress("alice", 300, 2))
	m := l.until("rates", "200.0 Hz")
	for _, c := range m.Graphs[0].Curves {
		if c.Name == "alice.signal" && (c.From != 1 || len(c.Y) != 1 || c.Y[0] != 200) {
			t.Errorf("told again: %+v", c)
		}
	}
	b := newBoard(runtest.TwoNodes())
	tags := uint64(0)
	for s := range uint64(20_000) {
		tags += 1000
		if s == 12_345 {
			tags += 1_000_000
		}
		b.apply(event.Stamped{Event: progress("alice", tags, s+1)})
	}
	points, most := b.channels["alice.signal"].curve.Points(), 0.0
	for _, p := range points {
		most = max(most, p.Y)
	}
	if len(points) > 2000 || len(points) < 500 || most != 1_001_000 {
		t.Errorf("%d points, the highest %v", len(points), most)
	}
}

func TestStopNeedsTheToken(t *testing.T) {
	p := serve(t, nil)
	good := func(r *http.Request) {
		r.Header.Set("Origin", p.base)
		r.Header.Set(tokenHeader, p.token)
	}
	if answer, body := p.ask(t, "POST", "/stop", good); answer.StatusCode != http.StatusConflict || !strings.Contains(body, "not begun") {
		t.Errorf("before the run: %d %s", answer.StatusCode, body)
	}
	p.hub.Observe(event.StateChanged{State: "running"})
	p.listen(t).until("verdict", "running")
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"no token":             {func(r *http.Request) { good(r); r.Header.Del(tokenHeader) }, 403},
		"empty token":          {func(r *http.Request) { good(r); r.Header.Set(tokenHeader, "") }, 403},
		"forged token":         {func(r *http.Request) { good(r); r.Header.Set(tokenHeader, p.token[:len(p.token)-1]+"!") }, 403},
		"token in the address": {func(r *http.Request) { good(r); r.Header.Del(tokenHeader); r.URL.RawQuery = "token=" + p.token }, 403},
		"no origin":            {func(r *http.Request) { good(r); r.Header.Del("Origin") }, 403},
		"another origin":       {func(r *http.Request) { good(r); r.Header.Set("Origin", "http://evil.example") }, 403},
		"origin null":          {func(r *http.Request) { good(r); r.Header.Set("Origin", "null") }, 403},
		"another port":         {func(r *http.Request) { good(r); r.Header.Set("Origin", "http://127.0.0.1:1") }, 403},
		"https":                {func(r *http.Request) { good(r); r.Header.Set("Origin", strings.Replace(p.base, "http:", "https:", 1)) }, 403},
		"cross-site":           {func(r *http.Request) { good(r); r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		"a name made to lead": {func(r *http.Request) {
			good(r)
			r.Host = "evil.example:" + p.port()
			r.Header.Set("Origin", "http://"+r.Host)
		}, 421},
		"another address": {func(r *http.Request) {
			good(r)
			r.Host = "127.0.0.2:" + p.port()
			r.Header.Set("Origin", "http://"+r.Host)
		}, 421},
		"no port":               {func(r *http.Request) { good(r); r.Host = "127.0.0.1"; r.Header.Set("Origin", "http://"+r.Host) }, 421},
		"a form":                {func(r *http.Request) { good(r); r.Body, r.ContentLength = io.NopCloser(strings.NewReader("a=b")), 3 }, 413},
		"a body without length": {func(r *http.Request) { good(r); r.Body, r.ContentLength = io.NopCloser(strings.NewReader("a=b")), -1 }, 413},
	} {
		if answer, body := p.ask(t, "POST", "/stop", c.change); answer.StatusCode != c.status || len(strings.Split(strings.TrimSpace(body), "\n")) != 2 {
			t.Errorf("%s: %d %s", name, answer.StatusCode, body)
		}
	}
	if answer, _ := p.ask(t, "GET", "/stop", good); answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", answer.StatusCode)
	}
	if n := p.stops.Load(); n != 0 {
		t.Fatalf("it was stopped %d times", n)
	}
	if answer, body := p.ask(t, "POST", "/stop", good); answer.StatusCode != http.StatusAccepted || p.stops.Load() != 1 {
		t.Errorf("stop: %d %s", answer.StatusCode, body)
	}
	localhost := func(r *http.Request) {
		good(r)
		r.Host = "LocalHost:" + p.port()
		r.Header.Set("Origin", "http://"+r.Host)
	}
	if answer, body := p.ask(t, "POST", "/stop", localhost); answer.StatusCode != http.StatusAccepted {
		t.Errorf("by the name localhost: %d %s", answer.StatusCode, body)
	}
	p.hub.Observe(event.StateChanged{State: "draining"})
	p.listen(t).until("verdict", "draining")
	if answer, body := p.ask(t, "POST", "/stop", good); answer.StatusCode != http.StatusConflict || !strings.Contains(body, "draining") {
		t.Errorf("after the recording: %d %s", answer.StatusCode, body)
	}
}

// Who reads nothing holds neither the run nor another reader up, and is let go.
func TestSlowClientIsLetGo(t *testing.T) {
	p := serve(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /events HTTP/1.1\r\nHost: %s\r\n\r\n", strings.TrimPrefix(p.base, "http://"))
	quick := p.listen(t)
	quick.next()
	for i := range 20_000 {
		p.hub.Observe(event.Warning{Message: fmt.Sprint("warning ", i)})
		p.hub.Observe(progress("alice", uint64(i), uint64(i)))
	}
	p.hub.Observe(event.StateChanged{State: "draining"})
	quick.until("verdict", "draining")
}

func TestRoomForStreamsIsBounded(t *testing.T) {
	p := serve(t, nil)
	var all []*listening
	for range MaxClients {
		l := p.listen(t)
		l.next()
		all = append(all, l)
	}
	answer, body := p.ask(t, "GET", "/events", nil)
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" || !strings.Contains(body, "close one") {
		t.Errorf("one too many: %d %s", answer.StatusCode, body)
	}
	if answer, _ := p.ask(t, "GET", "/", nil); answer.StatusCode != http.StatusOK {
		t.Errorf("the page: %d", answer.StatusCode)
	}
	all[0].body.Close()
	for deadline := time.Now().Add(patience); ; {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, p.base+"/events", http.NoBody)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the place of who left is not given again")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	p := serve(t, nil)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, p.base, http.NoBody)
	r.Header.Set("X", strings.Repeat("x", 3*maxHeader))
	if answer, err := http.DefaultClient.Do(r); err == nil { // else it was cut while it was sent
		answer.Body.Close()
		if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%d", answer.StatusCode)
		}
	}
	for _, path := range []string{"/static/", "/static/page.html", "/static/../server.go", "/x"} {
		if answer, _ := p.ask(t, "GET", path, nil); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
}

// Where other PCs reach the page it has TLS, and shows nothing to who has no token.
func TestOtherPCsNeedTheToken(t *testing.T) {
	p := serve(t, nil, "0.0.0.0:0")
	page, err := url.Parse(p.URL())
	if err != nil || page.Scheme != "https" || page.Query().Get("token") == "" || page.Fragment != "" {
		t.Fatalf("the page is at %s, %v", p.URL(), err)
	}
	p.base = "https://" + net.JoinHostPort("127.0.0.1", page.Port()) // the name of this PC may be in no table
	var shown string
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(c tls.ConnectionState) error {
		shown = strings.ReplaceAll(fmt.Sprintf("% X", sha256.Sum256(c.PeerCertificates[0].Raw)), " ", ":")
		return c.PeerCertificates[0].VerifyHostname("127.0.0.1")
	}}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	token := page.Query().Get("token")
	ask := func(method, path string, change func(*http.Request)) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, p.base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(r)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer
	}
	for _, path := range []string{"/", "/events", "/metrics", "/static/page.js", "/?token=", "/?token=" + token[1:], "/metrics?token=" + token} {
		if answer := ask("GET", path, nil); answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without the token: %s", path, answer.Status)
		}
	}
	if shown != p.Fingerprint() || shown == "" {
		t.Errorf("the certificate is %s, told was %s", shown, p.Fingerprint())
	}
	answer := ask("GET", "/?token="+token, nil)
	if answer.StatusCode != http.StatusSeeOther || len(answer.Cookies()) != 1 || answer.Header.Get("Location") != "/#token="+token {
		t.Fatalf("with the token: %s, %v", answer.Status, answer.Header)
	}
	cookie := answer.Cookies()[0]
	if !cookie.Secure || !cookie.HttpOnly || cookie.Value == token {
		t.Errorf("the cookie is %v", cookie)
	}
	looks := func(r *http.Request) { r.AddCookie(cookie) }
	if answer := ask("GET", "/", looks); answer.StatusCode != http.StatusOK {
		t.Errorf("with the cookie: %s", answer.Status)
	}
	if answer := ask("GET", "/metrics", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }); answer.StatusCode != http.StatusOK {
		t.Errorf("as Prometheus asks: %s", answer.Status)
	}
	if answer := ask("POST", "/stop", func(r *http.Request) { looks(r); r.Header.Set("Origin", p.base) }); answer.StatusCode != http.StatusForbidden || p.stops.Load() != 0 {
		t.Errorf("a stop with the cookie alone: %s", answer.Status)
	}
	plain, err := http.Get("http://" + net.JoinHostPort("127.0.0.1", page.Port()) + "/?token=" + token) // the server says so and no more
	if err == nil {
		plain.Body.Close()
		if plain.StatusCode != http.StatusBadRequest {
			t.Errorf("without TLS: %s", plain.Status)
		}
	}
}

// An address that is none is refused, and says what to write.
func TestAddressesAreChecked(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "x", "127.0.0.1:port"} {
		var f *sdk.Failure
		if _, err := Listen(t.Context(), address, Options{}); !errors.As(err, &f) || f.Hint == "" {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// The files of uPlot are those of its release 1.6.32.
func TestUPlotIsAsReleased(t *testing.T) {
	for name, want := range map[string]string{
		"uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
		"uPlot.min.css":     "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
		"uPlot.LICENSE":     "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
	} {
		body, err := static.ReadFile("static/" + name)
		if sum := sha256.Sum256(body); err != nil || hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s: %x %v", name, sum, err)
		}
	}
}

// A run that is over is shown from its directory.
func TestPastRun(t *testing.T) {
	dir := runtest.WriteRun(t)
	past, r, err := Past(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := serve(t, func(o *Options) { o.Past, o.Recipe, o.Stop = past, r, nil })
	_, page := p.ask(t, "GET", "/", nil)
	m, err := run.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{m.Run, "alice.signal", "GOOD"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if m, _ := p.listen(t).next(); !m.Over {
		t.Error("the stream does not say that it is over")
	}
	if _, _, err := Past(t.TempDir()); err == nil {
		t.Error("a directory without a run is shown")
	}
}
