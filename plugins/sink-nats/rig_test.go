package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nats-io/nats.go/jetstream"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
)

// hubArgs, sinkArgs and resultsArgs tell a process of this test to be a hub, to record
// until it is killed, or to be the plugin as it takes results.
const (
	hubArgs     = "TSRUN_SINK_NATS_HUB"
	sinkArgs    = "TSRUN_SINK_NATS_RECORD"
	resultsArgs = "TSRUN_SINK_NATS_RESULTS"
)

// patient bounds every wait of a test; it is no measure of speed.
const patient = 2 * time.Minute

func TestMain(m *testing.M) {
	if args := os.Getenv(hubArgs); args != "" {
		os.Exit(hubMain(strings.Split(args, "\n"), os.Stdout, os.Stderr))
	}
	if args := os.Getenv(sinkArgs); args != "" {
		fmt.Println("failed:", recordAlone(args))
		os.Exit(1)
	}
	if os.Getenv(resultsArgs) != "" {
		os.Args = []string{os.Args[0], "results"}
		main()
	}
	goleak.VerifyTestMain(m)
}

// process is a process of this test.
type process struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func spawn(t testing.TB, key, value string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), key+"="+value)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewScanner(out)
	t.Cleanup(p.kill)
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // or it is gone
	_ = p.cmd.Wait()
}

// hubProcess starts a hub as a process of its own; port 0 is any.
func hubProcess(t testing.TB, store, sync string, port int) (*process, string) {
	t.Helper()
	p := spawn(t, hubArgs, strings.Join([]string{"--store", store, "--sync", sync, "--listen", "127.0.0.1:" + strconv.Itoa(port)}, "\n"))
	if !p.lines.Scan() {
		t.Fatal("the hub has ended")
	}
	var says struct{ Listening struct{ URL string } }
	if err := json.Unmarshal(p.lines.Bytes(), &says); err != nil || says.Listening.URL == "" {
		t.Fatalf("%s: %v", p.lines.Text(), err)
	}
	return p, says.Listening.URL
}

func portOf(t testing.TB, url string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "nats://"))
	n, bad := strconv.Atoi(port)
	if err != nil || bad != nil {
		t.Fatal(url)
	}
	return n
}

// testHub is a hub within this process.
func testHub(t testing.TB, sync string) (*hub, string) {
	t.Helper()
	h, err := startHub(hubFlags{Store: t.TempDir(), Listen: "127.0.0.1:0", Sync: sync})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.stop)
	return h, h.url()
}

func testConfig(url string) config {
	c := defaults()
	c.URL, c.Patience = url, 45*quantity.Second
	return c
}

// recorder records with a sink of this process.
type recorder struct {
	t     testing.TB
	sink  *sink
	dir   string
	run   tag.RunID
	first string // name of the channel that has tags
	seq   map[uint16]uint64
	at    map[uint16]uint64
	mu    sync.Mutex
	files map[string]string // path → SHA-256
	kept  map[uint16]uint64
}

// perSegment is how many tags a channel has in each segment of 1 ms, of which a
// block takes less.
const perSegment = 70_000

func newRecorder(t testing.TB, c config, dir string, run byte) *recorder {
	t.Helper()
	return newRecorderOf(t, "alice", "signal", c, dir, run)
}

func newRecorderOf(t testing.TB, node, first string, c config, dir string, run byte) *recorder {
	t.Helper()
	s, err := open(t.Context(), sdk.Env{Instance: node + ".live", Log: slog.New(slog.NewTextHandler(t.Output(), nil))}, c)
	if err != nil {
		t.Fatal(err)
	}
	return &recorder{t: t, sink: s.(*sink), dir: dir, run: tag.RunID{run}, first: first, seq: map[uint16]uint64{}, at: map[uint16]uint64{},
		files: map[string]string{}, kept: map[uint16]uint64{}}
}

func (r *recorder) recording() sdk.Recording {
	return sdk.Recording{Run: r.run, Dir: r.dir, Segment: time.Millisecond,
		Streams: []sdk.RecordedStream{{Stream: 3, Name: r.first, Simulated: true}, {Stream: 5, Name: "quiet"}},
		Closed: func(a sdk.Artifact) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.files[a.Path] = fmt.Sprintf("%x", a.SHA256)
		},
		Kept: func(stream uint16, n uint64) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.kept[stream] = n
		}}
}

