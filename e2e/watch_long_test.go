package e2e

import (
	"bufio"
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/internal/steady"
	"tsrun/pipeline/event"
)

// stamped is an event as --json writes it, as far as these tests ask.
type stamped struct {
	Event, State string
	Time         time.Time
	event.Watched
}

func toldBy(p *tsrun) (all []stamped) {
	for l := range strings.Lines(p.stdout.String()) {
		var e stamped
		if strings.HasSuffix(l, "\n") && json.Unmarshal([]byte(l), &e) == nil {
			all = append(all, e)
		}
	}
	return all
}

// pace is what a watcher told of two nodes: when all were ready, when every channel had a
// rate first, and how often and how far apart it told something from then on.
type pace struct {
	ready, rated time.Time
	times        int
	over         time.Duration
	longest      time.Duration
}

func paceOf(told []stamped) (p pace) {
	var last time.Time
	for _, e := range told {
		if e.Event == "state" && e.State == "watching" && p.ready.IsZero() {
			p.ready = e.Time
		}
		if e.Event != "watched" {
			continue
		}
		all := len(e.Channels) > 0
		for _, c := range e.Channels {
			all = all && c.Rate != nil && c.Rate.Millihertz() > 0
		}
		switch {
		case p.rated.IsZero() && all:
			p.rated, last = e.Time, e.Time
		case !p.rated.IsZero():
			p.times, p.over, p.longest, last = p.times+1, e.Time.Sub(p.rated), max(p.longest, e.Time.Sub(last)), e.Time
		}
	}
	return p
}

// TestLongWatchKeepsItsPace watches two nodes for a minute: every channel has a rate within
// 2 s of when all were ready, and there are five updates a second from then on.
func TestLongWatchKeepsItsPace(t *testing.T) {
	need.LongWhole(t)
	const limit = 100 * time.Millisecond // of being held up, above which a trial shows nothing
	steady.Try(t, limit, func(once *steady.T) {
		p, _ := startKeyed(t, t.TempDir(), append([]string{"watch", shipped(t, "coincidence.yaml"), "--json"}, freePorts...)...)
		eventually(t, 60*time.Second, "rates of all channels", func() bool { return !paceOf(toldBy(p)).rated.IsZero() })
		time.Sleep(61 * time.Second)
		if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if code := p.wait(30 * time.Second); code != 0 {
			t.Fatalf("exit code %d\n%s", code, p.stderr.String())
		}
		found := paceOf(toldBy(p))
		first, each := found.rated.Sub(found.ready), found.over.Seconds()/float64(max(found.times, 1))
		t.Logf("the first rates of all channels came %v after all nodes were ready; then %d updates in %v, one in %.3f s, at most %v apart",
			first.Round(time.Millisecond), found.times, found.over.Round(time.Millisecond), each, found.longest.Round(time.Millisecond))
		if found.ready.IsZero() || found.rated.IsZero() {
			t.Fatal("nothing was watched")
		}
		slower := time.Duration(once.Slower)
		if first > 2*time.Second*slower || found.over < 60*time.Second || each > 0.21*float64(slower) || found.longest > time.Second*slower {
			once.Errorf("the first rates came after %v, one update in %.3f s, at most %v apart", first, each, found.longest)
		}
	})
}

// TestLongFirstRatesOfARun: the page of a run has a rate of every channel within 2 s of the
// begin of the recording.
func TestLongFirstRatesOfARun(t *testing.T) {
	need.LongWhole(t)
	steady.Try(t, 100*time.Millisecond, func(once *steady.T) {
		p := start(t, t.TempDir(), nil, append([]string{shipped(t, "coincidence.yaml"), "--json", "--web=127.0.0.1:0"}, freePorts...)...)
		page := readPage(t, p)
		var running, rated time.Time
		for m := range page {
			now := time.Now()
			if running.IsZero() && strings.Contains(m.Sections["verdict"], "state-running") {
				running = now
			}
			if text := m.Sections["rates"]; rated.IsZero() && text != "" && strings.Count(text, `data-channel=`) == 3 && !strings.Contains(text, "no value yet") {
				rated = now
			}
		}
		if code := p.wait(60 * time.Second); code != 0 && code != 2 {
			t.Fatalf("exit code %d\n%s", code, p.stderr.String())
		}
		if running.IsZero() || rated.IsZero() {
			t.Fatalf("the page never showed that it records, or rates")
		}
		first := rated.Sub(running)
		t.Logf("the page of the run had rates of all channels %v after it showed that it records", first.Round(time.Millisecond))
		if first > 2*time.Second*time.Duration(once.Slower) {
			once.Errorf("the first rates came after %v", first)
		}
	})
}

// pageMessage is what the stream of a page tells.
type pageMessage struct {
	Sections map[string]string `json:"sections"`
}

// readPage hands over each message of a page's stream as it comes, to its end.
func readPage(t *testing.T, p *tsrun) <-chan pageMessage {
	t.Helper()
	messages := make(chan pageMessage, 1024)
	stream := openStream(t, p)
	go func() {
		defer close(messages)
		defer stream.Close()
		lines := bufio.NewScanner(stream)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var m pageMessage
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && json.Unmarshal([]byte(data), &m) == nil {
				messages <- m
			}
		}
	}()
	return messages
}
