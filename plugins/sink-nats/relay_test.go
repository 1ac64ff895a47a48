package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"tsrun/sdk/zmtp"
)

// liveRun is the socket of a live sink that sends given messages to who subscribes.
func liveRun(t *testing.T, messages ...[][]byte) (address string) {
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
				if c.Send(patient, m...) != nil {
					return
				}
			}
			c.ReadFrame(nil) // until the relay leaves
		})
	}()
	t.Cleanup(func() { stop(); <-ended; l.Close() })
	return "ipc://" + path
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
		var out, says bytes.Buffer
		if code := relayMain([]string{liveRun(t, messages...), url, "--wait", "1m"}, &out, &says); code != 0 {
			t.Fatalf("ends with %d: %s", code, says.String())
		}
		if want := `{"run":"` + relayedRun + `","subject":"tsrun.` + relayedRun + `.merged","messages":4,"tags":65537,"missed":2,"dropped":0,"ended":true}` + "\n"; out.String() != want {
			t.Errorf("%s, not %s", out.String(), want)
		}
	}
	conn, err := access{URL: url}.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
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

// TestRelayOfNonsense: what is no live sink ends it with a word, and nothing is stored.
func TestRelayOfNonsense(t *testing.T) {
	h, url := testHub(t, "2m")
	short := mergedMessage("tags", 0, 2)
	short[2] = short[2][:8]
	other := mergedMessage("held", 0, 0)
	other[1] = bytes.Replace(other[1], []byte(`"version":1`), []byte(`"version":2`), 1)
	for says, m := range map[string][][]byte{
		"no live sink":               {[]byte("live"), []byte("{")},
		"second frame is no JSON":    {[]byte("live")},
		"more than 4 frames":         {{}, {}, {}, {}, {}},
		"knows version 1":            other,
		"2 tags in 4 frames of 8":    short,
		"nothing has come from ipc:": nil,
	} {
		sent := [][][]byte{m}
		if m == nil {
			sent = nil
		}
		var out, err bytes.Buffer
		if code := relayMain([]string{liveRun(t, sent...), url, "--wait", "300ms"}, &out, &err); code != 1 || !strings.Contains(err.String(), says) || !strings.Contains(out.String(), `"messages":0`) {
			t.Errorf("%q: %d, %s%s", says, code, out.String(), err.String())
		}
	}
	for _, args := range [][]string{{}, {"tcp://127.0.0.1:1"}, {"tcp://192.0.2.1:1", url}, {"ipc://relative", url}, {"tcp://127.0.0.1:1", url, "--prefix", "a.b"}, {"tcp://127.0.0.1:1", url, "--wait", "1ns"}} {
		var says bytes.Buffer
		if code := relayMain(args, &says, &says); code != 2 || says.Len() == 0 {
			t.Errorf("%q: %d, %s", args, code, says.String())
		}
	}
	h.stop()
	var says bytes.Buffer
	if code := relayMain([]string{"tcp://127.0.0.1:1", url}, &says, &says); code != 1 || !strings.Contains(says.String(), "reach the NATS server") {
		t.Errorf("without a server: %d, %s", code, says.String())
	}
}

// TestRelayWithoutAServer: a server that is gone in the middle drops messages, which are
// counted, and the relay goes on to the end.
func TestRelayWithoutAServer(t *testing.T) {
	h, url := testHub(t, "2m")
	f, err := parseRelay([]string{liveRun(t, mergedMessage("tags", 0, 1), mergedMessage("end", 1, 0)), url}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{flags: f}
	defer r.hangUp()
	if err := r.dial(); err != nil {
		t.Fatal(err)
	}
	from, err := f.subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	for i := range 2 {
		m, err := r.next(from)
		if err == nil {
			err = r.take(t.Context(), m)
		}
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			h.stop()
		}
	}
	if s := r.said; s.Messages != 1 || s.Dropped != 1 || !s.Ended || r.refused == nil {
		t.Errorf("%+v, %v", s, r.refused)
	}
}