func (r *recorder) begin() {
	r.t.Helper()
	if err := r.sink.Begin(r.t.Context(), r.recording()); err != nil {
		r.t.Fatal(err)
	}
}

// segment records one segment: of signal so many tags, of quiet none.
func (r *recorder) segment(n int) {
	r.t.Helper()
	for stream, tags := range map[uint16][]uint64{3: segmentTags(r.at[3], n), 5: nil} {
		until := (r.at[stream] + 1) * 1e9
		b := tag.Block{Kind: tag.Data, Run: r.run, Stream: stream, Seq: r.seq[stream], Tags: tags, Until: until}
		if len(tags) == 0 {
			b.Kind = tag.Mark
		}
		if err := r.sink.Write(r.t.Context(), &b); err != nil {
			r.t.Fatal(err)
		}
		r.seq[stream]++
		r.at[stream]++
	}
}

// segmentTags are n tags of segment k, the same each time.
func segmentTags(k uint64, n int) []uint64 {
	random := rand.New(rand.NewPCG(k, 1))
	tags, step := make([]uint64, n), uint64(1e9)/uint64(n+1)
	for i := range tags {
		tags[i] = k*1e9 + uint64(i)*step + random.Uint64N(step)
	}
	return tags
}

func (r *recorder) finish() error {
	for stream, k := range r.at {
		if err := r.sink.Write(r.t.Context(), &tag.Block{Kind: tag.End, Run: r.run, Stream: stream, Seq: r.seq[stream], Until: k * 1e9}); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	return r.sink.Finish(ctx)
}

func (r *recorder) close() {
	r.t.Helper()
	if err := r.sink.Close(); err != nil {
		r.t.Error(err)
	}
}

// until waits for something that happens elsewhere.
func until(t testing.TB, what string, so func() bool) {
	t.Helper()
	for late := time.Now().Add(patient); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("it never came: %s", what)
		}
	}
}

// report is what the sink has left beside its files.
func report(t testing.TB, dir string) (r struct {
	tally
	Server promise
	Why    string
}) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, reportName))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ask reaches a server, to look at what it has.
func ask(t testing.TB, url string) (js jetstream.JetStream, hangUp func()) {
	t.Helper()
	conn, err := access{URL: url}.dial()
	if err != nil {
		t.Fatal(err)
	}
	js, err = jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js, conn.Close
}

// stored counts the messages that a server has of a run, each number of each
// channel once, without a gap.
func stored(t testing.TB, url, run string) (messages int) {
	t.Helper()
	js, hangUp := ask(t, url)
	defer hangUp()
	s, err := js.Stream(t.Context(), "tsrun_"+run+"_alice")
	if err != nil {
		t.Fatal(err)
	}
	next := map[string]place{}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		h, err := readHead(m.Header)
		if err == nil {
			_, err = tagsOf(nil, h, m.Data)
		}
		if want := next[m.Subject]; err != nil || h.block != want.block || h.segment != want.segment || h.first != want.first || want.ended {
			t.Fatalf("message %d of %s is %+v, due was %+v; %v", seq, m.Subject, h, want, err)
		}
		next[m.Subject] = h.after()
		messages++
	}
	for subject, p := range next {
		if !p.ended {
			t.Errorf("%s has not ended", subject)
		}
	}
	return messages
}

// sameFiles follows a run and compares the files with those of the sink.
func sameFiles(t testing.TB, url, run string, want map[string]string) {
	t.Helper()
	dir, out := t.TempDir(), &strings.Builder{}
	if code := followMain([]string{url, run, "--out", dir, "--count"}, out, os.Stderr); code != 0 {
		t.Fatalf("follow ends with %d: %s", code, out)
	}
	got := map[string]string{}
	files, err := os.ReadDir(filepath.Join(dir, "alice"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		whole, err := os.ReadFile(filepath.Join(dir, "alice", f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[f.Name()] = fmt.Sprintf("%x", sha256.Sum256(whole))
	}
	n := 0
	for path, sum := range want {
		if path == reportName {
			continue
		}
		n++
		if got[path] != sum {
			t.Errorf("%s has SHA-256 %q, that of the sink is %s", path, got[path], sum)
		}
	}
	if n == 0 || len(got) != n {
		t.Errorf("%d files of %d were written again", len(got), n)
	}
}
