package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
)

// aloneSegment is how many tags a segment of recordAlone has.
const aloneSegment = 100

// recordAlone records until it is killed, and prints each file that it closes.
func recordAlone(args string) error {
	url, dir, _ := strings.Cut(args, "\n")
	ctx := context.Background()
	s, err := open(ctx, sdk.Env{Instance: "alice.live"}, testConfig(url))
	if err == nil {
		err = s.Begin(ctx, sdk.Recording{Run: tag.RunID{9}, Dir: dir, Segment: time.Millisecond, Streams: []sdk.RecordedStream{{Stream: 3, Name: "signal"}, {Stream: 5, Name: "quiet"}},
			Closed: func(a sdk.Artifact) { fmt.Println(a.Stream, a.Segment) }, Kept: func(uint16, uint64) {}})
	}
	for k := uint64(0); err == nil; k++ {
		err = s.Write(ctx, &tag.Block{Kind: tag.Data, Stream: 3, Tags: segmentTags(k, aloneSegment), Until: (k + 1) * 1e9})
		if err == nil {
			err = s.Write(ctx, &tag.Block{Kind: tag.Mark, Stream: 5, Until: (k + 1) * 1e9})
		}
		time.Sleep(time.Millisecond) // it is to be killed, and not to fill the disk
	}
	return err
}

// TestSinkKilled: another process goes on for one that was killed, and no message
// comes twice or is missing.
func TestSinkKilled(t *testing.T) {
	_, url := testHub(t, "always")
	r := newRecorder(t, testConfig(url), t.TempDir(), 9)
	p := spawn(t, sinkArgs, url+"\n"+r.dir)
	told := map[uint16]int{}
	note := func() bool {
		var stream uint16
		var segment int
		if !p.lines.Scan() {
			return false
		}
		if _, err := fmt.Sscan(p.lines.Text(), &stream, &segment); err != nil {
			t.Fatalf("%s: %v", p.lines.Text(), err)
		}
		told[stream] = segment + 1
		return true
	}
	for told[3] < 20 {
		if !note() {
			t.Fatal("it ended before it was killed")
		}
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for note() {
	}
	rec := r.recording()
	rec.Resumed = true
	for i := range rec.Streams {
		s := &rec.Streams[i]
		s.Told, r.at[s.Stream] = told[s.Stream], uint64(told[s.Stream])
	}
	if err := r.sink.Begin(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	r.segment(aloneSegment)
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
	r.close()
	for _, c := range rec.Streams { // files that the process before has told of
		for k := range c.Told {
			path := fmt.Sprintf("%s-%06d.bin", c.Name, k)
			sum, err := hashFile(filepath.Join(r.dir, path))
			if err != nil {
				t.Fatal(err)
			}
			r.files[path] = fmt.Sprintf("%x", sum)
		}
	}
	delete(r.files, reportName)
	if n := stored(t, url, r.run.String()); n != len(r.files)+2 || len(r.files) != told[3]+told[5]+2 {
		t.Errorf("%d messages of %d files", n, len(r.files))
	}
	sameFiles(t, url, r.run.String(), r.files)
}

// TestServerKilled: with sync always a server that is killed and comes back has each
// block once; meanwhile the recording goes on.
func TestServerKilled(t *testing.T) {
	store := t.TempDir()
	p, url := hubProcess(t, store, "always", 0)
	r := newRecorder(t, testConfig(url), t.TempDir(), 1)
	r.begin()
	for range 3 {
		r.segment(perSegment)
	}
	until(t, "an acknowledgement", func() bool { return r.sink.pub.messages() > 0 })
	p.kill()
	for range 3 {
		r.segment(perSegment)
	}
	until(t, "an outage", func() bool {
		r.sink.pub.mu.Lock()
		defer r.sink.pub.mu.Unlock()
		return r.sink.pub.tally.Outages > 0
	})
	_, again := hubProcess(t, store, "always", portOf(t, url))
	r.segment(7)
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
	r.close()
	if says := report(t, r.dir); says.Outages == 0 || says.SentAgain != 0 || says.Left || !says.Server.Durable {
		t.Errorf("%+v", says)
	}
	if n := stored(t, again, r.run.String()); n != 6*2+1+7+2 {
		t.Errorf("%d messages are in the stream", n)
	}
	sameFiles(t, again, r.run.String(), r.files)
}

// TestServerForgets: a server that has lost what it had acknowledged, as one may that
// does not sync always, is sent it again, from the files.
func TestServerForgets(t *testing.T) {
	store, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	f := hubFlags{Store: store, Listen: "127.0.0.1:0", Sync: "2m"}
	h, err := startHub(f)
	if err != nil {
		t.Fatal(err)
	}
	url := h.url()
	f.Listen = strings.TrimPrefix(url, "nats://")
	restart := func() {
		if h, err = startHub(f); err != nil {
			t.Fatal(err)
		}
	}
	r := newRecorder(t, testConfig(url), t.TempDir(), 1)
	r.begin()
	acked := func(n uint64) { until(t, "acknowledgements", func() bool { return r.sink.pub.messages() >= n }) }
	r.segment(3)
	acked(2)
	h.stop()
	if err := os.CopyFS(copied, os.DirFS(store)); err != nil {
		t.Fatal(err)
	}
	restart()
	r.segment(4)
	r.segment(5)
	acked(6)
	h.stop()
	if err := errors.Join(os.RemoveAll(store), os.CopyFS(store, os.DirFS(copied))); err != nil {
		t.Fatal(err)
	}
	restart()
	defer func() { h.stop() }()
	r.segment(6)
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
	r.close()
	if says := report(t, r.dir); says.SentAgain != 4 || says.Server.Durable || !strings.Contains(says.Server.Text, "not durable") {
		t.Errorf("%+v", says)
	}
	if n := stored(t, url, r.run.String()); n != 4*2+2 {
		t.Errorf("%d messages are in the stream", n)
	}
	sameFiles(t, url, r.run.String(), r.files)
}

// cable is a connection that can be cut: nothing passes and nobody is reached, until it
// is mended.
type cable struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	cut      bool
	all      []net.Conn
	passing  sync.WaitGroup
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: l, to: strings.TrimPrefix(to, "nats://")}
	c.passing.Go(c.accept)
	t.Cleanup(func() {
		l.Close()
		c.set(true)
		c.passing.Wait()
	})
	return c
}

