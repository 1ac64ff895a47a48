package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/zmtp"
)

// liveRun is the socket of a live sink that sends given messages to who subscribes.
// Behind no message it ends, as that of a run that was given up.
func liveRun(t *testing.T, messages ...[][]byte) (socket string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "live")
	l, err := zmtp.Listen("unix", path, "PUB", zmtp.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.Serve(ctx, func(c *zmtp.Conn) {
			if _, _, err := c.ReadFrame(make([]byte, 64)); err != nil {
				return
			}
			for _, m := range messages {
				if m == nil {
					c.Close()
					return
				}
				if c.Send(patient, m...) != nil {
					return
				}
			}
			c.ReadFrame(nil) // until the relay leaves
		})
	}()
	t.Cleanup(func() { stop(); <-ended; l.Close() })
	return path
}

const relayedRun = "00112233445566778899aabbccddeeff"

func mergedMessage(kind string, seq, tags int) [][]byte {
	m := [][]byte{[]byte("live"), fmt.Appendf(nil, `{"kind":%q,"version":1,"run":%q,"sink":"live","seq":%d,"simulated":true,"tags":%d,"channels":["alice.a"]}`, kind, relayedRun, seq, tags)}
	if kind == "tags" {
		m = append(m, bytes.Repeat([]byte{byte(seq)}, 8*tags), make([]byte, 2*tags))
	}
	return m
}

// TestRelay: each message is stored once, also the largest; a gap is told; a relay that
// begins again stores nothing twice.
func TestRelay(t *testing.T) {
	_, url := testHub(t, "2m")
	messages := [][][]byte{mergedMessage("held", 0, 0), mergedMessage("tags", 1, mergedTags), mergedMessage("tags", 4, 1), mergedMessage("end", 5, 0)}
	for range 2 {
		got, err := takeMerged(t.Context(), sdk.Merged{Run: relayedRun, Socket: liveRun(t, messages...)}, mergedAt(url))
		if want := (sdk.MergedAnswer{Where: "tsrun." + relayedRun + ".merged", Messages: 4, Tags: 65537, Missed: 2, Ended: true}); err != nil || got != want {
			t.Errorf("%+v, not %+v: %v", got, want, err)
		}
	}
	js, hangUp := ask(t, url)
	defer hangUp()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	stream, err := js.Stream(ctx, "tsrun_"+relayedRun+"-merged")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != uint64(len(messages)) {
		t.Errorf("%d messages are stored", n)
	}
	for i, m := range messages {
		got, err := stream.GetMsg(ctx, uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Data, bytes.Join(m[2:], nil)) || got.Header.Get(mergedHeader) != string(m[1]) || got.Header.Get(simulatedHeader) != "true" {
			t.Errorf("message %d is stored as %d bytes, %v", i, len(got.Data), got.Header)
		}
	}
	var says bytes.Buffer
	if code := followMain([]string{url, "--wait", "100ms"}, &says, &says); code != 1 || !strings.Contains(says.String(), "no stream of the run") {
		t.Errorf("follow takes merged tags for those of a node: %d, %s", code, says.String())
	}
}

// mergedAt is the config of a sink of the merged tags.
func mergedAt(url string) mergedConfig {
	c := mergedDefaults()
	c.URL = url
	return c
}

// FuzzMerged: what somebody else sends is refused, or a message of as many tags as it says.
func FuzzMerged(f *testing.F) {
	m := mergedMessage("tags", 3, 2)
	f.Add(m[0], m[1], m[2], m[3], 4)
	f.Add(m[0], mergedMessage("end", 4, 0)[1], []byte{}, []byte{}, 2)
	f.Add([]byte("x"), []byte(`{"kind":"tags","version":1,"tags":-1}`), []byte("garbage"), []byte{}, 3)
	f.Fuzz(func(t *testing.T, topic, head, times, channels []byte, n int) {
		m, err := decodeMerged([][]byte{topic, head, times, channels}[:max(0, n)%5])
		if err != nil {
			return
		}
		if m.Kind == "tags" && len(m.payload) != 10*m.Tags || m.Kind != "tags" && len(m.payload) != 0 || m.Sink != string(topic) || !isRun(m.Run) {
			t.Errorf("%+v of %q", m, head)
		}
		r := &relay{config: mergedAt("nats://x"), run: m.Run}
		if msg := r.message(m); strings.ContainsAny(msg.Header.Get(mergedHeader), "\r\n") {
			t.Errorf("a header of two lines: %q", msg.Header.Get(mergedHeader))
		}
	})
}

// TestRelayOfNonsense: what is no live sink ends it with a word, and nothing is stored.
func TestRelayOfNonsense(t *testing.T) {
	h, url := testHub(t, "2m")
	short := mergedMessage("tags", 0, 2)
	short[2] = short[2][:8]
	other := mergedMessage("held", 0, 0)
	other[1] = bytes.Replace(other[1], []byte(`"version":1`), []byte(`"version":2`), 1)
	strange := mergedMessage("held", 0, 0)
	strange[1] = bytes.Replace(strange[1], []byte(relayedRun), []byte(strings.Repeat("0", 32)), 1)
	refused := func(says, run, socket string, c mergedConfig) {
		t.Helper()
		got, err := takeMerged(t.Context(), sdk.Merged{Run: run, Socket: socket}, c)
		if err == nil || !strings.Contains(err.Error(), says) || got.Messages != 0 || got.Ended {
			t.Errorf("%q: %+v, %v", says, got, err)
		}
	}
	for says, m := range map[string][][]byte{
		"this is no live sink":      {[]byte("live"), []byte("{")},
		"second frame is no JSON":   {[]byte("live"), []byte("no JSON")},
		"of one frame":              {[]byte("live")},
		"more than 4 frames":        {{}, {}, {}, {}, {}},
		"knows version 1":           other,
		"2 tags in 4 frames of 8":   short,
		"of run 0000":               strange,
		"before it had said its en": nil,
	} {
		refused(says, relayedRun, liveRun(t, m), mergedAt(url))
	}
	refused("hear the merged tags", relayedRun, filepath.Join(t.TempDir(), "none"), mergedAt(url))
	refused("is no run", "../x", liveRun(t), mergedAt(url))
	dotted := mergedAt(url)
	dotted.Prefix = "a.b"
	refused("cannot be a word of a subject", relayedRun, liveRun(t), dotted)
	h.stop()
	refused("reach the NATS server", relayedRun, liveRun(t), mergedAt(url))
}

// TestRelayWithoutAServer: a server that is gone in the middle drops messages, which are
// counted, and the relay goes on to the end, for which nobody waits long.
func TestRelayWithoutAServer(t *testing.T) {
	h, url := testHub(t, "2m")
	r := &relay{config: mergedAt(url), run: relayedRun}
	r.said.Where = "tsrun." + relayedRun + ".merged"
	defer r.hangUp()
	if err := r.dial(); err != nil {
		t.Fatal(err)
	}
	from, err := subscribe(t.Context(), liveRun(t, mergedMessage("tags", 0, 1), mergedMessage("tags", 1, 1), mergedMessage("end", 2, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	for i := range 3 {
		m, err := nextMerged(from)
		if err == nil {
			err = r.take(t.Context(), m)
		}
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			h.stop()
		}
		if !r.resting.IsZero() {
			r.resting = r.resting.Add(time.Hour) // however slow this PC is
		}
	}
	if s := r.said; s.Messages != 1 || s.Tags != 1 || s.Dropped != 2 || !s.Ended || r.refused == nil {
		t.Errorf("%+v, %v", s, r.refused)
	}
}
