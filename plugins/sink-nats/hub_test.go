package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"tsrun/sdk/tagfile/pack"
)

func TestHubRefuses(t *testing.T) {
	for name, f := range map[string]hubFlags{
		"open to all":  {Listen: "0.0.0.0:0", Sync: "always"},
		"a name":       {Listen: "example.org:0", Sync: "always"},
		"no port":      {Listen: "127.0.0.1", Sync: "always"},
		"sync":         {Listen: "127.0.0.1:0", Sync: "never"},
		"sync of 1 ns": {Listen: "127.0.0.1:0", Sync: "1ns"},
		"half of TLS":  {Listen: "127.0.0.1:0", Sync: "2m", Cert: "x"},
		"no token":     {Listen: "0.0.0.0:0", Sync: "2m", TokenFile: "/dev/null"},
	} {
		f.Store = t.TempDir()
		if h, err := startHub(f); err == nil {
			h.stop()
			t.Errorf("%s: it starts", name)
		}
	}
}

// TestToken: who does not show the token is let in nowhere.
func TestToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := startHub(hubFlags{Store: t.TempDir(), Listen: "127.0.0.1:0", Sync: "2m", TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	defer h.stop()
	if conn, err := (access{URL: h.url()}).dial(); err == nil {
		conn.Close()
		t.Error("without a token")
	}
	conn, err := access{URL: h.url(), TokenFile: file}.dial()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestFollowRefuses(t *testing.T) {
	for _, args := range [][]string{{}, {"nats://x", "run", "more"}, {"nats://x", "a.b"}, {"nats://x", "--wait", "1ns"}, {"nats://x", "--channel", "*"}, {"nats://x", "--what"}} {
		var says bytes.Buffer
		if code := followMain(args, &says, &says); code != 2 || says.Len() == 0 {
			t.Errorf("%q: %d, %s", args, code, says.String())
		}
	}
}

// TestFollowFilters: one channel, and its tags as text.
func TestFollowFilters(t *testing.T) {
	_, url := testHub(t, "2m")
	r := newRecorder(t, testConfig(url), t.TempDir(), 1)
	r.begin()
	r.segment(2)
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
	r.close()
	var out bytes.Buffer
	if code := followMain([]string{url, "--tags", "--channel", "signal", "--node", "alice"}, &out, os.Stderr); code != 0 {
		t.Fatalf("%d", code)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "alice.signal;") || !strings.Contains(lines[2], `"tags":2`) || !strings.Contains(lines[2], `"ended":true`) {
		t.Errorf("%q", lines)
	}
	if code := followMain([]string{url, strings.Repeat("0", 32), "--wait", "100ms"}, &out, &out); code != 1 || !strings.Contains(out.String(), "no stream") {
		t.Errorf("a run that is not there: %d", code)
	}
}

// TestFollowSeveral: a node that joins late is followed, a node without the channel that is
// asked for holds nobody up, and a prefix may look like another with a run behind it.
func TestFollowSeveral(t *testing.T) {
	_, url := testHub(t, "2m")
	c := testConfig(url)
	c.Prefix = "tsrun_two"
	whole := func(r *recorder) {
		r.begin()
		r.segment(2)
		if err := r.finish(); err != nil {
			t.Fatal(err)
		}
		r.close()
	}
	alice := newRecorderOf(t, "alice", "signal", c, t.TempDir(), 1)
	alice.begin()
	alice.segment(2)
	var out bytes.Buffer
	ended := make(chan int)
	go func() { ended <- followMain([]string{url, "--prefix", c.Prefix, "--count"}, &out, &out) }()
	until(t, "alice is followed", func() bool { return alice.sink.pub.messages() > 0 })
	whole(newRecorderOf(t, "bob_2", "idler", c, t.TempDir(), 1))
	if err := alice.finish(); err != nil {
		t.Fatal(err)
	}
	alice.close()
	if code := <-ended; code != 0 || strings.Count(out.String(), `"ended":true`) != 4 || !strings.Contains(out.String(), `"bob_2.idler","tags":2`) {
		t.Errorf("ends with %d: %s", code, out.String())
	}
	for _, try := range []struct {
		args string
		code int
		says string
	}{
		{"--channel idler", 0, `{"channel":"bob_2.idler","tags":2,`},
		{"--channel idler,signal", 0, `{"channel":"alice.signal","tags":2,`},
		{"--channel none", 1, "nothing has come of channel none"},
		{"--node alice,eve", 1, "nothing has come of node eve"},
		{"--prefix tsrun --wait 100ms", 1, "no stream"},
	} {
		out.Reset()
		args := append([]string{url, "--count", "--prefix", c.Prefix, "--wait", "10s"}, strings.Fields(try.args)...)
		if code := followMain(args, &out, &out); code != try.code || !strings.Contains(out.String(), try.says) {
			t.Errorf("%s: ends with %d: %s", try.args, code, out.String())
		}
	}
}

// FuzzMessage: what somebody else has written is refused, or what it says.
func FuzzMessage(f *testing.F) {
	payload, err := pack.Append(nil, []uint64{1, 5, 1 << 60})
	if err != nil {
		f.Fatal(err)
	}
	m := message("tsrun.r.n.c", head{place: place{3, 2, 7, false}, count: 3, stream: 4, format: "bin", last: strings.Repeat("a", 64), tags: 10, lost: "0", segments: 3, channels: 2}, payload)
	f.Add(m.Header.Get(blockHeader), m.Header.Get(countHeader), m.Header.Get(sumHeader), m.Header.Get(lastHeader), m.Header.Get(endHeader), payload)
	f.Add("-1", "x", "zz", "short", "99999999", []byte("garbage that is longer than a header"))
	f.Fuzz(func(t *testing.T, block, count, sum, last, end string, payload []byte) {
		of := nats.Header{}
		for k, v := range m.Header {
			of[k] = v
		}
		for k, v := range map[string]string{blockHeader: block, countHeader: count, sumHeader: sum, lastHeader: last, endHeader: end} {
			of.Set(k, v)
		}
		h, err := readHead(of)
		if err != nil {
			return
		}
		if tags, err := tagsOf(nil, h, payload); err == nil && uint64(len(tags)) != h.count {
			t.Errorf("%d tags of %d", len(tags), h.count)
		}
		if p := h.after(); p.block != h.block+1 || p.segment < h.segment {
			t.Errorf("%+v behind %+v", p, h)
		}
	})
}