func (c *cable) accept() {
	for {
		in, err := c.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", c.to)
		c.mu.Lock()
		if c.cut || err != nil {
			in.Close()
			if out != nil {
				out.Close()
			}
			c.mu.Unlock()
			continue
		}
		c.all = append(c.all, in, out)
		c.mu.Unlock()
		for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
			c.passing.Go(func() {
				_, _ = io.Copy(way[0], way[1]) // until it is cut
				way[0].Close()
			})
		}
	}
}

func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	if cut {
		for _, conn := range c.all {
			conn.Close()
		}
		c.all = nil
	}
}

// TestNetworkCut: a network that is cut again and again while messages are on their
// way makes none come twice and loses none.
func TestNetworkCut(t *testing.T) {
	_, url := testHub(t, "always")
	c := newCable(t, url)
	r := newRecorder(t, testConfig("nats://"+c.listener.Addr().String()), t.TempDir(), 1)
	r.begin()
	for n := range 6 {
		r.segment(perSegment)
		before := r.sink.pub.messages()
		if n%2 == 0 {
			c.set(true)
			r.segment(perSegment)
			c.set(false)
		}
		until(t, "more acknowledgements", func() bool { return r.sink.pub.messages() > before })
	}
	c.set(true)
	r.segment(9)
	time.AfterFunc(time.Second, func() { c.set(false) }) // while it finishes
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
	r.close()
	if n := stored(t, url, r.run.String()); n != 9*3+2+2 {
		t.Errorf("%d messages are in the stream", n)
	}
	sameFiles(t, url, r.run.String(), r.files)
}

// TestGivesUp: a server that never comes back ends in an error that says so, and
// with all files whole.
func TestGivesUp(t *testing.T) {
	h, err := startHub(hubFlags{Store: t.TempDir(), Listen: "127.0.0.1:0", Sync: "2m"})
	if err != nil {
		t.Fatal(err)
	}
	c := testConfig(h.url())
	c.Patience = quantity.Second
	r := newRecorder(t, c, t.TempDir(), 1)
	r.begin()
	h.stop()
	r.segment(10)
	err = r.finish()
	if f := (*sdk.Failure)(nil); !errors.As(err, &f) || f.Code != "nats-behind" || !strings.Contains(f.Hint, "nothing is lost") {
		t.Errorf("%v", err)
	}
	r.close()
	if says := report(t, r.dir); !says.Left || says.Why == "" || r.files["signal-000000.bin"] == "" {
		t.Errorf("%+v, %v", says, r.files)
	}
}

// TestForeign: who else writes into the stream is told of, and believed in nothing.
func TestForeign(t *testing.T) {
	_, url := testHub(t, "2m")
	r := newRecorder(t, testConfig(url), t.TempDir(), 1)
	r.begin()
	r.segment(10)
	until(t, "an acknowledgement", func() bool { return r.sink.pub.messages() > 0 })
	conn, err := access{URL: url}.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer, err := conn.RequestMsg(&nats.Msg{Subject: "tsrun." + r.run.String() + ".alice.signal", Data: []byte("hello")}, patient)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(answer.Data), `"seq"`) {
		t.Fatalf("%s", answer.Data)
	}
	r.segment(10)
	err = r.finish()
	if f := (*sdk.Failure)(nil); !errors.As(err, &f) || f.Code != "nats-foreign" {
		t.Errorf("%v", err)
	}
	r.close()
	if r.files["signal-000001.bin"] == "" {
		t.Errorf("%v", r.files)
	}
	if code := followMain([]string{url, "--wait", "10s", "--out", t.TempDir()}, io.Discard, io.Discard); code != 1 {
		t.Errorf("follow ends with %d", code)
	}
}
